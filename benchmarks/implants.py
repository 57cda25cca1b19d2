"""Count how many bodies under metalwork or with cement are flagged, and how many others are.

    python benchmarks/implants.py [--films 100] [--weights DIR]

Measures phantoms that nothing was trained on, in which most fractured bodies and some others hold cement.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from teach_cement import filled_phantoms

from vertebrometer.anatomy import BodyTruth, Reason
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph
from vertebrometer.report import BodyReport

SEED = 9_400_001
FLAGS = (Reason.METALWORK, Reason.CEMENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--weights", type=Path, help="another folder of weights than the shipped one")
    arguments = parser.parse_args()
    measurer = Measurer(weights=arguments.weights)
    counts: Counter[tuple[str, str]] = Counter()
    for image, truth in filled_phantoms(arguments.films, SEED):
        report = measurer.measure(Radiograph(image=image, name=truth.file))
        for body in truth.bodies:
            found = _found(body, report.vertebrae) if body.whole else None
            if found is not None:
                flags = [flag.value for flag in FLAGS if flag in found.reasons]
                counts[body.implant, " and ".join(flags) or "none"] += 1
    print("| holds | bodies found | flagged as metalwork, % | as cement, % |\n|---|---|---|---|")
    for holds in ("none", "cement", "metal"):
        total = sum(count for (own, _), count in counts.items() if own == holds)
        shares = [
            sum(count for (own, said), count in counts.items() if own == holds and flag.value in said)
            for flag in FLAGS
        ]
        print(f"| {holds} | {total} | " + " | ".join(f"{100 * n / max(total, 1):.1f}" for n in shares) + " |")


def _found(body: BodyTruth, told: tuple[BodyReport, ...]) -> BodyReport | None:
    """Return the told body whose centre lies within 0.4 heights of the true one."""
    if not told:
        return None
    away = [float(np.linalg.norm(own.points.centre_rc - body.points.centre_rc)) for own in told]
    height = float(np.linalg.norm(np.subtract(*body.points.corners_rc[[1, 2]])))
    nearest = int(np.argmin(away))
    return told[nearest] if away[nearest] < 0.4 * height else None


if __name__ == "__main__":
    main()
