"""Count refusals of pictures that are no lateral spine films.

    python benchmarks/refusals.py [--ct DIR] [--films DIR...]

Draws 50 of them (frontal spines, chests, hands, noise, text, photographs), measures each and counts refusals.
With a folder of CT and masks as VerSe lays them out, it projects each spine from the front as well. Folders
of films are counted instead: films of other views, to see which are refused, or lateral ones, to see which
are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vertebrometer.bench import BENCH_SEED
from vertebrometer.errors import VertebrometerError
from vertebrometer.export import overlay_png, write_bytes
from vertebrometer.phantom import other_picture
from vertebrometer.pipeline import Measurer
from vertebrometer.projection import load_paths, projected_films, seen_from_the_front, spines_in
from vertebrometer.radiographs import STATED_POLARITY, Radiograph, find_films, read_radiograph

SAID = {"polarity": STATED_POLARITY}
"""As a DICOM file has it, so that what is refused is looked at as a negative, too."""
COUNTS = {"frontal spine": 14, "chest": 8, "hand": 7, "noise": 7, "text": 7, "photograph": 7}


def drawn(seed: int) -> Iterator[tuple[str, Radiograph]]:
    """Draw the pictures, each with its name."""
    for kind, count in COUNTS.items():
        for number in range(count):
            image = other_picture(BENCH_SEED + 1000 * seed + number, kind=kind)
            yield f"{kind} {number + 1}", Radiograph(image=image, facts=SAID)


def frontal(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Radiograph]]:
    """Project every spine of a folder from the front, `count` times each."""
    for paths in spines_in(folder):
        spine = seen_from_the_front(load_paths(paths))
        films = projected_films([spine], count, BENCH_SEED + seed, crush_rate=0)
        for number, (radiograph, _) in enumerate(films):
            yield f"{paths.name} from the front {number + 1}", replace(radiograph, facts=SAID)


def readable(folder: Path) -> Iterator[tuple[str, Radiograph]]:
    """Read every film of a folder and of those in it; what cannot be read is told and not counted."""
    for path in find_films([folder]):
        try:
            yield path.relative_to(folder).as_posix(), read_radiograph(path)
        except VertebrometerError as error:
            print(f"not read: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ct", type=Path, help="folder of CT and masks to project from the front")
    parser.add_argument("--each", type=int, default=5, help="projections of each spine (default 5)")
    parser.add_argument("--films", type=Path, nargs="+", default=[], help="folders of films to count instead")
    parser.add_argument("--out", type=Path, help="write what was not refused here, to be looked at")
    parser.add_argument("--weights", type=Path, help="another folder of weights than the shipped one")
    arguments = parser.parse_args()
    measurer = Measurer(weights=arguments.weights)
    groups = {str(folder): readable(folder) for folder in arguments.films}
    if not groups:
        groups["drawn"] = drawn(arguments.seed)
    if arguments.ct:
        groups["projected from the front"] = frontal(arguments.ct, arguments.each, arguments.seed)
    for group, pictures in groups.items():
        refused = total = 0
        for name, radiograph in pictures:
            report = measurer.measure(radiograph)
            total += 1
            refused += not report.quality.usable
            if report.quality.usable:
                values = sum(body.percent is not None for body in report.vertebrae)
                print(f"not refused: {name}, {len(report.vertebrae)} bodies, {values} values")
                if arguments.out:
                    arguments.out.mkdir(parents=True, exist_ok=True)
                    write_bytes(
                        arguments.out / f"{name}.overlay.png".replace(" ", "-"),
                        overlay_png(radiograph.image, report),
                    )
        print(f"{group}: refused {refused} of {total}", flush=True)


if __name__ == "__main__":
    main()
