import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.batch.fakes import FakeMeasure
from vertebrometer.batch import (
    MANIFEST,
    MEASUREMENTS,
    Source,
    fingerprint,
    measure_all,
    measure_into,
    read_manifest,
    result_names,
    sources,
)
from vertebrometer.report import read_report

WITH = fingerprint({"definition": "adjacent-mean"}, {"bodies": "ab"})


def films(folder, *names, content=b"film"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content + name.encode())
    return sources(sorted(folder / name for name in names), [folder])


def run(out, found, measure=None, **kwargs):
    return measure_into(out, found, measure or FakeMeasure(), **({"measured_with": WITH} | kwargs))


def rows_of(out):
    with (out / MEASUREMENTS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_file(outcomes, fact):
    return {outcome.source.path.name: getattr(outcome, fact) for outcome in outcomes}


def names(*relative, given=None):
    found = [Source(Path("/data") / name, Path(name)) for name in relative]
    chosen = result_names(found, given or {})
    return [chosen[film.key] for film in found]


def test_a_film_alone_gives_its_stem():
    assert names("a/standing-01.png", "a/IM0001", "b/1.2.840.113") == ["standing-01", "IM0001", "1.2.840.113"]


def test_films_of_one_name_take_as_many_folders_as_it_needs():
    assert names("A/IM0001", "B/IM0001", "B/IM0002") == ["A__IM0001", "B__IM0001", "IM0002"]
    assert names("A/1/IM", "A/2/IM", "B/1/IM") == ["A__1__IM", "2__IM", "B__1__IM"]


def test_films_that_differ_in_their_ending_or_case_only_are_told_apart():
    assert len({name.casefold() for name in names("a/film.png", "a/film.dcm", "a/FILM.jpg")}) == 3


def test_a_film_keeps_its_name_when_another_comes():
    given = {"/data/A/IM0001": "IM0001"}
    assert names("A/IM0001", "B/IM0001", given=given) == ["IM0001", "B__IM0001"]


def test_no_film_takes_the_name_of_our_own_files():
    assert not {"manifest", "measurements"} & set(names("a/manifest.png", "a/measurements.dcm"))


@given(
    st.lists(
        st.lists(
            st.sampled_from(["IM", "im", "a", "A", "a.dcm", "a_dcm", "a__b", "b", "ä/ö"]),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=25,
        unique_by=tuple,
    )
)
def test_no_two_films_ever_share_a_name(paths):
    chosen = names(*sorted({"/".join(parts) for parts in paths}))
    assert len({name.casefold() for name in chosen}) == len(chosen)
    assert not any("/" in name for name in chosen)


def test_a_name_does_not_leave_the_folder():
    assert all("/" not in name and name.strip(".") for name in names("../../etc/passwd", "...", "a/ .png"))


def test_each_film_has_a_report_an_overlay_and_a_place_in_the_table(tmp_path):
    run(tmp_path / "out", films(tmp_path / "in", "A/IM0001", "B/IM0001"))
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == sorted(
        [f"{n}__IM0001{end}" for n in "AB" for end in (".json", ".overlay.png")] + [MANIFEST, MEASUREMENTS]
    )
    rows = rows_of(tmp_path / "out")
    assert {row["film"] for row in rows} == {"A__IM0001", "B__IM0001"}


def test_the_manifest_says_which_film_has_which_result(tmp_path):
    run(tmp_path / "out", films(tmp_path / "in", "A/IM0001", "B/IM0001"))
    entries = read_manifest(tmp_path / "out")
    assert {Path(entry.source).parent.name: entry.result for entry in entries.values()} == {
        "A": "A__IM0001",
        "B": "B__IM0001",
    }


def test_a_second_run_measures_nothing_that_is_unchanged(tmp_path):
    found, measure = films(tmp_path / "in", "a.png", "b.png"), FakeMeasure(log=tmp_path / "log")
    run(tmp_path / "out", found, measure)
    outcomes = run(tmp_path / "out", found, measure)
    assert [outcome.skipped for outcome in outcomes] == [True, True]
    assert len((tmp_path / "log").read_text().splitlines()) == 2


@pytest.mark.parametrize("change", ["film", "settings", "again", "lost report", "broken report"])
def test_what_changed_is_measured_anew(tmp_path, change):
    found, measure = films(tmp_path / "in", "a.png", "b.png"), FakeMeasure()
    run(tmp_path / "out", found, measure)
    kwargs = {}
    match change:
        case "film":
            (tmp_path / "in" / "a.png").write_bytes(b"another film")
        case "settings":
            kwargs["measured_with"] = fingerprint({"definition": "same-body"}, {"bodies": "ab"})
        case "again":
            kwargs["again"] = True
        case "lost report":
            (tmp_path / "out" / "a.json").unlink()
        case "broken report":
            (tmp_path / "out" / "a.json").write_text("{")
    outcomes = run(tmp_path / "out", found, measure, **kwargs)
    assert not outcomes[0].skipped
    assert outcomes[1].skipped == (change not in ("settings", "again"))


def test_other_weights_are_another_fingerprint():
    assert fingerprint({}, {"bodies": "ab"}) != fingerprint({}, {"bodies": "cd"})
    assert fingerprint({}, {"a": "1", "b": "2"}) == fingerprint({}, {"b": "2", "a": "1"})


def test_a_bad_film_does_not_stop_the_others(tmp_path):
    found = films(tmp_path / "in", "a.png", "bad.png", "c.png")
    outcomes = run(tmp_path / "out", found)
    assert [outcome.measured for outcome in outcomes] == [True, False, True]
    report = read_report(tmp_path / "out" / "bad.json")
    assert report.quality.reasons == ("truncated_file",)
    assert report.film.sha256 is not None
    assert not (tmp_path / "out" / "bad.overlay.png").exists()


def test_a_mistake_of_ours_is_named_without_what_the_file_said(tmp_path, caplog):
    found = films(tmp_path / "in", "bug.png", "c.png")
    outcomes = run(tmp_path / "out", found)
    assert [outcome.measured for outcome in outcomes] == [False, True]
    text = (tmp_path / "out" / "bug.json").read_text() + caplog.text
    assert "internal_error" in text
    assert "KeyError" in text
    assert "Jane Doe" not in text


def test_a_mistake_of_ours_is_tried_again_by_the_next_run(tmp_path):
    found = films(tmp_path / "in", "bug.png", "bad.png")
    run(tmp_path / "out", found)
    assert by_file(run(tmp_path / "out", found), "skipped") == {"bug.png": False, "bad.png": True}


def test_other_peoples_files_in_the_folder_stay_as_they_are(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text("mine")
    [outcome] = run(tmp_path / "out", films(tmp_path / "in", "a.png"))
    assert (tmp_path / "out" / "a.json").read_text() == "mine"
    assert outcome.name == "in__a"


def test_results_may_lie_beside_the_films(tmp_path):
    found = films(tmp_path, "a.png")
    before = (tmp_path / "a.png").read_bytes()
    run(tmp_path, found)
    assert (tmp_path / "a.png").read_bytes() == before


def test_films_that_moved_keep_their_results(tmp_path):
    measure = FakeMeasure()
    run(tmp_path / "out", films(tmp_path / "in", "a.png", "b.png"), measure)
    (tmp_path / "in").rename(tmp_path / "moved")
    found = sources(sorted((tmp_path / "moved").iterdir()), [tmp_path / "moved"])
    outcomes = run(tmp_path / "out", found, measure)
    assert [(o.name, o.skipped) for o in outcomes] == [("a", True), ("b", True)]


def test_the_table_holds_the_films_of_earlier_runs_too(tmp_path):
    run(tmp_path / "out", films(tmp_path / "first", "a.png"))
    run(tmp_path / "out", films(tmp_path / "second", "b.png"))
    rows = rows_of(tmp_path / "out")
    assert {row["film"] for row in rows} == {"a", "b"}


def test_a_torn_line_of_the_manifest_costs_only_that_film(tmp_path):
    found = films(tmp_path / "in", "a.png", "b.png")
    run(tmp_path / "out", found)
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text()[:-30])
    outcomes = run(tmp_path / "out", found)
    assert [outcome.skipped for outcome in outcomes].count(True) == 1
    assert len({outcome.name for outcome in outcomes}) == 2


def test_without_a_folder_nothing_is_written(tmp_path):
    found = films(tmp_path / "in", "a.png", "bad.png")
    outcomes = list(measure_all(found, FakeMeasure()))
    assert [outcome.measured for outcome in outcomes] == [True, False]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.png", "bad.png"]


@pytest.mark.slow
def test_several_workers_do_the_same_as_one(tmp_path):
    found = films(tmp_path / "in", *(f"{n}.png" for n in range(6)), "bad.png")
    run(tmp_path / "one", found)
    run(tmp_path / "two", found, workers=2)
    for path in (tmp_path / "one").glob("*.json"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert (tmp_path / "one" / MEASUREMENTS).read_bytes() == (tmp_path / "two" / MEASUREMENTS).read_bytes()


@pytest.mark.slow
def test_a_film_that_kills_its_worker_does_not_take_others_with_it(tmp_path):
    found = films(tmp_path / "in", "a.png", "deadly.png", "c.png", "d.png")
    outcomes = run(tmp_path / "out", found, workers=2)
    assert by_file(outcomes, "measured") == {"a.png": True, "deadly.png": False, "c.png": True, "d.png": True}
    assert read_report(tmp_path / "out" / "deadly.json").quality.reasons == ("internal_error",)


KILLED_RUN = """
import sys
from pathlib import Path
from tests.batch.fakes import FakeMeasure
from vertebrometer.batch import fingerprint, measure_into, sources
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
found = sources(sorted(folder.iterdir()), [folder])
measure_into(out, found, FakeMeasure(seconds=0.02), measured_with=fingerprint({}, {}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.02, 0.11, 0.23])
def test_a_killed_run_leaves_no_half_written_file_and_the_next_one_goes_on(tmp_path, after_s):
    folder, out = tmp_path / "in", tmp_path / "out"
    films(folder, *(f"{n:02}.png" for n in range(20)))
    command = [sys.executable, "-c", KILLED_RUN, str(folder), str(out)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root)
    while not (out / MANIFEST).exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait()
    before = {path.stem: path.stat().st_mtime_ns for path in out.glob("*.json")}
    for path in out.glob("*.json"):
        read_report(path)
    subprocess.run(command, cwd=root, check=True)
    assert len(list(out.glob("*.json"))) == 20
    kept = [name for name, when in before.items() if (out / f"{name}.json").stat().st_mtime_ns == when]
    # The film whose report was written but not yet noted is measured again, all others are not.
    assert len(kept) >= len(before) - 1
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    rows = rows_of(out)
    assert len({row["film"] for row in rows}) == 20
    assert all(json.loads(line) for line in (out / MANIFEST).read_text().splitlines())
