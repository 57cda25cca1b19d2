"""Facts about the experiment as a whole: it ends in a report, whatever interrupted it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from tests.experiment.toys import write_config, write_folder  # noqa: E402
from vertebrometer.errors import SettingsError  # noqa: E402
from vertebrometer.experiment import run_experiment  # noqa: E402
from vertebrometer.experiment.reporting import CLOCK_HEADING  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]


def made(base, **more):
    write_folder(base)
    config = write_config(base, **more)
    return config, run_experiment(config, tell=lambda _: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"))


def without_clock(out):
    """All that an interruption must not change."""
    results = json.loads((out / "results.json").read_text())
    results.pop("time")
    markdown = (out / "report.md").read_text().split(f"## {CLOCK_HEADING}")[0]
    page = re.split(f"<h2>{CLOCK_HEADING}</h2>", (out / "report.html").read_text())[0]
    figures = {path.name: path.read_text() for path in sorted((out / "figures").iterdir())}
    return results, markdown, page, figures


def test_every_row_of_both_tables_is_filled(done):
    config, page = done
    results = json.loads((config.parent / "out" / "results.json").read_text())
    assert set(results["segmentation"]) == {"unet"}
    assert set(results["values"]) >= {"image-processing", "sub-pixel-geometry", "residual", "mrdn"}
    assert all(row["all"]["n"] for row in results["values"].values())
    assert results["segmentation"]["unet"]["figures"]["dice"]["mean"] > 0.8
    assert results["leaky"]["figures"]["all"]["n"]
    assert page.exists()


def test_every_value_has_its_yield_beside_it(done):
    config, _ = done
    results = json.loads((config.parent / "out" / "results.json").read_text())
    for row in results["values"].values():
        told = row["all"]["yield"]
        assert told["measured"] <= told["of"] == results["measurable"]["all"]


def test_no_patient_is_in_two_parts_and_folds_see_none_of_their_own(done):
    config, _ = done
    base = config.parent / "out"
    tested = set(json.loads((base / "segmentation/unet/result.json").read_text())["pixels"])
    folds = [set(json.loads(path.read_text())["pixels"]) for path in base.glob("folds/*/result.json")]
    assert len(folds) == 2
    assert not tested & set.union(*folds)
    assert not folds[0] & folds[1]
    patients = [{int(name[-2:]) // 2 for name in names} for names in (tested, *folds)]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 8


def test_the_page_needs_nothing_else_and_names_no_patient(done):
    _, page = done
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "patient-" not in text
    assert text.count("data:image/svg+xml") == 6


def test_the_paper_stands_beside_our_figures(done):
    config, _ = done
    markdown = (config.parent / "out" / "report.md").read_text()
    assert "2.637 (±1.872)" in markdown
    assert "0.903 (±0.090)" in markdown
    assert "Research use only" in markdown


def test_a_finished_experiment_trains_nothing_again_and_gives_the_same_report(done):
    config, _ = done
    out = config.parent / "out"
    before, told = without_clock(out), []
    run_experiment(config, tell=told.append)
    assert without_clock(out) == before
    assert not [words for words in told if "training" in words]


def test_other_settings_do_not_mix_with_what_is_done(done):
    config, _ = done
    changed = config.with_name("changed.toml")
    changed.write_text(config.read_text().replace("learning_rate = 2e-2", "learning_rate = 1e-2"))
    with pytest.raises(SettingsError, match="made with other settings"):
        run_experiment(changed, tell=lambda _: None)


def test_an_interruption_between_systems_changes_nothing(done, tmp_path):
    write_folder(tmp_path)
    config = write_config(tmp_path)

    class PowerCutError(Exception):
        pass

    def off_at(start):
        def tell(words):
            if words.startswith(start):
                raise PowerCutError

        return tell

    for start in ("folds unet-2", "mrdn seed-1"):
        with pytest.raises(PowerCutError):
            run_experiment(config, tell=off_at(start))
    run_experiment(config, tell=lambda _: None)
    assert without_clock(tmp_path / "out") == without_clock(done[0].parent / "out")


def kill_when(config, sign):
    """Start the experiment and kill it hard as soon as a file is there."""
    command = [sys.executable, "-m", "vertebrometer.cli", "experiment", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    until = time.monotonic() + 120
    while not sign.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.slow
def test_killed_in_the_middle_of_any_system_the_report_is_the_same(done, tmp_path):
    write_folder(tmp_path)
    config = write_config(tmp_path)
    # Each sign stands in the middle of a run: its first checkpoint is written, its result is not.
    for sign in (
        "films",
        "segmentation/unet/run/last.pt",
        "folds/unet-1/run/last.pt",
        "regression/mrdn/seed-1/run/last.pt",
    ):
        assert kill_when(config, tmp_path / "out" / sign) == -signal.SIGKILL
    run_experiment(config, tell=lambda _: None)
    assert without_clock(tmp_path / "out") == without_clock(done[0].parent / "out")


@pytest.mark.slow
def test_the_smoke_experiment_fills_its_report(tmp_path):
    text = (ROOT / "configs" / "experiment-smoke.toml").read_text()
    config = tmp_path / "smoke.toml"
    config.write_text(text.replace("../runs/experiment-smoke", "out"))
    page = run_experiment(config, tell=lambda _: None)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert page.exists()
    assert set(results["segmentation"]) == {"unet", "r2unet"}
    assert set(results["values"]) >= {"carn-heights", "mrdn"}


@pytest.mark.parametrize("name", ["smoke", "compact", "gpu", "paper"])
def test_the_settings_that_come_along_are_sound(name):
    from vertebrometer.config import read_settings
    from vertebrometer.experiment.running import check_networks
    from vertebrometer.experiment.settings import ExperimentSettings

    settings = read_settings(ROOT / "configs" / f"experiment-{name}.toml", ExperimentSettings)
    check_networks(settings)
    if name in {"compact", "paper"}:
        assert {each.name for each in settings.segmenters} == {"unet", "resunet", "r2unet"}
        rows = {"resnet50", "densenet121", "carn-scalar", "carn-heights", "mrdn-literal", "mrdn-default"}
        assert {each.name for each in settings.regressors} >= rows
