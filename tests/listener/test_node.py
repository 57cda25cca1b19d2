"""A node as its neighbours see it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE

from tests.listener.fake_node import HANGS, HAS_BUG, KILLS_WORKER
from tests.listener.harness import SENDER, Pacs, a_film, identity_in, until
from tests.radiographs.makers import save


def all_delivered(node, films: int, *, name: str = "pacs"):
    return lambda: node.deliveries() == {(name, "delivered"): 3 * films}


def test_a_film_that_is_sent_comes_back_measured_in_its_study(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    film = a_film()
    assert node.send(film) == [0x0000]
    until(all_delivered(node, 1))
    assert sorted(made.Modality for made in pacs.objects.values()) == ["OT", "SEG", "SR"]
    assert {made.StudyInstanceUID for made in pacs.objects.values()} == {film.StudyInstanceUID}
    with node.store() as store:
        ((key, document),) = store.films.all_reports()
    assert key == film.SOPInstanceUID
    assert '"percent": 20.0' in document
    assert node.stop() == 0


def test_a_film_sent_twice_is_measured_and_sent_once(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    film = a_film()
    assert node.send(film, film) == [0, 0]
    until(all_delivered(node, 1))
    assert node.send(film) == [0]
    time.sleep(0.5)
    assert node.states() == {"measured": 1}
    assert set(pacs.got.values()) == {1}


def test_films_that_cannot_be_measured_are_kept_with_the_reason(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    frontal = a_film(ViewPosition="AP")
    bug, cut = a_film(cols=HAS_BUG), a_film()
    cut.PixelData = cut.PixelData[:1000]
    assert node.send(frontal, bug, cut) == [0, 0, 0]
    until(lambda: node.states() == {"not_measured": 3})
    with node.store() as store:
        reasons = {line.job_id: line.reason for line in store.jobs.lines()}
    assert reasons == {1: "wrong_view", 2: "internal_error", 3: "truncated_file"}
    assert pacs.got == {}


def test_a_film_that_kills_its_worker_is_given_up_and_the_others_go_on(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    assert node.send(a_film(cols=KILLS_WORKER), a_film()) == [0, 0]
    until(lambda: node.states() == {"failed": 1, "measured": 1}, seconds=60)
    assert node.metric("vertebrometer_workers_died_total") == 3


def test_a_film_that_hangs_is_given_up(make_node):
    node = make_node().start()
    node.stop()
    node.config.write_text(
        node.config.read_text().replace("workers = 1", "workers = 1\nlongest_s = 1.0\nmost_tries = 1")
    )
    node.start()
    node.send(a_film(cols=HANGS))
    until(lambda: node.states() == {"failed": 1}, seconds=30)


@pytest.mark.parametrize(
    ("calling", "called", "why"),
    [("STRANGER", "VCNODE", "calling_ae"), (SENDER, "OTHER", "called_ae")],
)
def test_wrong_ae_titles_are_refused_and_audited(make_node, calling, called, why):
    node = make_node(allow_ae=f'["{SENDER}"]').start()
    assert node.send(a_film(), calling=calling, called=called) == []
    assert [detail["why"] for detail in node.audit("association_refused")] == [why]
    assert node.send(a_film()) == [0]


def test_a_wrong_address_is_refused_and_audited(make_node):
    node = make_node(dicom='allow_addresses = ["192.0.2.0/24"]').start(lets_us_in=False)
    assert node.send(a_film()) == []
    assert {detail["why"] for detail in node.audit("association_refused")} == {"address"}
    assert node.states() == {}


def test_other_classes_are_refused_at_association(make_node):
    node = make_node().start()
    ae = AE(ae_title=SENDER)
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    association = ae.associate("127.0.0.1", node.port, ae_title="VCNODE")
    assert association.accepted_contexts == []
    association.release() if association.is_established else association.abort()
    until(lambda: [detail["why"] for detail in node.audit("association_refused")] == ["classes"])


def test_too_many_associations_are_turned_away_for_now(make_node):
    node = make_node(dicom="most_associations = 2").start()
    held = []
    for _ in range(3):
        ae = AE(ae_title=SENDER)
        ae.add_requested_context("1.2.840.10008.1.1")
        held.append(ae.associate("127.0.0.1", node.port, ae_title="VCNODE"))
    assert [one.is_established for one in held] == [True, True, False]
    assert held[2].acceptor.primitive.result == 2
    for one in held[:2]:
        one.release()


def test_an_object_without_end_is_cut_off(make_node):
    node = make_node(dicom="most_megabytes = 1").start()
    large = a_film()
    large.add_new(0x00091010, "OB", b"\0" * 3_000_000)
    assert node.send(large) != [0]
    until(lambda: [detail["why"] for detail in node.audit("association_refused")] == ["too_large"])
    assert node.states() == {}
    assert node.send(a_film()) == [0]


def test_our_own_results_are_not_measured(make_node, pacs, tmp_path):
    node = make_node(more=pacs.destination()).start()
    node.send(a_film())
    until(all_delivered(node, 1))
    (stored,) = (node.data / "results").glob("*/sc.dcm")
    assert node.send(pydicom.dcmread(stored)) == [0]
    assert node.states() == {"measured": 1}
    assert len(node.audit("own_result_ignored")) == 1


def test_a_destination_that_is_down_gets_everything_when_it_is_back(make_node):
    pacs = Pacs()
    node = make_node(more=pacs.destination()).start()
    for _ in range(3):
        node.send(a_film())
    until(lambda: node.states() == {"measured": 3})
    until(lambda: node.metric("vertebrometer_results_not_sent_total") >= 2)
    with pacs:
        until(all_delivered(node, 3))
        assert set(pacs.got.values()) == {1}
        assert len(pacs.got) == 9
    assert any(line["event"] == "not_delivered" for line in node.lines())
    assert any(line["event"] == "destination_is_back" for line in node.lines())


def test_a_destination_that_refuses_is_asked_again(make_node, pacs):
    pacs.status = 0xA700
    node = make_node(more=pacs.destination()).start()
    node.send(a_film())
    until(lambda: any(line.get("why") == "status 0xA700" for line in node.lines()))
    pacs.status = 0
    until(all_delivered(node, 1))


def test_several_destinations_each_get_their_kinds_once(make_node, pacs, tmp_path):
    folder = tmp_path / "out"
    more = pacs.destination() + f'[[destinations]]\nname = "disk"\nkind = "folder"\nfolder = "{folder}"\n'
    node = make_node(more=more).start()
    node.send(a_film())
    until(lambda: node.deliveries() == {("pacs", "delivered"): 3, ("disk", "delivered"): 5})
    assert sorted(path.name for path in folder.iterdir()) == [
        "film.1.json", "film.1.overlay.png", "film.1.sc.dcm", "film.1.seg.dcm", "film.1.sr.dcm",
    ]  # fmt: skip


def test_a_watched_folder_is_measured_into_another(make_node, tmp_path):
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    more = (
        f'[[watch]]\nname = "w"\nfolder = "{films}"\nevery_s = 0.2\n'
        f'[[destinations]]\nname = "disk"\nkind = "folder"\nfolder = "{out}"\n'
    )
    node = make_node(more=more).start()
    save(a_film(), films / "spine.dcm")
    (films / "notes.txt").write_text("no film")
    until(lambda: node.states() == {"measured": 1, "not_measured": 1})
    until(lambda: (out / "spine.1.sr.dcm").exists() or (out / "spine.2.sr.dcm").exists())
    assert (films / "spine.dcm").exists()
    time.sleep(0.6)
    assert sum(node.states().values()) == 2


def test_stopping_keeps_what_waits_and_starting_goes_on(make_node, pacs):
    node = make_node(more=pacs.destination())
    node.environment["FAKE_SECONDS"] = "0.3"
    node.start()
    assert node.send(*(a_film() for _ in range(6))) == [0] * 6
    assert node.stop() == 0
    assert sum(node.states().values()) == 6
    assert "running" not in node.states()
    node.environment["FAKE_SECONDS"] = "0"
    node.start()
    until(all_delivered(node, 6), seconds=40)
    assert set(pacs.got.values()) == {1}


def test_draining_works_off_the_queue_and_takes_no_more(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    node.send(*(a_film() for _ in range(4)))
    assert node.stop(signal.SIGUSR1) == 0
    assert node.deliveries() == {("pacs", "delivered"): 12}
    assert len(node.audit("node_draining")) == 1


def test_reloading_takes_over_new_rules_without_a_break(make_node, pacs):
    node = make_node(allow_ae='["OTHER"]').start(lets_us_in=False)
    assert node.send(a_film()) == []
    node.write(more=pacs.destination(), allow_ae=f'["{SENDER}"]')
    node.process.send_signal(signal.SIGHUP)
    until(lambda: node.audit("node_reloaded"))
    assert node.send(a_film()) == [0]
    until(all_delivered(node, 1))
    pid = node.process.pid
    node.config.write_text("nonsense = [")
    node.process.send_signal(signal.SIGHUP)
    until(lambda: any(line["event"] == "not_reloaded" for line in node.lines()))
    assert node.send(a_film()) == [0]
    assert node.process.pid == pid
    assert node.process.poll() is None


def test_a_second_node_of_the_same_name_is_kept_out(make_node):
    node = make_node().start()
    from vertebrometer.errors import ListenerError
    from vertebrometer.listener.node import Node
    from vertebrometer.listener.settings import read_node_settings

    with pytest.raises(ListenerError, match="is running on this data folder"):
        Node(read_node_settings(node.config), lambda _: None)


def test_a_port_that_is_taken_is_said_and_nothing_is_left_running(make_node):
    first, second = make_node().start(), make_node()
    second.port = first.port
    second.write()
    ran = subprocess.run(
        [sys.executable, "-m", "vertebrometer.cli", "serve-dicom", "--config", str(second.config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 2
    assert f"port {first.port} on 127.0.0.1 is taken" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_locked_store_makes_senders_wait_and_nothing_is_lost(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    holder = sqlite3.connect(node.data / "store.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    statuses = node.send(a_film())
    assert statuses == [0xA700]
    assert time.monotonic() - began < 30
    holder.execute("ROLLBACK")
    holder.close()
    assert node.send(a_film()) == [0]
    until(all_delivered(node, 1))
    assert any(line.get("why") == "store_busy" for line in node.lines())
    assert list((node.data / "parts").iterdir()) == []


def test_what_killed_nodes_left_behind_is_removed(make_node):
    node = make_node()
    for path in (node.data / "parts" / "x.part", node.data / "films" / "ab" / ("ab" * 32)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half a film")
    node.start()
    assert list((node.data / "parts").iterdir()) == []
    assert list((node.data / "films").glob("*/*")) == []


def test_health_and_metrics_are_served(make_node, pacs):
    node = make_node(more=pacs.destination()).start()
    node.send(a_film())
    until(all_delivered(node, 1))
    assert node.get("/healthz") == "ok\n"
    assert node.metric('vertebrometer_jobs{state="measured"}') == 1
    assert node.metric('vertebrometer_deliveries{destination="pacs",state="delivered"}') == 3
    assert node.metric('vertebrometer_films_received_total{what="new"}') == 1
    assert identity_in(node.get("/metrics")) == []


def test_no_file_lies_outside_the_data_folder_and_only_we_may_read_it(make_node, tmp_path):
    node = make_node().start()
    node.send(a_film())
    until(lambda: node.states() == {"measured": 1})
    assert (node.data.stat().st_mode & 0o077) == 0
    assert {path.name for path in node.folder.iterdir()} == {"data", "node.toml", "node.log"}


def test_a_worker_does_not_outlive_its_node(make_node):
    node = make_node().start()
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    assert children
    node.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in children), seconds=10)


def _alive(pid: str) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state not in "ZX"
