"""Count refusals of pictures that are no lateral spine films: ``python benchmarks/refusals.py``.

Draws 50 of them (frontal spines, chests, hands, noise, text, photographs), measures each and counts refusals.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vertebrometer.bench import BENCH_SEED
from vertebrometer.export import overlay_png, write_bytes
from vertebrometer.phantom import other_picture
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph

COUNTS = {"frontal spine": 14, "chest": 8, "hand": 7, "noise": 7, "text": 7, "photograph": 7}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write what was not refused here, to be looked at")
    parser.add_argument("--weights", type=Path, help="another folder of weights than the shipped one")
    arguments = parser.parse_args()
    measurer = Measurer(weights=arguments.weights)
    refused = total = 0
    for kind, count in COUNTS.items():
        for number in range(count):
            image = other_picture(BENCH_SEED + 1000 * arguments.seed + number, kind=kind)
            report = measurer.measure(Radiograph(image=image))
            total += 1
            refused += not report.quality.usable
            if report.quality.usable:
                print(f"not refused: {kind} {number + 1}, {len(report.vertebrae)} bodies")
                if arguments.out:
                    arguments.out.mkdir(parents=True, exist_ok=True)
                    name = f"{kind}-{number + 1}.overlay.png".replace(" ", "-")
                    write_bytes(
                        arguments.out / name,
                        overlay_png(image, report),
                    )
    print(f"refused {refused} of {total}")


if __name__ == "__main__":
    main()
