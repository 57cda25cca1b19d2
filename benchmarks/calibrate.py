"""Set the widening of intervals from measured films with exact truth.

    make bench
    python benchmarks/calibrate.py --truth runs/bench/films/truth.json --reports runs/bench/reports

Writes the conformal factors of each band of severity to src/vertebrometer/data/calibration.json.
Check the coverage on other films: ``vertebrometer bench --seed 1``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import vertebrometer
from vertebrometer.anatomy import read_truth
from vertebrometer.bench import BenchResult, calibrated
from vertebrometer.pipeline import shipped_calibration
from vertebrometer.report import read_report

TARGET = Path(vertebrometer.__file__).parent / "data" / "calibration.json"
LEAST_BODIES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--reports", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [
        (stem, "phantom", read_report(path), truth)
        for truth in read_truth(arguments.truth)
        if (path := arguments.reports / f"{(stem := Path(truth.file).stem)}.json").exists()
    ]
    result = BenchResult(tuple(rows))
    found = calibrated(result, used=shipped_calibration(), least=LEAST_BODIES)
    facts = {
        "limits_percent": found.limits_percent,
        "factors": [round(factor, 4) for factor in found.factors],
        "floors_points": found.floors_points,
        "coverage": 0.9,
        "method": "split conformal on normalised residuals, by band of measured compression",
        "films": len(result.films),
        "bodies": len(result.pairs()),
        "weights": {model.name: model.sha256 for model in rows[0][2].models},
    }
    TARGET.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
