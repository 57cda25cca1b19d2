"""Facts about a whole run of the corner network, on two films for two steps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from vertebrometer.errors import SettingsError
from vertebrometer.runtime import OnnxPredictor
from vertebrometer.training import run_corners
from vertebrometer.training.data import SurfaceSpine

pytestmark = pytest.mark.torch

BOX = np.array([[x, y, z] for x in (-17.0, 17.0) for y in (-22.0, 22.0) for z in (-13.0, 13.0)])
FACES = [(1, 2, 4), (1, 4, 3), (5, 7, 8), (5, 8, 6), (1, 5, 6), (1, 6, 2), (3, 4, 8), (3, 8, 7), (1, 3, 7),
         (1, 7, 5), (2, 6, 8), (2, 8, 4)]  # fmt: skip

CONFIG = """
bank_mm = 1.0
validation_samples = 4

[run]
out = "run"
epochs = 1
steps_per_epoch = 2
batch_size = 2
overlay_samples = 2
accelerator = "cpu"

[run.network]
name = "corners"
width = 4
depth = 2
in_channels = 2

[run.network.heads]
points = 3
hidden = 8

[data]
bank = "bank"
phantoms = 1
validation_phantoms = 1
surfaces_credit = "three boxes"

[[data.surfaces]]
name = "boxes"
folder = "."
levels = ["L2", "L3", "L4"]
files = ["L2.obj", "L3.obj", "L4.obj"]
films = 2
"""


@pytest.fixture
def boxes(tmp_path):
    for place, level in enumerate(("L2", "L3", "L4")):
        points = BOX - np.array([0.0, 0.0, 34.0 * place])
        lines = [f"v {x} {y} {z}" for x, y, z in points] + [f"f {a} {b} {c}" for a, b, c in FACES]
        (tmp_path / f"{level}.obj").write_text("\n".join(lines))
    return tmp_path


def test_a_run_ends_in_weights_that_say_what_they_saw_and_is_resumed_only_on_demand(boxes):
    config = boxes / "corners.toml"
    config.write_text(CONFIG)
    predictor = OnnxPredictor(run_corners(config, show_progress=False))
    assert predictor.card.input.channels == 12
    seen = {source.name: source.films for source in predictor.card.trained_on}
    assert seen == {"vertebrometer phantoms": 1, "three boxes": 2}
    out = predictor(np.zeros((3, 12, 48, 48), np.float32))
    assert {name: value.shape for name, value in out.items()} == {"points": (3, 6, 2), "spread": (3, 6, 2)}
    assert list((boxes / "run" / "overlays").glob("*.png"))
    with pytest.raises(SettingsError, match="holds a run already"):
        run_corners(config, show_progress=False)
    assert run_corners(config, resume=True, show_progress=False).exists()


def test_surfaces_are_named_one_by_one_or_all_in_tables(tmp_path):
    with pytest.raises(SettingsError, match="either files, or vertices and faces"):
        SurfaceSpine(name="a", folder=tmp_path, levels=("L1",))
    with pytest.raises(SettingsError, match="2 levels want as many files, got 1"):
        SurfaceSpine(name="a", folder=tmp_path, levels=("L1", "L2"), files=("L1.obj",))
