"""Set the widening of intervals from measured films with exact truth that nothing was trained on.

    python benchmarks/calibrate.py --films 900 --ct DIR --only sub-verse010 lumbar-3mm

Measures phantoms and, with --ct, projections of CT (one film in three), and writes the conformal factors of
each band of severity to src/vertebrometer/data/calibration.json. Check the coverage on other films and other
patients: ``vertebrometer bench --seed 1 --ct DIR --only sub-verse014``.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import vertebrometer
from vertebrometer.bench import bench_films, calibrated, run_bench
from vertebrometer.pipeline import Measurer, MeasureSettings, shipped_calibration

TARGET = Path(vertebrometer.__file__).parent / "data" / "calibration.json"
LEAST_BODIES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=160)
    parser.add_argument("--seed", type=int, default=50, help="of the bench; not that of the films that check")
    parser.add_argument("--ct", type=Path, help="folder of CT with masks, as VerSe lays them out")
    parser.add_argument("--only", nargs="*", default=[], help="volumes that nothing was trained on")
    arguments = parser.parse_args()
    films = bench_films(arguments.films, arguments.seed, ct=arguments.ct, only=arguments.only)
    # Every value counts here, also those that would be too unsure to tell.
    measurer = Measurer(MeasureSettings(widest_points=math.inf))
    result = run_bench(films, measurer.measure)
    found = calibrated(result, used=shipped_calibration(), least=LEAST_BODIES)
    groups = sorted({group for _, group, _, _ in result.films})
    facts = {
        "limits_percent": found.limits_percent,
        "factors": [round(factor, 4) for factor in found.factors],
        "floors_points": found.floors_points,
        "coverage": 0.9,
        "method": "split conformal on normalised residuals, by band of measured compression",
        "seed": arguments.seed,
        "films": {group: sum(film[1] == group for film in result.films) for group in groups},
        "bodies": {group: len(result.pairs(group)) for group in groups},
        "weights": measurer.model_hashes,
    }
    TARGET.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
