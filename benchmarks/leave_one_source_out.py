"""What each source of training films is worth: the point network trained without it, from scratch.

    python benchmarks/leave_one_source_out.py configs/points-compact-4.toml --steps 2500 \
        --ct DIR --only sub-verse014 --out runs/sources

Trains a narrow point network four times for as many steps: on all sources, without real films, without
phantoms, without projected CT. Each is asked for the six points of every whole body of films that none was
trained on, from poses that are a little wrong; coarse stage and close look play no part. Equation 1 over all
bodies with two neighbours; none is withheld.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, level_rank, read_truth
from vertebrometer.bench import ct_films, phantom_films
from vertebrometer.config import read_settings
from vertebrometer.evaluation import true_compressions
from vertebrometer.geometry import distance
from vertebrometer.phantom import mirrored
from vertebrometer.radiographs import read_radiograph
from vertebrometer.runtime import OnnxPredictor
from vertebrometer.segmentation.fine import read_bodies
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.training import PointsSettings, train_points
from vertebrometer.types import GrayImage

Film = tuple[GrayImage, FilmTruth]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path, help="settings of `vertebrometer train points`")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--films", type=int, default=40, help="of phantoms, and of projections")
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="volumes that nothing is trained on")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.config, PointsSettings)
    base = arguments.config.parent
    held_out = {
        "real": list(real_films(settings, base)),
        "phantoms": [(f.radiograph.image, f.truth) for f in phantom_films(arguments.films, 60)],
        "projected CT": [
            (f.radiograph.image, f.truth)
            for f in ct_films(arguments.ct, arguments.films, 60, only=arguments.only)
        ],
    }
    print(
        "| trained | " + " | ".join(f"{name}: corner error; MAE; r" for name in held_out) + " |", flush=True
    )
    print("|---" * (len(held_out) + 1) + "|", flush=True)
    for left_out in ("", "real", "phantom", "ct"):
        name = f"without {left_out}" if left_out else "on all"
        path = trained(settings, left_out, arguments, base)
        cells = [scored(films, OnnxPredictor(path)) for films in held_out.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def trained(settings: PointsSettings, left_out: str, arguments: argparse.Namespace, base: Path) -> Path:
    """Train without a source, or take what was trained before."""
    out = arguments.out.resolve() / (left_out or "all")
    done = out / f"{settings.name}.onnx"
    if done.exists():
        return done
    network = replace(settings.run.network, width=arguments.width, max_width=arguments.width * 8)
    run = replace(
        settings.run,
        out=out,
        network=network,
        start_from="",
        max_minutes=None,
        epochs=1,
        steps_per_epoch=arguments.steps,
    )
    weights = {f"{left_out}_weight": 0.0} if left_out else {}
    data = replace(settings.data, **weights)
    return train_points(replace(settings, run=run, data=data), base=base, resume=True, show_progress=False)


def real_films(settings: PointsSettings, base: Path) -> Iterator[Film]:
    """Read the validation films that the settings name."""
    for folder in settings.data.films:
        truths = {truth.file: truth for truth in read_truth(base / folder.truth)}
        for name in folder.validation:
            yield read_radiograph(base / folder.truth.parent / name).image, truths[name]


def scored(films: Sequence[Film], predictor: OnnxPredictor) -> str:
    """Return corner error (median, % of height), MAE in points and r over all films."""
    errors: list[float] = []
    pairs: list[tuple[float, float]] = []
    for film in films:
        image, truth = facing_left(*film)
        true = sorted((b for b in truth.bodies if b.whole), key=lambda b: level_rank(b.level))
        found = read(image, true, predictor)
        errors += [e for own, other in zip(true, found, strict=True) for e in corner_errors(own, other)]
        values = zip(true_compressions(true), true_compressions(found), strict=True)
        pairs += [(a, b) for a, b in values if a is not None and b is not None]
    wanted, given = np.array(pairs).T
    mae, r = np.abs(given - wanted).mean(), np.corrcoef(wanted, given)[0, 1]
    return f"{np.median(errors):.1f} %; {mae:.2f}; {r:.2f}"


def facing_left(image: GrayImage, truth: FilmTruth) -> Film:
    """Return a film that faces right as its mirror image, as `measure` does."""
    if truth.facing is not Facing.RIGHT:
        return image, truth
    return np.ascontiguousarray(image[:, ::-1]), mirrored(truth)


def read(image: GrayImage, bodies: Sequence[BodyTruth], predictor: OnnxPredictor) -> list[BodyTruth]:
    """Read the bodies of a film from poses that are a little wrong."""
    rng = np.random.default_rng(0)
    poses = [
        pose_of(body.points).moved(shift=tuple(rng.normal(0, 0.05, 2)), turn_deg=float(rng.normal(0, 4)))
        for body in bodies
    ]
    readings = read_bodies(image, poses, predictor)
    return [replace(body, points=own.points) for body, own in zip(bodies, readings, strict=True)]


def corner_errors(true: BodyTruth, found: BodyTruth) -> Iterable[float]:
    """Distance of each corner from the true one, in percent of the true height."""
    corners = true.points.corners_rc
    height = (distance(corners[0], corners[3]) + distance(corners[1], corners[2])) / 2
    return [100 * distance(a, b) / height for a, b in zip(corners, found.points.corners_rc, strict=True)]


if __name__ == "__main__":
    main()
