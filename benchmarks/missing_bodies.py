"""How surely bodies that are missing in a row are counted, and where they are expected, on annotated films.

    python benchmarks/missing_bodies.py --truth truth.json [--leave-out NAME...] [--most 6]

Takes bodies away from the truth of each film (the form that ``vertebrometer phantom`` writes), scatters the
corners of the others a little, and asks how many are missing and where they should lie. A second table tells
how far from its place the body beyond an end of a row is expected. No film is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from vertebrometer.anatomy import Facing, FilmTruth, SixPoints, level_rank, read_truth
from vertebrometer.phantom import mirrored
from vertebrometer.segmentation.curve import following, gaps_between
from vertebrometer.segmentation.frames import BodyPose, pose_of

SCATTER = 0.03
"""Standard deviation of the corners that are left, in heights of their body."""
LEAST_LEFT = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--leave-out", nargs="*", default=[], help="films, by file name")
    parser.add_argument("--most", type=int, default=6, help="most bodies in a row that are taken away")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    spines = [
        poses(truth, rng) for truth in read_truth(arguments.truth) if truth.file not in arguments.leave_out
    ]
    heads = ("missing in a row", "gaps", "counted rightly", "clear", "rightly where clear")
    print(f"| {' | '.join((*heads, 'centre off, depths', 'depth off'))} |")
    print("|---" * (len(heads) + 2) + "|")
    for missing in range(arguments.most + 1):
        rows = [row for spine in spines for row in asked(spine, missing)]
        if rows:
            right, clear, away, deep = (np.array(column) for column in zip(*rows, strict=True))
            sure = f"{100 * right[clear].mean():.1f} %" if clear.any() else "-"
            place = f"{np.nanmean(away):.3f} | {100 * np.nanmean(deep):.1f} %" if missing else "- | -"
            share = f"{100 * right.mean():.1f} % | {100 * clear.mean():.0f} %"
            print(f"| {missing} | {len(rows)} | {share} | {sure} | {place} |")
    print(
        "\n| the next body | bodies | off, depths: from three | largest | from two (straight on) | largest |"
    )
    print("|---" * 6 + "|")
    for title, rows_of in ENDS.items():
        off = np.array([row for spine in spines for row in rows_of(spine)])
        far, farthest = off.mean(axis=0), off.max(axis=0)
        places = (f"{far[n]:.3f} | {farthest[n]:.2f}" for n in range(2))
        print(f"| {title} | {len(off)} | {' | '.join(places)} |")


def poses(truth: FilmTruth, rng: np.random.Generator) -> list[BodyPose]:
    """Poses of all bodies from the top, as if found a little wrong; the back lies on the right."""
    left = mirrored(truth) if truth.facing is Facing.RIGHT else truth
    out = []
    for body in sorted(left.bodies, key=lambda body: level_rank(body.level)):
        height = float(np.linalg.norm(np.subtract(*body.points.corners_rc[[0, 3]])))
        scattered = body.points.points_rc + rng.normal(0, SCATTER * height, (6, 2))
        out.append(pose_of(SixPoints(scattered)))
    return out


def asked(spine: list[BodyPose], missing: int) -> list[tuple[bool, bool, float, float]]:
    """For each place of a gap: counted rightly, clear, mean distance in depths, mean error of the depth."""
    rows = []
    for first in range(1, len(spine) - missing):
        left = [*spine[:first], *spine[first + missing :]]
        if len(left) < LEAST_LEFT:
            continue
        gap = gaps_between(left)[first - 1]
        right = gap.steps == missing + 1
        away, deep = [], []
        if right:
            for expected, true in zip(gap.expected, spine[first : first + missing], strict=True):
                away.append(apart(expected, true))
                deep.append(abs(expected.depth_px / true.depth_px - 1))
        rows.append((right, gap.clear, mean(away), mean(deep)))
    return rows


def beyond(spine: list[BodyPose]) -> list[tuple[float, float]]:
    """How far, in depths, each body lies from where the three, and the two, before it expect it."""
    rows = []
    for number in range(3, len(spine)):
        true = spine[number]
        before = spine[number - 3 : number]
        rows.append(tuple(apart(following(row), true) for row in (before, before[1:])))
    return rows


def apart(expected: BodyPose, true: BodyPose) -> float:
    """Distance of the centres in depths of the true body."""
    return float(np.linalg.norm(expected.centre_rc - true.centre_rc)) / true.depth_px


ENDS = {
    "downwards": beyond,
    "downwards, the last one": lambda spine: beyond(spine)[-1:],
    "upwards": lambda spine: beyond(spine[::-1]),
}


def mean(values: list[float]) -> float:
    """Mean, not a number where there is none."""
    return float(np.mean(values)) if values else float("nan")


if __name__ == "__main__":
    main()
