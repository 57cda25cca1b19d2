"""Facts about a run that trains the point network and the corner network together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vertebrometer.errors import SettingsError
from vertebrometer.runtime import OnnxPredictor
from vertebrometer.training import run_bodies
from vertebrometer.training.data import CtFolder, DataSettings, FilmFolder, cut_jobs
from vertebrometer.training.joint import JointSettings

pytestmark = pytest.mark.torch

CONFIG = """
out = "run"
minutes = 0.02
batch_size = 6
first_cuts = 10
capacity = 200
bank_mm = 1.0
validation_samples = 64

[[networks]]
kind = "points"
name = "points"

[networks.network]
name = "points"
width = 4
depth = 2
stem_stride = 2

[networks.network.heads]
levels = 27
hidden = 8

[[networks]]
kind = "corners"
name = "corners"

[networks.network]
name = "corners"
width = 4
depth = 2
in_channels = 2

[networks.network.heads]
points = 3
hidden = 8

[data]
phantoms = 4
phantom_weight = 1.0
real_weight = 0.0
ct_weight = 0.0
validation_phantoms = 1
processes = 1
"""


def test_both_networks_learn_from_the_same_films_and_end_in_weights_with_cards(tmp_path):
    config = tmp_path / "bodies.toml"
    config.write_text(CONFIG)
    points, corners = (OnnxPredictor(path) for path in run_bodies(config))
    assert (points.card.name, corners.card.name) == ("points", "corners")
    assert points.card.trained_on[0].name == "vertebrometer phantoms"
    assert 1 <= points.card.trained_on[0].films <= 4
    out = points(np.zeros((2, 1, 128, 128), np.float32))
    assert out["points"].shape == (2, 6, 2)
    assert corners(np.zeros((2, 12, 48, 48), np.float32))["points"].shape == (2, 6, 2)
    with pytest.raises(SettingsError, match="holds a run of points already"):
        run_bodies(config)
    config.write_text(CONFIG.replace("minutes = 0.02", "minutes = 0.04"))
    before = torch.load(tmp_path / "run" / "points" / "last.pt", weights_only=True)["progress"]["step"]
    run_bodies(config, resume=True)
    after = torch.load(tmp_path / "run" / "points" / "last.pt", weights_only=True)["progress"]["step"]
    assert after > before


def test_too_few_films_are_an_error_that_says_so(tmp_path):
    config = tmp_path / "bodies.toml"
    config.write_text(CONFIG.replace("first_cuts = 10", "first_cuts = 150"))
    with pytest.raises(SettingsError, match="ask for more"):
        run_bodies(config)


def test_networks_need_names_of_their_own():
    with pytest.raises(SettingsError, match="names of their own"):
        JointSettings(out=Path("run"), networks=(), minutes=1.0)


def test_films_of_all_sources_are_made_evenly_and_validation_films_apart(tmp_path):
    corners = {
        "superior_anterior": [20, 10],
        "superior_posterior": [10, 10],
        "inferior_posterior": [10, 20],
        "inferior_anterior": [20, 20],
    }
    film = {"width": 40, "height": 40, "vertebrae": [{"level": "L1", "corners": corners}]}
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"films": [{"file": f"{n}.png"} | film for n in "abc"]}))
    data = DataSettings(
        phantoms=40,
        films=(FilmFolder(truth=Path("truth.json"), validation=("b.png",)),),
        ct=(CtFolder(folder=Path("ct"), films=12),),
        validation_phantoms=3,
    )
    jobs = cut_jobs(data, pixel_mm=0.3, base=tmp_path, degraded=0.1)
    assert [job.group for job in jobs[:2]] == ["real", "real"]
    made = {"phantom": 0, "ct": 0}
    for job in jobs[2:]:
        made[job.group] += job.end - job.first
        assert abs(made["phantom"] / 40 - made["ct"] / 12) <= 0.51
    assert made == {"phantom": 40, "ct": 12}
    held = cut_jobs(data, pixel_mm=0.3, base=tmp_path, degraded=0.1, validation=True)
    assert [(job.group, job.end - job.first) for job in held] == [("real", 1), ("phantom", 3)]
