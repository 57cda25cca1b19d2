"""Set the widening of intervals.

    python benchmarks/calibrate.py --ct DIR --only sub-verse010

Measures phantoms and projected CT that no network was trained on, and writes the conformal
factors of each band of severity to src/vertebrometer/data/calibration.json. Check the coverage on
other films: ``vertebrometer bench``.
"""

from __future__ import annotations

import argparse
import json
from itertools import chain
from pathlib import Path

import vertebrometer
from vertebrometer.bench import calibrated, ct_films, phantom_films, run_bench
from vertebrometer.compression import IntervalCalibration
from vertebrometer.pipeline import Measurer

TARGET = Path(vertebrometer.__file__).parent / "data" / "calibration.json"
SEED = 77
"""No other command uses the films of this seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phantoms", type=int, default=150)
    parser.add_argument("--ct", type=Path)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--projections", type=int, default=75)
    arguments = parser.parse_args()
    measurer = Measurer(calibration=IntervalCalibration())
    films = phantom_films(arguments.phantoms, SEED)
    if arguments.ct:
        films = chain(films, ct_films(arguments.ct, arguments.projections, SEED, only=arguments.only))
    result = run_bench(films, measurer.measure)
    found = calibrated(result, used=IntervalCalibration())
    pairs = result.pairs()
    facts = {
        "limits_percent": found.limits_percent,
        "factors": [round(factor, 4) for factor in found.factors],
        "floors_points": found.floors_points,
        "coverage": 0.9,
        "method": "split conformal on normalised residuals, by band of measured compression",
        "films": len(result.films),
        "bodies": len(pairs),
        "seed": SEED,
        "ct": list(arguments.only),
        "weights": measurer.model_hashes,
    }
    TARGET.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
