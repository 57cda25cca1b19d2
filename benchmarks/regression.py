"""Does a regression network on measured outlines beat the geometry of ``measure``? This tells.

    python benchmarks/regression.py --truth films/truth.json --reports reports

Takes films that were measured (``make bench`` leaves some) and their truth. An MRDN sees each body with its
two neighbours, as outlines and as hexagons of their six points, and learns what equation 1 on the points is
off by; a film is always answered by a network that saw none of its bodies. Prints the errors of geometry, of
geometry plus the network's difference, and of the mean of both, with 95 % intervals over films of the change.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vertebrometer.anatomy import FilmTruth, Vertebra, level_rank, read_truth
from vertebrometer.evaluation import true_compressions
from vertebrometer.evaluation.films import MATCHED_FROM
from vertebrometer.evaluation.rasters import overlap
from vertebrometer.experiment.regressing import ValueLoss
from vertebrometer.networks import MrdnReading, NetworkConfig, build_network
from vertebrometer.report import FilmReport, read_report
from vertebrometer.training import TrainingSettings, fit

SIDE_PX, FILL, FINE = 128, 0.86, 4
SCALE = 20.0
"""Percentage points per unit of the network's output."""
FRACTURED_FROM = 20.0


@dataclass(frozen=True)
class Measured:
    """One body with its neighbours, its value by geometry and its true value."""

    film: int
    picture: NDArray[np.uint8]
    geometry: float
    true: float


def triplet_picture(triplet: Sequence[Vertebra], aspect: float) -> NDArray[np.uint8]:
    """Draw outlines and hexagons of three bodies, upright and front to the left, shape (2, side, side)."""
    hexagons = [body.points.points_rc * (aspect, 1.0) for body in triplet]
    outlines = [np.asarray(body.contour_rc) * (aspect, 1.0) for body in triplet]
    down = hexagons[2].mean(axis=0) - hexagons[0].mean(axis=0)
    down /= np.linalg.norm(down)
    back = np.array([-down[1], down[0]])
    if sum(float((h[[2, 3]] - h[[0, 5]]).mean(axis=0) @ back) for h in hexagons) < 0:
        back = -back
    turn = np.array([down, back]).T
    turned = [[line @ turn for line in lines] for lines in (outlines, hexagons)]
    every = np.vstack([line for lines in turned for line in lines])
    low, high = every.min(axis=0), every.max(axis=0)
    zoom = FILL * SIDE_PX / float((high - low).max())
    channels = []
    for lines in turned:
        canvas = np.zeros((SIDE_PX * FINE, SIDE_PX * FINE), np.uint8)
        for line in lines:
            placed = (line - (low + high) / 2) * zoom + (SIDE_PX - 1) / 2
            corners = np.round(((placed + 0.5) * FINE - 0.5)[:, ::-1] * 16).astype(np.int32)
            cv2.fillPoly(canvas, [corners.reshape(-1, 1, 2)], 255, lineType=cv2.LINE_8, shift=4)
        channels.append(cv2.resize(canvas, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))
    return np.stack(channels)


def measured_bodies(number: int, truth: FilmTruth, report: FilmReport) -> list[Measured]:
    """Pair the measured bodies of one film with their true values."""
    bodies = sorted(truth.bodies, key=lambda body: level_rank(body.level))
    vertebrae = [body.as_vertebra() for body in report.vertebrae]
    out = []
    for body, true in zip(bodies, true_compressions(bodies, report.aspect), strict=True):
        fits = [overlap(body.points.corners_rc, v.points.corners_rc) for v in vertebrae]
        place = int(np.argmax(fits)) if fits else -1
        if true is None or place < 0 or fits[place] < MATCHED_FROM:
            continue
        value = report.vertebrae[place].percent
        if value is not None:
            picture = triplet_picture(vertebrae[place - 1 : place + 2], report.aspect)
            out.append(Measured(number, picture, value, true))
    return out


@dataclass(frozen=True)
class Source:
    """Draws bodies, a quarter of them fractured, half of them upside down."""

    items: Sequence[Measured]

    def sample(self, rng: np.random.Generator, /) -> dict[str, NDArray[np.float32]]:
        """Draw one picture with the difference that is wanted."""
        broken = [item for item in self.items if item.true >= FRACTURED_FROM]
        pool = broken if broken and rng.random() < 0.25 else self.items
        item = pool[int(rng.integers(len(pool)))]
        picture = item.picture[:, ::-1] if rng.random() < 0.5 else item.picture
        shift = rng.integers(-6, 7, 2)
        moved = np.roll(picture, (int(shift[0]), int(shift[1])), axis=(1, 2))
        return {
            "image": moved.astype(np.float32) / 255,
            "values": np.array([(item.true - item.geometry) / SCALE], np.float32),
            "values_valid": np.ones(1, np.float32),
        }


def differences(train: Sequence[Measured], asked: Sequence[Measured], steps: int) -> NDArray[np.float64]:
    """Train on some bodies and answer for others; each is looked at upright and upside down."""
    torch.manual_seed(0)
    network = build_network(
        NetworkConfig(
            name="mrdn", in_channels=2, mrdn=MrdnReading(channels=(16, 32, 48, 64, 96, 96), pools=4)
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingSettings(
            out=Path(folder) / "run",
            network=NetworkConfig(name="mrdn"),
            epochs=1,
            steps_per_epoch=steps,
            batch_size=32,
            optimiser="adamw",
            learning_rate=2e-3,
            schedule="cosine",
            weight_decay=1e-2,
            overlay_samples=0,
            accelerator="cpu",
        )
        fit(network, Source(train), loss_of=ValueLoss(kind="absolute"), settings=run)
    network.eval()
    found = []
    with torch.no_grad():
        for item in asked:
            picture = torch.from_numpy(item.picture.astype(np.float32) / 255)[None]
            found.append(float((network(picture) + network(picture.flip(2)))[0, 0]) / 2 * SCALE)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    items: list[Measured] = []
    for number, truth in enumerate(read_truth(arguments.truth)):
        path = arguments.reports / f"{Path(truth.file).stem}.json"
        if path.exists():
            items += measured_bodies(number, truth, read_report(path))
    films = np.array([item.film for item in items])
    true, geometry = (np.array([getattr(item, name) for item in items]) for name in ("true", "geometry"))
    added = np.zeros(len(items))
    for fold in range(arguments.folds):
        own = films % arguments.folds == fold
        train = [item for item, mine in zip(items, own, strict=True) if not mine]
        added[own] = differences(
            train, [item for item, mine in zip(items, own, strict=True) if mine], arguments.steps
        )
    rows = {
        "geometry": geometry,
        "geometry + network": geometry + added,
        "mean of both": geometry + added / 2,
    }
    for group, kept in (("all", true > -np.inf), ("from 20 %", true >= FRACTURED_FROM)):
        for name, values in rows.items():
            off = (values - true)[kept]
            change = np.abs(off) - np.abs((geometry - true)[kept])
            low, high = _interval(change, films[kept])
            print(
                f"{group:>10}  {name:<20} n {kept.sum():>5}  MAE {np.abs(off).mean():.2f}  "
                f"RMSE {np.sqrt((off**2).mean()):.2f}  bias {off.mean():+.2f}  "
                f"change of MAE {change.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
            )


def _interval(change: NDArray[np.float64], films: NDArray[np.int_]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    groups = [change[films == film] for film in np.unique(films)]
    means = [
        np.concatenate([groups[int(n)] for n in rng.integers(0, len(groups), len(groups))]).mean()
        for _ in range(1000)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
