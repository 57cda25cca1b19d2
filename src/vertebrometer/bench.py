"""A bench with exact truth, for any tool: phantoms and, where CT is at hand, its projections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from vertebrometer.anatomy import FilmTruth
from vertebrometer.compression import IntervalCalibration
from vertebrometer.errors import SettingsError
from vertebrometer.evaluation import Evaluation, ValuePair, evaluate_reports, score_film
from vertebrometer.phantom import phantom_of
from vertebrometer.projection import SpinePaths, load_paths, projected_films, spines_in
from vertebrometer.radiographs import Radiograph
from vertebrometer.report import FilmReport

BENCH_SEED: Final = 900_000_000
"""Phantom seeds of the bench start here; training seeds lie far below."""
_SEEDS_APART: Final = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BenchFilm:
    """One film of the bench with its truth; `group` is phantom or ct."""

    name: str
    group: str
    radiograph: Radiograph
    truth: FilmTruth


@dataclass(frozen=True, slots=True, eq=False)
class BenchResult:
    """Reports of all films with their truths."""

    films: tuple[tuple[str, str, FilmReport, FilmTruth], ...]
    """Name, group, report, truth."""

    def evaluation(self, group: str | None = None, *, repeats: int = 1000) -> Evaluation:
        """Score all films, or those of one group, over levels C3 to L6."""
        chosen = [film for film in self.films if group in (None, film[1])]
        reports = {name: report for name, _, report, _ in chosen}
        return evaluate_reports(
            reports, [truth for *_, truth in chosen], first="T1", last="L6", repeats=repeats
        )

    def pairs(self, group: str | None = None) -> list[ValuePair]:
        """Return true and measured compression of every body that was measured."""
        scores = [score_film(t, r, first="T1", last="L6") for _, g, r, t in self.films if group in (None, g)]
        return [pair for score in scores for pair in score.pairs]


def phantom_films(count: int, seed: int) -> Iterator[BenchFilm]:
    """Make the phantoms of a bench; film n does not depend on `count`."""
    for number in range(count):
        phantom = phantom_of(BENCH_SEED + seed * _SEEDS_APART + number)
        name = f"phantom-{number + 1:04d}"
        yield BenchFilm(name, "phantom", replace(phantom.radiograph, name=name), _whole(phantom.truth, name))


def ct_films(folder: Path, count: int, seed: int, *, only: Sequence[str] = ()) -> Iterator[BenchFilm]:
    """Project the CT volumes of a folder; `only` names those that no network was trained on.

    Raises
    ------
    SettingsError
        No volume with a mask lies in the folder, or none of a name in `only`.
    """
    # What is wrong is told before hours of phantoms are measured.
    return _projected(_spine_paths(folder, only), count, seed)


def _spine_paths(folder: Path, only: Sequence[str]) -> list[SpinePaths]:
    found = spines_in(folder)
    names = [path.name for path in found]
    if not found:
        msg = f"no CT volume with a mask lies in {folder.name}"
        raise SettingsError(msg)
    if missing := [name for name in only if name not in names]:
        msg = (
            f"no CT volume with a mask lies in {folder.name} named {missing[0]}; there are {', '.join(names)}"
        )
        raise SettingsError(msg)
    return [path for path in found if not only or path.name in only]


def _projected(paths: Sequence[SpinePaths], count: int, seed: int) -> Iterator[BenchFilm]:
    spines = [load_paths(path) for path in paths]
    for number, (radiograph, truth) in enumerate(projected_films(spines, count, seed=BENCH_SEED + seed)):
        name = f"ct-{number + 1:04d}"
        yield BenchFilm(name, "ct", replace(radiograph, name=name), _whole(truth, name))


def bench_films(
    count: int, seed: int, *, ct: Path | None = None, only: Sequence[str] = ()
) -> Iterator[BenchFilm]:
    """Make the films of a bench: phantoms, and with a folder of CT one projection in three films.

    Raises
    ------
    SettingsError
        As `ct_films` does, before any film is made; or `only` names volumes without a folder of CT.
    """
    if ct is None:
        if only:
            msg = f"--only names CT volumes ({', '.join(only)}); give their folder with --ct"
            raise SettingsError(msg)
        return phantom_films(count, seed)
    projected = count // 3
    return chain(phantom_films(count - projected, seed), ct_films(ct, projected, seed, only=only))


def _whole(truth: FilmTruth, name: str) -> FilmTruth:
    """Only bodies wholly in view are asked for."""
    return replace(truth, file=f"{name}.dcm", bodies=tuple(body for body in truth.bodies if body.whole))


def run_bench(
    films: Iterable[BenchFilm],
    measure: Callable[[Radiograph], FilmReport],
    *,
    after_film: Callable[[BenchFilm, FilmReport], None] | None = None,
) -> BenchResult:
    """Measure each film of a bench."""
    rows = []
    for film in films:
        report = measure(film.radiograph)
        rows.append((film.name, film.group, report, film.truth))
        if after_film is not None:
            after_film(film, report)
    return BenchResult(tuple(rows))


def calibrated(
    result: BenchResult, *, used: IntervalCalibration, coverage: float = 0.9, least: int = 40
) -> IntervalCalibration:
    """Return, for each band of measured severity, the widening of intervals that covers `coverage` of bodies.

    Split conformal prediction with normalised residuals, band by band (Mondrian): Vovk, Gammerman & Shafer,
    Algorithmic Learning in a Random World, 2005. A band with fewer than `least` bodies takes all's.
    """
    pairs = [pair for pair in result.pairs() if pair.interval_90 is not None]
    measured = np.array([pair.measured for pair in pairs])
    missed = np.abs(measured - np.array([pair.true for pair in pairs]))
    half = np.array([(pair.interval_90[1] - pair.interval_90[0]) / 2 for pair in pairs if pair.interval_90])
    bands = np.digitize(measured, used.limits_percent)
    score = missed / np.maximum(half / np.array(used.factors)[bands], 1e-9)
    factors = [
        _conformal(score[bands == band] if (bands == band).sum() >= least else score, coverage)
        for band in range(len(used.factors))
    ]
    return IntervalCalibration(
        limits_percent=used.limits_percent, factors=tuple(factors), floors_points=used.floors_points
    )


def _conformal(score: np.ndarray[tuple[int], np.dtype[np.float64]], coverage: float) -> float:
    rank = min(len(score), int(np.ceil((len(score) + 1) * coverage)))
    return float(np.sort(score)[rank - 1])


def bench_summary(result: BenchResult) -> str:
    """Return the bench as JSON: all films and each group."""
    groups = sorted({film[1] for film in result.films})
    out = {
        name: result.evaluation(group).to_dict() for name, group in [("all", None), *((g, g) for g in groups)]
    }
    return json.dumps(out, indent=1)
