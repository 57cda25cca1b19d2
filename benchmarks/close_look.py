"""What the close look at each point is worth: the bench measured with and without it, on the same bodies.

    python benchmarks/close_look.py --films 120 --seed 5 --ct DIR --only sub-verse010

Prints the corner error of all bodies found, and the errors of the compression over bodies that both measure,
with the change of the MAE and its 95 % interval from drawing films anew.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from vertebrometer.bench import BenchResult, bench_films, run_bench
from vertebrometer.evaluation import bootstrap, score_film
from vertebrometer.pipeline import Measurer, MeasureSettings
from vertebrometer.runtime import CORNERS_WEIGHTS, shipped_weights, write_manifest

Key = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=120)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--ct", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    films = list(bench_films(arguments.films, arguments.seed, ct=arguments.ct, only=arguments.only))
    settings = MeasureSettings(widest_points=math.inf)
    with tempfile.TemporaryDirectory() as folder:
        for name, path in shipped_weights().items():
            if name != CORNERS_WEIGHTS:
                shutil.copy(path, folder)
        write_manifest(Path(folder))
        plain = run_bench(films, Measurer(settings, weights=Path(folder)).measure)
    close = run_bench(films, Measurer(settings).measure)
    print("| films | corner error, % of height: without, with | bodies | MAE without, with: change | RMSE |")
    print("|---|---|---|---|---|")
    for group in sorted({film.group for film in films}):
        print(row(group, group, plain, close, least=-math.inf))
        print(row(f"{group}, from 20 %", group, plain, close, least=20.0))


def row(name: str, group: str, plain: BenchResult, close: BenchResult, *, least: float) -> str:
    """Return one line of the table."""
    corners = [result.evaluation(group, repeats=1).corner_error_median_percent for result in (plain, close)]
    first, second = errors(plain, group), errors(close, group)
    both = [key for key in first if key in second and first[key][1] >= least]
    pairs = np.array([(first[key][0], second[key][0]) for key in both])
    mae, rmse = np.abs(pairs).mean(axis=0), np.sqrt((pairs**2).mean(axis=0))
    low, high = interval(both, np.abs(pairs[:, 1]) - np.abs(pairs[:, 0]))
    change = f"{mae[1] - mae[0]:+.2f} [{low:+.2f}, {high:+.2f}]"
    return (
        f"| {name} | {corners[0]:.1f}, {corners[1]:.1f} | {len(both)} | {mae[0]:.2f}, {mae[1]:.2f}: {change} "
        f"| {rmse[0]:.2f}, {rmse[1]:.2f} |"
    )


def errors(result: BenchResult, group: str) -> dict[Key, tuple[float, float]]:
    """Return error and true value of each body that was measured."""
    out = {}
    for name, own, report, truth in result.films:
        if own == group:
            for pair in score_film(truth, report, first="T1", last="L6").pairs:
                out[(own, name, pair.level)] = (pair.measured - pair.true, pair.true)
    return out


def interval(keys: list[Key], change: np.ndarray, repeats: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of the mean change over draws of whole films."""
    films = defaultdict(list)
    for key, value in zip(keys, change, strict=True):
        films[key[1]].append(value)
    groups = [np.array(values) for values in films.values()]
    draws = np.random.default_rng(0).integers(0, len(groups), (repeats, len(groups)))
    return bootstrap(groups, draws, lambda rows: float(rows.mean())) or (math.nan, math.nan)


if __name__ == "__main__":
    main()
