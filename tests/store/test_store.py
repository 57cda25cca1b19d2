"""The store: nothing lost, nothing done twice."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from vertebrometer.errors import StoreBusyError, StoreError
from vertebrometer.store import (
    KILLED_ITS_WORKER,
    DeliveryState,
    Finished,
    JobState,
    NewFilm,
    NewResult,
    Store,
)
from vertebrometer.store.engine import alembic_config, schema_version
from vertebrometer.store.schema import metadata

PACS = {"pacs": ("sr", "seg", "sc")}


def film(n: int = 1, **values) -> NewFilm:
    given = {
        "key": f"1.2.3.{n}",
        "sha256": f"{n:064d}",
        "stored": f"films/{n}.dcm",
        "size_bytes": 10,
        "source": "dicom:CR1@10.0.0.1",
        "study_uid": "1.2.3",
    }
    return NewFilm(**{**given, **values})


def results(n: int = 1) -> tuple[NewResult, ...]:
    return tuple(
        NewResult(kind=kind, key=f"2.25.{n}{at}", stored=f"results/{n}/{kind}.dcm", sha256="0" * 64)
        for at, kind in enumerate(("sr", "seg", "sc"))
    )


def done(n: int = 1, **values) -> Finished:
    given = {"state": JobState.MEASURED, "report": "{}", "results": results(n), "destinations": PACS}
    return Finished(**{**given, **values})


def measured(store: Store, n: int = 1) -> int:
    accepted = store.films.accept(film(n))
    claimed = store.jobs.claim("w", lease_s=60)
    assert store.jobs.finish(claimed, "w", done(n))
    return accepted.film_id


def test_a_film_sent_twice_has_one_job(store):
    first, second = store.films.accept(film()), store.films.accept(film(sha256="9" * 64))
    assert (first.is_new, second.is_new, second.film_id) == (True, False, first.film_id)
    assert store.jobs.counts()[JobState.WAITING] == 1
    assert [entry.detail["same_bytes"] for entry in store.audit.entries(event="film_known")] == [False]


def test_a_job_is_claimed_by_one_worker_only(store):
    store.films.accept(film())
    assert store.jobs.claim("a", lease_s=60).stored == "films/1.dcm"
    assert store.jobs.claim("b", lease_s=60) is None


def test_many_workers_share_the_jobs_without_overlap(store):
    for n in range(30):
        store.films.accept(film(n))
    taken: list[int] = []

    def work(name: str) -> None:
        while claimed := store.jobs.claim(name, lease_s=60):
            taken.append(claimed.job_id)
            assert store.jobs.finish(claimed, name, done(claimed.film_id, destinations={}))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(set(taken))
    assert store.jobs.counts()[JobState.MEASURED] == 30


def test_an_expired_lease_is_claimed_again_and_the_late_worker_hands_in_nothing(store):
    store.films.accept(film())
    late = store.jobs.claim("late", lease_s=-1)
    again = store.jobs.claim("again", lease_s=60)
    assert again.job_id == late.job_id
    assert not store.jobs.renew(late.job_id, "late", lease_s=60)
    assert not store.jobs.finish(late, "late", done())
    assert store.jobs.finish(again, "again", done())
    assert store.films.report(again.film_id) == "{}"


def test_a_film_that_kills_its_workers_is_given_up(store):
    store.films.accept(film())
    for _ in range(3):
        assert store.jobs.claim("w", lease_s=60)
        store.jobs.release("w", blame=True)
    assert store.jobs.claim("w", lease_s=60) is None
    (line,) = store.jobs.lines()
    assert (line.state, line.reason, line.tries) == (JobState.FAILED, KILLED_ITS_WORKER, 3)


def test_a_node_that_was_switched_off_blames_no_film(store):
    store.films.accept(film())
    for _ in range(20):
        assert store.jobs.claim("n1:w1", lease_s=60)
        assert store.jobs.release("n1:", blame=False) == 1
    assert store.jobs.claim("n1:w1", lease_s=60).tries == 1


def test_a_release_frees_only_its_own(store):
    store.films.accept(film())
    store.jobs.claim("n1_:w1", lease_s=60)
    assert store.jobs.release("n1%", blame=False) == 0
    assert store.jobs.release("n1x", blame=False) == 0


def test_each_result_goes_to_each_destination_once(store):
    film_id = measured(store)
    batch = store.deliveries.claim("pacs", "d", lease_s=60)
    assert [one.kind for one in batch] == ["sr", "seg", "sc"]
    assert store.deliveries.claim("pacs", "e", lease_s=60) == []
    for one in batch:
        store.deliveries.delivered(one, "d", how="C-STORE")
    assert store.deliveries.counts() == {("pacs", DeliveryState.DELIVERED): 3}
    store.jobs.retry([store.jobs.lines()[0].job_id])
    claimed = store.jobs.claim("w", lease_s=60)
    assert store.jobs.finish(claimed, "w", done())
    assert store.deliveries.claim("pacs", "d", lease_s=60) == []
    assert film_id == claimed.film_id


def test_a_delivery_whose_end_is_not_known_says_so(store):
    measured(store)
    assert not any(one.was_begun for one in store.deliveries.claim("pacs", "n1:d", lease_s=60))
    store.jobs.release("n1:", blame=False)
    assert all(one.was_begun for one in store.deliveries.claim("pacs", "n1:d", lease_s=60))


def test_a_postponed_delivery_waits_and_can_be_hurried(store):
    measured(store)
    batch = store.deliveries.claim("pacs", "d", lease_s=60)
    store.deliveries.postpone(batch, "d", until=time.time() + 600, error="refused")
    assert store.deliveries.claim("pacs", "d", lease_s=60) == []
    store.deliveries.hurry("pacs")
    assert len(store.deliveries.claim("pacs", "d", lease_s=60)) == 3


def test_a_failed_delivery_can_be_retried(store):
    film_id = measured(store)
    for one in store.deliveries.claim("pacs", "d", lease_s=60):
        store.deliveries.failed(one, "d", error="0xA900")
    assert {line[2] for line in store.deliveries.lines(film_id)} == {"failed"}
    store.jobs.retry()
    assert len(store.deliveries.claim("pacs", "d", lease_s=60)) == 3


def test_retention_spares_what_is_not_yet_delivered(store):
    film_id = measured(store)
    later = time.time() + 10
    assert store.films.expired(measured_before=later, failed_before=later) == []
    for one in store.deliveries.claim("pacs", "d", lease_s=60):
        store.deliveries.delivered(one, "d", how="C-STORE")
    (expired,) = store.films.expired(measured_before=later, failed_before=later)
    assert expired.stored == ("films/1.dcm", "results/1/sr.dcm", "results/1/seg.dcm", "results/1/sc.dcm")
    store.films.purged(film_id, why="retention")
    assert store.films.stored_paths() == set()
    assert not store.films.accept(film()).is_new
    assert store.films.report(film_id) is None
    assert store.films.expired(measured_before=later, failed_before=later) == []


def test_our_own_results_are_known(store):
    measured(store)
    assert store.films.is_own_result("2.25.10")
    assert not store.films.is_own_result("1.2.3.1")
    assert store.films.is_known("1.2.3.1")


def test_the_audit_trail_only_grows(store):
    store.audit.note("association_refused", why="address", peer="10.0.0.9")
    for statement in ("UPDATE audit SET event = 'x'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="only grows"), store.engine.begin() as connection:
            connection.execute(text(statement))
    (entry,) = store.audit.entries()
    assert (entry.event, entry.node, entry.detail["why"]) == ("association_refused", "n1", "address")


def test_the_migrations_make_the_tables_that_the_program_uses(store):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert set(metadata.tables) <= set(inspect(store.engine).get_table_names())


def test_the_schema_version_is_the_newest_and_opening_twice_changes_nothing(store, store_url):
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    store.films.accept(film())
    Store.open(store_url).close()
    assert schema_version(store.engine) == newest
    assert store.films.is_known("1.2.3.1")


def test_a_store_of_a_newer_program_is_refused(store, store_url):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer than this program"):
        Store.open(store_url)


def test_several_processes_may_open_a_new_store_at_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    errors: list[Exception] = []

    def open_it() -> None:
        try:
            Store.open(url).close()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def opened(url: str) -> str:
    try:
        Store.open(url).close()
    except Exception as error:  # noqa: BLE001
        return repr(error)
    return ""


def test_several_processes_with_no_lock_in_common_may_open_a_new_store_at_once(tmp_path):
    # SQLite does not wait where another process turns a new file to WAL.
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        for n in range(12):
            url = f"sqlite:///{tmp_path / f'{n}.db'}"
            assert pool.map(opened, [url] * 6, chunksize=1) == [""] * 6


def test_a_locked_store_is_said_to_be_busy_and_then_goes_on(tmp_path):
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}", busy_s=0.1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        store.films.accept(film())
    assert store.jobs.counts()[JobState.WAITING] == 0
    holder.execute("ROLLBACK")
    assert store.films.accept(film()).is_new
    holder.close()
    store.close()


def test_a_wrong_url_is_refused_in_words():
    for url in ("nonsense", "oracle+none://x"):
        with pytest.raises(StoreError, match="sqlite:///PATH"):
            Store.open(url)


def test_the_store_is_in_wal_mode_and_syncs(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 's.db'}")
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    store.close()
    assert create_engine is not None
    assert replace(film(), key="x").key == "x"
