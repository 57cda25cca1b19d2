"""Many films against their truth: the figures of the paper, and those that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from vertebrometer.anatomy import FilmTruth
from vertebrometer.evaluation.agreement import (
    BlandAltman,
    Estimate,
    auroc,
    bland_altman,
    icc_agreement,
    icc_consistency,
    lin_concordance,
    mean_absolute_error,
    mean_squared_error,
    pearson,
    root_mean_squared_error,
)
from vertebrometer.evaluation.films import FilmScore, ScoredReport, ValuePair, score_film
from vertebrometer.types import FloatArray

FRACTURED_FROM_PERCENT: Final = 20.0
"""Compression from which a body counts as fractured (grade 1 of Genant, J Bone Miner Res 1993;8:1137-48)."""

BANDS_PERCENT: Final = (10.0, 20.0, 40.0)
"""Limits between bands of severity; a true value on a limit belongs to the higher band."""

LEAST_SURE_SHARE: Final = 0.1
"""Share of the values, those with the widest intervals, that is left out to see what intervals are worth."""

_BAND_NAMES: Final = ("below 10 %", "10 to 20 %", "20 to 40 %", "from 40 %")


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure scatters over films."""

    mean: float
    sd: float
    median: float
    percentile_5: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Summarise values; None where there are none. The SD of one value is 0."""
        if not values:
            return None
        v = np.asarray(values, dtype=np.float64)
        sd = float(v.std(ddof=1)) if v.size > 1 else 0.0
        return cls(float(v.mean()), sd, float(np.median(v)), float(np.percentile(v, 5)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueErrors:
    """Errors of the compression over one group of bodies, in percentage points.

    Intervals come from drawing whole films anew: bodies of one film are no
    independent witnesses.
    """

    n: int
    mae: Estimate
    absolute_error_sd: float
    """Over bodies; the MAE's own uncertainty is its interval."""
    mse: float
    """In points squared."""
    rmse: Estimate
    percentile_95: float
    always_zero_mae: float
    """What answering 0 for every body would score."""
    limits: BlandAltman | None
    pearson: Estimate | None
    lin_concordance: Estimate | None
    icc_2_1: Estimate | None
    icc_3_1: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalScore:
    """How often 90 % intervals hold the true value, and how wide they are."""

    n: int
    coverage_percent: float
    mean_width_points: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A folder of reports against the truth."""

    levels: tuple[str, str]
    films: tuple[FilmScore, ...]
    film_yield_percent: float
    """Films with at least one measured body that could be compared."""
    body_recall_percent: Estimate
    false_per_film: float
    body_yield_percent: float
    """Measured bodies among those whose two neighbours are annotated."""
    segmentation: Mapping[str, Spread | None]
    """Equations 2-5 per film."""
    corner_error_median_percent: float | None
    corner_error_95_percent: float | None
    errors: Mapping[str, ValueErrors | None]
    """By group: all, fractured, bands of true severity, and the half with the narrowest intervals."""
    auroc_fractured: Estimate | None
    intervals: Mapping[str, IntervalScore | None]
    least_sure_dropped: Estimate | None
    """By how many percent the RMSE falls where the tenth of values with the widest intervals is left out."""
    levels_named_percent: float | None
    levels_right_percent: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain values, ready for JSON."""
        plain: dict[str, Any] = asdict(self)
        return plain


def evaluate_reports(
    reports: Mapping[str, ScoredReport],
    truths: Sequence[FilmTruth],
    *,
    first: str = "T4",
    last: str = "L5",
    repeats: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score reports against the truth of their films.

    Parameters
    ----------
    reports : mapping
        By the stem of the film's file name; a film without one counts as a film
        where nothing was found.
    truths : sequence of FilmTruth
        One film per patient is assumed where intervals are made.
    first, last : str
        Levels that count.
    repeats, seed : int
        Draws of films for the 95 % intervals; the same seed gives the same intervals.
    """
    if not truths:
        msg = "at least one film with its truth is wanted"
        raise ValueError(msg)
    films = tuple(
        score_film(truth, reports.get(PurePath(truth.file).stem), first=first, last=last) for truth in truths
    )
    draws = np.random.default_rng(seed).integers(0, len(films), (repeats, len(films)))
    corner_errors = [error for film in films for error in film.corner_errors_percent]
    named = [right for film in films for right in film.levels_right]
    bodies, found = sum(film.bodies for film in films), sum(film.found for film in films)
    measurable, measured = sum(film.measurable for film in films), sum(len(film.pairs) for film in films)
    return Evaluation(
        levels=(first, last),
        films=films,
        film_yield_percent=100 * sum(bool(film.pairs) for film in films) / len(films),
        body_recall_percent=_recall(films, draws),
        false_per_film=sum(film.false for film in films) / len(films),
        body_yield_percent=100 * measured / max(measurable, 1),
        segmentation=_segmentation(films),
        corner_error_median_percent=float(np.median(corner_errors)) if corner_errors else None,
        corner_error_95_percent=float(np.percentile(corner_errors, 95)) if corner_errors else None,
        errors={name: _value_errors(films, keep, draws) for name, keep in _groups(films).items()},
        auroc_fractured=_auroc(films, draws),
        intervals={name: _intervals(films, keep) for name, keep in _groups(films).items()},
        least_sure_dropped=_dropped(films, draws),
        levels_named_percent=100 * len(named) / found if bodies and found else None,
        levels_right_percent=100 * sum(named) / len(named) if named else None,
    )


def bootstrap(
    groups: Sequence[FloatArray], draws: np.ndarray[Any, Any], statistic: Callable[[FloatArray], float | None]
) -> tuple[float, float] | None:
    """Return the 2.5th and 97.5th percentile of `statistic` over draws of whole groups.

    Parameters
    ----------
    groups : sequence of array, shape (n, k)
        The rows of each film; films may have none.
    draws : array of int, shape (repeats, groups)
        Which groups each repeat consists of.
    statistic : callable
        Of the rows of one repeat; None, as from a repeat without rows, is left out.
    """
    drawn = (np.concatenate([groups[n] for n in draw]) for draw in draws)
    values = [value for rows in drawn if len(rows) and (value := statistic(rows)) is not None]
    return (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))) if values else None


def _groups(films: Sequence[FilmScore]) -> dict[str, Callable[[ValuePair], bool]]:
    widths = [width for film in films for pair in film.pairs if (width := _width(pair)) is not None]
    middle = float(np.median(widths)) if widths else 0.0

    def is_sure(pair: ValuePair) -> bool:
        width = _width(pair)
        return width is not None and width <= middle

    def in_band(band: int) -> Callable[[ValuePair], bool]:
        return lambda pair: sum(pair.true >= limit for limit in BANDS_PERCENT) == band

    return {
        "all": lambda _: True,
        "fractured": lambda pair: pair.true >= FRACTURED_FROM_PERCENT,
        **{name: in_band(band) for band, name in enumerate(_BAND_NAMES)},
        "surest half": is_sure,
    }


def _width(pair: ValuePair) -> float | None:
    return None if pair.interval_90 is None else pair.interval_90[1] - pair.interval_90[0]


def _rows(film: FilmScore, keep: Callable[[ValuePair], bool]) -> FloatArray:
    return np.array([(p.measured, p.true) for p in film.pairs if keep(p)], dtype=np.float64).reshape(-1, 2)


def _value_errors(
    films: Sequence[FilmScore], keep: Callable[[ValuePair], bool], draws: np.ndarray[Any, Any]
) -> ValueErrors | None:
    groups = [_rows(film, keep) for film in films]
    measured, true = np.concatenate(groups).T
    if not measured.size:
        return None
    absolute = np.abs(measured - true)
    table = np.stack([measured, true], axis=1)
    return ValueErrors(
        n=int(measured.size),
        mae=_estimate(
            mean_absolute_error(measured, true),
            groups,
            draws,
            lambda r: float(np.abs(r[:, 0] - r[:, 1]).mean()),
        ),
        absolute_error_sd=float(absolute.std(ddof=1)) if absolute.size > 1 else 0.0,
        mse=mean_squared_error(measured, true),
        rmse=_estimate(
            root_mean_squared_error(measured, true),
            groups,
            draws,
            lambda r: float(np.sqrt(np.square(r[:, 0] - r[:, 1]).mean())),
        ),
        percentile_95=float(np.percentile(absolute, 95)),
        always_zero_mae=float(np.abs(true).mean()),
        limits=bland_altman(measured, true),
        pearson=pearson(measured, true),
        lin_concordance=lin_concordance(measured, true),
        icc_2_1=icc_agreement(table),
        icc_3_1=icc_consistency(table),
    )


def _estimate(
    value: float,
    groups: Sequence[FloatArray],
    draws: np.ndarray[Any, Any],
    statistic: Callable[[FloatArray], float | None],
) -> Estimate:
    interval = bootstrap(groups, draws, statistic)
    return Estimate(value, *(interval or (value, value)))


def _auroc(films: Sequence[FilmScore], draws: np.ndarray[Any, Any]) -> Estimate | None:
    def area(rows: FloatArray) -> float | None:
        return auroc(rows[:, 0], rows[:, 1] >= FRACTURED_FROM_PERCENT)

    groups = [_rows(film, lambda _: True) for film in films]
    value = area(np.concatenate(groups))
    return None if value is None else _estimate(value, groups, draws, area)


def _dropped(films: Sequence[FilmScore], draws: np.ndarray[Any, Any]) -> Estimate | None:
    def fall(rows: FloatArray) -> float | None:
        error, width = np.square(rows[:, 0]), rows[:, 1]
        whole = float(error.mean())
        kept = error[width <= np.quantile(width, 1 - LEAST_SURE_SHARE)]
        return 100 * (1 - float(np.sqrt(kept.mean() / whole))) if whole > 0 else None

    groups = [
        np.array(
            [(p.measured - p.true, w) for p in film.pairs if (w := _width(p)) is not None], dtype=np.float64
        ).reshape(-1, 2)
        for film in films
    ]
    rows = np.concatenate(groups)
    value = fall(rows) if len(rows) else None
    return None if value is None else _estimate(value, groups, draws, fall)


def _recall(films: Sequence[FilmScore], draws: np.ndarray[Any, Any]) -> Estimate:
    def recall(rows: FloatArray) -> float:
        found, bodies = rows.sum(axis=0)
        return float(100 * found / max(bodies, 1))

    groups = [np.array([[film.found, film.bodies]], dtype=np.float64) for film in films]
    return _estimate(recall(np.concatenate(groups)), groups, draws, recall)


def _segmentation(films: Sequence[FilmScore]) -> dict[str, Spread | None]:
    return {
        name: Spread.of([value for film in films if (value := getattr(film.pixels, name)) is not None])
        for name in ("sensitivity", "specificity", "accuracy", "dice")
    }


def _intervals(films: Sequence[FilmScore], keep: Callable[[ValuePair], bool]) -> IntervalScore | None:
    known = [
        (p.true, *p.interval_90)
        for film in films
        for p in film.pairs
        if p.interval_90 is not None and keep(p)
    ]
    if not known:
        return None
    true, low, high = np.array(known).T
    return IntervalScore(
        n=len(known),
        coverage_percent=float(100 * ((low <= true) & (true <= high)).mean()),
        mean_width_points=float((high - low).mean()),
    )
