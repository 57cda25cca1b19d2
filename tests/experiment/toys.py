"""A folder of toy films that a tiny network segments after seconds: bright bodies on dark noise."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (160, 96)

CONFIG = """
out = "out"
seeds = [{seeds}]
repeats = 40
figure_films = 2
{more}

[data]
canvas_px = 160

[[data.folders]]
folder = "films"
credit = "toys"

[split]
folds = 2
seed = 3
test_share = 0.3

[view]
side_px = 48
values = "share"

[film_augmentation]
grey = 0.0
turn_deg = 2.0

[segmentation]
epochs = 2
steps_per_epoch = 20
batch_size = 4
learning_rate = 2e-2
threads = 1
accelerator = "cpu"

[[segmenters]]
name = "unet"
network = {{ name = "unet", width = 4, depth = 2 }}

[regression]
epochs = 2
steps_per_epoch = 4
batch_size = 8
threads = 1
accelerator = "cpu"

[[regressors]]
name = "residual"
network = {{ name = "mrdn", mrdn = {{ channels = [4, 4, 8], pools = 2 }} }}
targets = "residual"

[[regressors]]
name = "mrdn"
network = {{ name = "mrdn", mrdn = {{ channels = [4, 4, 8], pools = 2 }} }}
"""


def body(top, anterior, posterior=20.0, left=34.0, depth=28.0):
    return np.array(
        [[top, left], [top, left + depth], [top + posterior, left + depth], [top + anterior, left]]
    )


def write_film(folder: Path, number: int) -> list[tuple[str, str, int, float]]:
    """Write one film and its mask; return its rows: film, patient, body, value."""
    from vertebrometer.training.bank import polygon_mask

    rng = np.random.default_rng(number)
    anteriors = 20 - rng.choice([0.0, 1.0, 3.0, 8.0], 4, p=[0.3, 0.3, 0.2, 0.2])
    first = int(rng.integers(14, 24))
    shares = [polygon_mask(body(first + 30 * n, h), SHAPE) for n, h in enumerate(anteriors)]
    labels = np.zeros(SHAPE, np.uint8)
    for n, share in enumerate(shares, 1):
        labels[share >= 0.5] = n
    film = 0.15 + 0.7 * np.max(shares, axis=0) + rng.normal(0, 0.03, SHAPE)
    name = f"film-{number:02d}.png"
    Image.fromarray((np.clip(film, 0, 1) * 255).astype(np.uint8)).save(folder / name)
    Image.fromarray(labels).save(folder / "masks" / name)
    rows = []
    for n in (1, 2):
        expected = (anteriors[n - 1] + anteriors[n + 1]) / 2
        rows.append(
            (name, f"patient-{number // 2}", n + 1, round(100 * (expected - anteriors[n]) / expected, 3))
        )
    return rows


def write_folder(base: Path, count: int = 16) -> Path:
    """Write films, masks and films.csv into base/films; two films for each patient."""
    folder = base / "films"
    (folder / "masks").mkdir(parents=True)
    rows = [row for number in range(count) for row in write_film(folder, number)]
    with (folder / "films.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("film", "patient", "body", "vc"), *rows])
    return folder


def write_config(base: Path, *, seeds: str = "1", more: str = "") -> Path:
    path = base / "toy.toml"
    path.write_text(CONFIG.format(seeds=seeds, more=more), encoding="utf-8")
    return path
