"""How surely a film that stands on its head or lies on its side is noticed, and an upright one let alone.

    python benchmarks/upside_down.py [--phantoms 60] [--films DIR] [--ct DIR --only NAME...]

Looks at each film as it is, turned by 180 degrees and by 90 degrees to one side or the other, without a pixel
spacing, and prints a line for each source: phantoms of every field of view, the pictures of a folder (upright
lateral films), projections of CT.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from refusals import readable

from vertebrometer.bench import ct_films, phantom_films
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph
from vertebrometer.report import Side

SEED = 90
LIES = {0: Side.TOP, 2: Side.BOTTOM, 1: Side.LEFT, -1: Side.RIGHT}
"""Side on which the head lies of a film that was turned so often by 90 degrees against the clock."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phantoms", type=int, default=60)
    parser.add_argument("--films", type=Path, nargs="*", default=[], help="folders of upright lateral films")
    parser.add_argument("--ct", type=Path, help="folder of CT with masks, as VerSe lays them out")
    parser.add_argument("--only", nargs="*", default=[], help="volumes that nothing was trained on")
    arguments = parser.parse_args()
    measurer = Measurer()
    heads = ("upright: measured", "of these, turned", "on their head: measured", "of these, noticed")
    print(f"| {' | '.join(('films', *heads, 'on their side: measured', 'of these, noticed'))} |")
    print("|---" * 7 + "|")
    for name, films in sources(arguments).items():
        told: dict[int, list[bool | None]] = {quarters: [] for quarters in LIES}
        for n, film in enumerate(films):
            bare = Radiograph(image=film.image, facts=film.facts)
            for quarters in (0, 2, (1, -1)[n % 2]):
                image = np.ascontiguousarray(np.rot90(film.image, quarters))
                told[quarters].append(noticed(measurer, replace(bare, image=image), LIES[quarters]))
        upright, on_head, on_side = told[0], told[2], [*told[1], *told[-1]]
        figures = [len(upright) - upright.count(None), upright.count(False)]
        for turned in (on_head, on_side):
            figures += [len(turned) - turned.count(None), turned.count(True)]
        print(f"| {name}, {len(upright)} | {' | '.join(map(str, figures))} |", flush=True)


def sources(arguments: argparse.Namespace) -> dict[str, Iterator[Radiograph]]:
    """Return the films of each source by its name."""
    found: dict[str, Iterator[Radiograph]] = {
        "phantoms": (film.radiograph for film in phantom_films(arguments.phantoms, SEED))
    }
    for folder in arguments.films:
        found[folder.name] = (film for _, film in readable(folder))
    if arguments.ct:
        projected = ct_films(arguments.ct, arguments.phantoms, SEED, only=arguments.only)
        found["projections of CT"] = (film.radiograph for film in projected)
    return found


def noticed(measurer: Measurer, film: Radiograph, head: Side) -> bool | None:
    """Return whether the head of a film was looked for where it lies; None where the film was refused."""
    report = measurer.measure(film)
    return report.head_side is head if report.quality.usable else None


if __name__ == "__main__":
    main()
