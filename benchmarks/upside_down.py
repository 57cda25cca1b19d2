"""How surely a film that stands on its head is noticed, and how often an upright one is taken for one.

    python benchmarks/upside_down.py [--phantoms 60] [--films DIR] [--ct DIR --only NAME...]

Looks at each film as it is and turned by 180 degrees, without a pixel spacing, and prints a line for each
source: phantoms of every field of view, the pictures of a folder (upright lateral films), projections of CT.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vertebrometer.bench import ct_films, phantom_films
from vertebrometer.errors import VertebrometerError
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph, read_radiograph

SEED = 90


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phantoms", type=int, default=60)
    parser.add_argument("--films", type=Path, nargs="*", default=[], help="folders of upright lateral films")
    parser.add_argument("--ct", type=Path, help="folder of CT with masks, as VerSe lays them out")
    parser.add_argument("--only", nargs="*", default=[], help="volumes that nothing was trained on")
    arguments = parser.parse_args()
    measurer = Measurer()
    print("| films | upright: measured | of these, turned | on their head: measured | of these, noticed |")
    print("|---|---|---|---|---|")
    for name, films in sources(arguments).items():
        upright, turned = [], []
        for film in films:
            bare = Radiograph(image=film.image, facts=film.facts)
            upright.append(outcome(measurer, bare))
            image = np.ascontiguousarray(film.image[::-1, ::-1])
            turned.append(outcome(measurer, replace(bare, image=image)))
        figures = [
            count for told in (upright, turned) for count in (len(told) - told.count(None), told.count(True))
        ]
        print(f"| {name}, {len(upright)} | {' | '.join(map(str, figures))} |", flush=True)


def sources(arguments: argparse.Namespace) -> dict[str, Iterator[Radiograph]]:
    """Return the films of each source by its name."""
    found: dict[str, Iterator[Radiograph]] = {
        "phantoms": (film.radiograph for film in phantom_films(arguments.phantoms, SEED))
    }
    for folder in arguments.films:
        found[folder.name] = readable(folder)
    if arguments.ct:
        projected = ct_films(arguments.ct, arguments.phantoms, SEED, only=arguments.only)
        found["projections of CT"] = (film.radiograph for film in projected)
    return found


def readable(folder: Path) -> Iterator[Radiograph]:
    """Read the films of a folder; what is no film is left out."""
    for path in sorted(folder.iterdir()):
        try:
            yield read_radiograph(path)
        except VertebrometerError:
            continue


def outcome(measurer: Measurer, film: Radiograph) -> bool | None:
    """Return whether a film was taken to stand on its head; None where it was refused."""
    report = measurer.measure(film)
    return report.head_down if report.quality.usable else None


if __name__ == "__main__":
    main()
