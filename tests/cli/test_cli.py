import json
import subprocess
import sys
import types
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import cv2
import numpy as np
import pytest

from tests.cli.fakes import FakeMeasurer, FakeSettings, measure_with_fakes
from tests.spines import spine
from vertebrometer import runtime
from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, truth_as_dict
from vertebrometer.cli import main
from vertebrometer.compression import Definition

FILM = np.tile(np.linspace(0, 60000, 300, dtype=np.uint16), (400, 1))


@pytest.fixture(autouse=True)
def pipeline(monkeypatch):
    measure_with_fakes(monkeypatch)


@pytest.fixture
def film(tmp_path):
    def write(name="film.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), FILM)
        return path

    return write


def call(*arguments):
    """Run the command line; return its exit status."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code or 0
    return 0


def test_a_film_that_is_measured_ends_with_status_zero(film, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert call("measure", film()) == 0
    shown = capsys.readouterr().out
    assert "20.0" in shown
    assert "not measured, because no body above it" in shown
    assert "Research use only" in shown


def test_a_film_that_is_not_measured_ends_with_status_one(film, capsys):
    film()
    assert call("measure", film("empty.png").parent) == 1
    shown = capsys.readouterr().out
    assert "no vertebral body was found" in shown
    assert "1 of 2 films measured" in shown


def test_a_file_that_is_no_film_ends_with_status_one_and_says_why(film, tmp_path, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    assert call("measure", text, film()) == 1
    assert "notes.txt" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        ["--definition", "guess"],
        ["--facing", "up"],
        ["--workers", "0"],
        ["--spacing", "wide"],
        ["--spacing", "0.2x0.2x0.2"],
        ["--spacing", "-1"],
        ["--level", "L1"],
        ["--level", "0=L1"],
        ["--level", "3=L9"],
        ["--no-such-option"],
    ],
)
def test_a_call_that_is_wrong_ends_with_status_two_and_no_traceback(film, wrong, capsys):
    assert call("measure", film(), *wrong) == 2
    shown = capsys.readouterr().err
    assert shown
    assert "Traceback" not in shown


def test_a_path_that_is_not_there_is_a_wrong_call(tmp_path):
    assert call("measure", tmp_path / "none.dcm") == 2


def test_a_folder_without_films_is_a_wrong_call(tmp_path, capsys):
    assert call("measure", tmp_path) == 2
    assert "no films" in capsys.readouterr().err


def test_a_command_that_does_not_exist_is_a_wrong_call():
    assert call("guess") == 2


def test_results_are_written_and_a_second_run_skips_them(film, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("measure", film(), "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "film.json",
        "film.overlay.png",
        "manifest.jsonl",
        "measurements.csv",
    ]
    capsys.readouterr()
    assert call("measure", film(), "--out", out) == 0
    assert "before and unchanged" in capsys.readouterr().out
    assert call("measure", film(), "--out", out, "--definition", "same-body") == 0
    assert "before and unchanged" not in capsys.readouterr().out


def test_json_is_one_report_per_line(film, capsys):
    film()
    call("measure", film("empty.png").parent, "--json")
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["quality"]["usable"] for report in reports] == [False, True]


def test_quiet_prints_nothing(film, capsys):
    assert call("measure", film(), "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_spacing_that_is_given_is_used_and_named(film, capsys):
    call("measure", film(), "--spacing", "0.2x0.25", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["film"]["spacing_mm"], report["film"]["spacing_source"]) == ([0.2, 0.25], "user")


def test_what_is_pinned_reaches_the_pipeline(film, monkeypatch):
    seen = []

    class Spy(FakeMeasurer):
        def __init__(self, settings, networks):
            seen.append(settings)
            super().__init__(settings, networks)

    monkeypatch.setattr(sys.modules["vertebrometer.pipeline"], "Measurer", Spy)
    call("measure", film(), "--level", "5=l1", "--level", "6=L2", "--facing", "left", "--force")
    assert seen == [FakeSettings(force=True, facing=Facing.LEFT, levels={5: "L1", 6: "L2"})]


def test_one_body_cannot_have_two_names(film, capsys):
    assert call("measure", film(), "--level", "5=L1", "--level", "5=L2") == 2
    assert "twice" in capsys.readouterr().err


def test_an_interrupt_ends_with_status_130(film, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeMeasurer, "measure", interrupt)
    assert call("measure", film()) == 130


def test_the_definitions_on_offer_are_those_that_there_are():
    from vertebrometer.cli.measure import measure

    literal = get_args(
        get_type_hints(
            measure, vars(sys.modules["vertebrometer.cli.measure"]) | {"Path": Path}, include_extras=True
        )["definition"]
    )[0]
    assert set(get_args(literal)) == {definition.value for definition in Definition}


@pytest.fixture
def scored(tmp_path, film):
    out = tmp_path / "out"
    call("measure", film(), "--out", out, "--quiet")
    bodies = tuple(
        BodyTruth(level=level, points=v.points, contour_rc=v.points.corners_rc)
        for level, v in zip(("L1", "L2", "L3"), spine(30, 24, 30), strict=True)
    )
    truth = FilmTruth(file="film.png", shape=(400, 300), bodies=bodies, facing=Facing.RIGHT)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth_as_dict([truth])))
    return path, out


def test_evaluate_prints_tables(scored, capsys):
    truth, out = scored
    assert call("evaluate", "--truth", truth, "--reports", out) == 0
    assert "| film yield, % | 100.0 |" in capsys.readouterr().out


def test_evaluate_prints_json(scored, capsys):
    truth, out = scored
    assert call("evaluate", "--truth", truth, "--reports", out, "--json", "--levels", "L1-L3") == 0
    assert json.loads(capsys.readouterr().out)["errors"]["all"]["mae"]["value"] == pytest.approx(0, abs=0.01)


def test_evaluate_says_which_films_have_no_report(scored, capsys):
    truth, out = scored
    (out / "film.json").unlink()
    assert call("evaluate", "--truth", truth, "--reports", out) == 1
    assert "1 of 1 films have no report: film.png" in capsys.readouterr().err


def test_evaluate_finds_a_report_whose_name_had_to_be_longer(scored):
    truth, out = scored
    (out / "film.json").rename(out / "in__film.json")
    assert call("evaluate", "--truth", truth, "--reports", out) == 0


@pytest.mark.parametrize("levels", ["T4", "L5-T4", "A-B"])
def test_levels_that_make_no_sense_are_a_wrong_call(scored, levels):
    truth, out = scored
    assert call("evaluate", "--truth", truth, "--reports", out, "--levels", levels) == 2


def test_a_truth_file_that_is_none_is_a_wrong_call(scored, capsys):
    truth, out = scored
    truth.write_text("[]")
    assert call("evaluate", "--truth", truth, "--reports", out) == 2
    assert "is no truth file" in capsys.readouterr().err


def test_doctor_says_what_is_installed_and_ends_with_one_when_weights_are_damaged(
    monkeypatch, capsys, tmp_path
):

    def check(state):
        return lambda: [
            runtime.WeightCheck(
                name="bodies", path=tmp_path / "bodies.onnx", state=state, size_bytes=2_000_000
            )
        ]

    monkeypatch.setattr(runtime, "check_weights", check(runtime.WeightState.INTACT))
    assert call("doctor") == 0
    assert "onnxruntime" in capsys.readouterr().out
    monkeypatch.setattr(runtime, "check_weights", check(runtime.WeightState.DAMAGED))
    assert call("doctor") == 1
    assert "bodies are damaged" in capsys.readouterr().out


def test_doctor_names_what_is_missing(monkeypatch, capsys):
    from vertebrometer.cli import doctor

    monkeypatch.setattr(doctor, "NEEDED", {"no_such_module": "no-such-package"})
    assert call("doctor") == 1
    assert "no-such-package is missing: pip install" in capsys.readouterr().out


def test_training_without_torch_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    from vertebrometer.cli import train

    monkeypatch.setattr(train, "find_spec", lambda _: None)
    config = tmp_path / "config.toml"
    config.write_text("")
    assert call("train", "segmentation", config) == 2
    assert "pip install 'vertebrometer[train]'" in capsys.readouterr().err


def test_training_is_handed_its_configuration(monkeypatch, tmp_path):
    called = []
    fake = types.ModuleType("vertebrometer.training")
    fake.run_segmentation = lambda config, *, resume: called.append(("segmentation", config.name, resume))
    fake.run_points = lambda config, *, resume: called.append(("points", config.name, resume))
    fake.run_corners = lambda config, *, resume: called.append(("corners", config.name, resume))
    monkeypatch.setitem(sys.modules, "vertebrometer.training", fake)
    monkeypatch.setattr("vertebrometer.cli.train.find_spec", lambda _: object())
    config = tmp_path / "config.toml"
    config.write_text("")
    assert call("train", "segmentation", config) == 0
    assert call("train", "points", config, "--resume") == 0
    assert call("train", "corners", config) == 0
    assert called == [
        ("segmentation", "config.toml", False),
        ("points", "config.toml", True),
        ("corners", "config.toml", False),
    ]


def test_phantoms_are_made_as_asked(monkeypatch, tmp_path, capsys):
    called = []
    fake = types.ModuleType("vertebrometer.phantom")
    fake.FIELDS = {"lumbar": ("T11", "S1"), "thoracic": ("T1", "L1")}
    fake.write_phantoms = lambda *arguments: called.append(arguments)
    monkeypatch.setitem(sys.modules, "vertebrometer.phantom", fake)
    assert call("phantom", "--count", "3", "--seed", "7", "--out", tmp_path, "--fields", "lumbar") == 0
    assert called == [(3, 7, tmp_path, ("lumbar",))]
    assert call("phantom", "--out", tmp_path, "--fields", "foot") == 2
    assert "known are lumbar, thoracic" in capsys.readouterr().err


def test_both_ways_to_ask_for_the_version_agree(capsys):
    assert call("version") == 0
    first = capsys.readouterr().out
    assert call("--version") == 0
    assert capsys.readouterr().out == first


def test_the_heading_says_what_shape_of_pixels_was_found(film, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert call("measure", film("squashed.png"), film("usual.png")) == 0
    [heading] = [line for line in capsys.readouterr().out.splitlines() if "height over width" in line]
    assert heading.startswith("squashed.png")
    assert "height over width of a pixel 1.33, found from the vertebral bodies" in heading


def test_help_opens_without_anything_heavy():
    code = "import sys; from vertebrometer.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += (
        "print([m for m in ('numpy', 'scipy', 'cv2', 'pydicom', 'torch', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_leaving_does_not_look_through_all_that_was_imported():
    # What is registered first is called last, after what the command line registers.
    code = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
    code += "from vertebrometer.cli import main; main(['version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_the_pipeline_offers_what_the_command_line_asks_for():
    # The real one, which the fake stands for in this file.
    code = (
        "from dataclasses import fields; from vertebrometer.pipeline import MeasureSettings as S, Measurer\n"
    )
    code += (
        "print([f.name for f in fields(S)], hasattr(Measurer, 'measure'), hasattr(Measurer, 'model_hashes'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"'{known.name}'" in done.stdout for known in fields(FakeSettings))
    assert done.stdout.rstrip().endswith("True True")


def test_repeatability_is_written_to_a_folder_that_is_not_there_yet(film, tmp_path):
    out = tmp_path / "new" / "repeat"
    assert call("repeatability", film(), "--out", out) == 0
    assert (out / "repeatability.csv").read_text().startswith("film,body,level")
    assert "<svg" in (out / "repeatability.svg").read_text()


def test_a_folder_that_cannot_be_written_is_said_so(film, tmp_path, capsys):
    (tmp_path / "out").write_text("a file where the folder should be")
    assert call("measure", film(), "--out", tmp_path / "out" / "deeper") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_bench_scores_each_film_and_keeps_what_was_measured(tmp_path, capsys):
    assert call("bench", "--films", 3, "--out", tmp_path / "bench") == 0
    shown = capsys.readouterr().out
    assert "## phantom" in shown
    assert "| films | 3 |" in shown
    kept = sorted(path.name for path in (tmp_path / "bench").iterdir())
    films = [f"phantom-000{number}" for number in (1, 2, 3)]
    assert kept == sorted(
        [f"{film}{end}" for film in films for end in (".json", ".overlay.png")] + ["scores.json"]
    )
    scores = json.loads((tmp_path / "bench" / "scores.json").read_text())
    assert set(scores) == {"all", "phantom"}


def test_a_bench_without_its_ct_ends_before_it_begins(tmp_path, capsys):
    assert call("bench", "--films", 3, "--ct", tmp_path, "--only", "sub-x") == 2
    assert "no CT volume with a mask" in capsys.readouterr().err
