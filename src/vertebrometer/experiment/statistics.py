"""Figures of a system over the tested bodies, and tests between systems. Patients are drawn, never bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, Final

import numpy as np
from scipy import stats

from vertebrometer.evaluation import (
    BANDS_PERCENT,
    Confusion,
    Spread,
    bland_altman,
    bootstrap,
    icc_agreement,
    icc_consistency,
    lin_concordance,
    mean_absolute_error,
    mean_squared_error,
    pearson,
    root_mean_squared_error,
)
from vertebrometer.types import FloatArray

Reading = Mapping[str, Any]
"""film, patient, body, level, true, measured (None where a system gave no value)."""

_BAND_NAMES: Final = ("below 10 %", "10 to 20 %", "20 to 40 %", "from 40 %")
_LEAST_PATIENTS: Final = 6
"""Fewer pairs cannot reach p < 0.05 by a signed-rank test."""


def groups(fractured_from: float) -> dict[str, Callable[[float], bool]]:
    """Return the groups of bodies by their true compression."""

    def in_band(band: int) -> Callable[[float], bool]:
        return lambda true: sum(true >= limit for limit in BANDS_PERCENT) == band

    return {
        "fractured": lambda true: true >= fractured_from,
        "all": lambda _: True,
        **{name: in_band(band) for band, name in enumerate(_BAND_NAMES)},
    }


def value_figures(
    seeds: Sequence[Sequence[Reading]],
    measurable: Sequence[float] | None,
    *,
    fractured_from: float,
    repeats: int,
) -> dict[str, Any]:
    """Return the figures of one row of table 2, by group.

    Parameters
    ----------
    seeds : sequence
        Readings of the same bodies by the networks of each seed. Errors are
        those of a single network, over all seeds; agreement (limits,
        correlations, line) is that of the first seed.
    measurable : sequence of float or None
        True values of all tested bodies, measured or not; None where the row has
        test bodies of its own.
    """
    return {
        name: _group_figures([[r for r in seed if keep(r["true"])] for seed in seeds], repeats)
        | {"yield": _yield([r for r in seeds[0] if keep(r["true"])], measurable, keep)}
        for name, keep in groups(fractured_from).items()
    }


def _yield(
    readings: Sequence[Reading], measurable: Sequence[float] | None, keep: Callable[[float], bool]
) -> dict[str, Any] | None:
    if measurable is None:
        return None
    measured = sum(reading["measured"] is not None for reading in readings)
    whole = sum(keep(true) for true in measurable)
    return {"measured": measured, "of": whole, "percent": 100 * measured / whole if whole else None}


def _group_figures(seeds: Sequence[Sequence[Reading]], repeats: int) -> dict[str, Any]:
    rows = [[r for r in seed if r["measured"] is not None] for seed in seeds]
    if not rows[0]:
        return {"n": 0}
    pooled = [r for seed in rows for r in seed]
    measured, true = _columns(pooled)
    absolute = np.abs(measured - true)
    by_patient = _by(pooled, "patient")
    draws = _draws(len(by_patient), repeats)
    per_film = [float(np.abs(_errors(own)).mean()) for own in _by(pooled, "film").values()]
    first = _columns(rows[0])
    pairs = [np.stack(_columns(own), axis=1) for own in by_patient.values()]
    return {
        "n": len(rows[0]),
        "patients": len(by_patient),
        "seeds": len(rows),
        "mae": _with_interval(
            mean_absolute_error(measured, true),
            pairs,
            draws,
            lambda r: float(np.abs(r[:, 0] - r[:, 1]).mean()),
        ),
        "error_sd": float(absolute.std(ddof=1)) if absolute.size > 1 else None,
        "mse": mean_squared_error(measured, true),
        "rmse": _with_interval(
            root_mean_squared_error(measured, true),
            pairs,
            draws,
            lambda r: float(np.sqrt(np.square(r[:, 0] - r[:, 1]).mean())),
        ),
        "error_95": float(np.percentile(absolute, 95)),
        "per_film": _spread(per_film, with_95=True),
        "mae_of_seeds": [mean_absolute_error(*_columns(seed)) for seed in rows],
        "always_zero": float(np.abs(first[1]).mean()),
        **_agreement(*first),
    }


def _agreement(measured: FloatArray, true: FloatArray) -> dict[str, Any]:
    table = np.stack([measured, true], axis=1)
    line = None
    correlation = pearson(measured, true)
    p_value = None
    if correlation is not None:
        fitted = stats.linregress(true, measured)
        line = {"slope": float(fitted.slope), "intercept": float(fitted.intercept)}
        p_value = float(fitted.pvalue)
    limits = bland_altman(measured, true)
    # Bodies that are all alike have no variance that a coefficient could share out.
    differs = float(np.ptp(table.mean(axis=1))) > 0
    return {
        "limits": None if limits is None else asdict(limits),
        "pearson": _plain(correlation),
        "pearson_p": p_value,
        "lin": _plain(lin_concordance(measured, true)),
        "icc_2_1": _plain(icc_agreement(table)) if differs else None,
        "icc_3_1": _plain(icc_consistency(table)) if differs else None,
        "line": line,
    }


def _plain(estimate: Any) -> dict[str, float] | None:
    return None if estimate is None else asdict(estimate)


def _columns(readings: Sequence[Reading]) -> tuple[FloatArray, FloatArray]:
    table = np.array([(r["measured"], r["true"]) for r in readings], dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _errors(readings: Sequence[Reading]) -> FloatArray:
    measured, true = _columns(readings)
    return measured - true


def _by(readings: Sequence[Reading], key: str) -> dict[str, list[Reading]]:
    out: dict[str, list[Reading]] = {}
    for reading in readings:
        out.setdefault(reading[key], []).append(reading)
    return dict(sorted(out.items()))


def _draws(count: int, repeats: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, count, (repeats, count))


def _with_interval(
    value: float,
    rows: Sequence[FloatArray],
    draws: np.ndarray[Any, Any],
    statistic: Callable[[FloatArray], float | None],
) -> dict[str, float | None]:
    # Two patients drawn anew tell nothing about a third.
    interval = bootstrap(rows, draws, statistic) if len(rows) > 2 else None
    low, high = interval or (None, None)
    return {"value": value, "low": low, "high": high}


def _spread(values: Sequence[float], *, with_95: bool = False) -> dict[str, float] | None:
    spread = Spread.of(values)
    if spread is None:
        return None
    told = asdict(spread)
    return told | ({"percentile_95": float(np.percentile(values, 95))} if with_95 else {})


def pixel_figures(pixels: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return equations 2 to 5 over films: mean, SD, median and 5th percentile."""
    films = [Confusion(*counts) for counts in pixels.values()]
    return {
        name: _spread([value for film in films if (value := getattr(film, name)) is not None])
        for name in ("sensitivity", "specificity", "accuracy", "dice")
    }


def dice_by_patient(pixels: Mapping[str, Sequence[int]], patients: Mapping[str, str]) -> dict[str, float]:
    """Return the mean Dice of each patient's films."""
    dice: dict[str, list[float]] = {}
    for film, counts in pixels.items():
        value = Confusion(*counts).dice
        if value is not None:
            dice.setdefault(patients[film], []).append(value)
    return {patient: float(np.mean(values)) for patient, values in dice.items()}


def error_by_patient(
    seeds: Sequence[Sequence[Reading]], bodies: set[tuple[str, int]], keep: Callable[[float], bool]
) -> dict[str, float]:
    """Return the mean absolute error of each patient's bodies, over all seeds."""
    errors: dict[str, list[float]] = {}
    for seed in seeds:
        for r in seed:
            if r["measured"] is not None and keep(r["true"]) and (r["film"], r["body"]) in bodies:
                errors.setdefault(r["patient"], []).append(abs(r["measured"] - r["true"]))
    return {patient: float(np.mean(values)) for patient, values in errors.items()}


def measured_bodies(readings: Sequence[Reading]) -> set[tuple[str, int]]:
    """Return film and body of all that was measured."""
    return {(r["film"], r["body"]) for r in readings if r["measured"] is not None}


def compare_errors(
    systems: Mapping[str, Sequence[Sequence[Reading]]], keep: Callable[[float], bool], repeats: int
) -> list[dict[str, Any]]:
    """Test every two systems on the bodies that both measured; see `compare`."""
    pairs = []
    for first, second in combinations(systems, 2):
        bodies = measured_bodies(systems[first][0]) & measured_bodies(systems[second][0])
        own = [error_by_patient(systems[name], bodies, keep) for name in (first, second)]
        pairs.append(compare(first, second, own[0], own[1], repeats))
    return with_holm(pairs)


def compare_dice(rows: Mapping[str, Mapping[str, float]], repeats: int) -> list[dict[str, Any]]:
    """Test every two segmenters on the same patients."""
    return with_holm([compare(a, b, rows[a], rows[b], repeats) for a, b in combinations(rows, 2)])


def compare(
    first: str, second: str, own: Mapping[str, float], other: Mapping[str, float], repeats: int
) -> dict[str, Any]:
    """Return the mean difference (first less second) over patients, its interval and a signed-rank test.

    Wilcoxon F, Biometrics Bulletin 1945;1:80-3, on one mean for each patient,
    because bodies of one patient are no independent witnesses.
    """
    patients = sorted(set(own) & set(other))
    differences = np.array([own[p] - other[p] for p in patients], dtype=np.float64)
    out: dict[str, Any] = {
        "first": first,
        "second": second,
        "patients": len(patients),
        "difference": None,
        "p": None,
    }
    if not patients:
        return out
    rows = [np.array([[d]]) for d in differences]
    out["difference"] = _with_interval(
        float(differences.mean()), rows, _draws(len(patients), repeats), lambda r: float(r.mean())
    )
    if len(patients) >= _LEAST_PATIENTS:
        same = bool((differences == 0).all())
        out["p"] = 1.0 if same else float(stats.wilcoxon(differences, zero_method="pratt").pvalue)
    return out


def with_holm(pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add `p_holm` to tests: Holm S, Scand J Stat 1979;6:65-70, over all that could be made."""
    tested = sorted((n for n, pair in enumerate(pairs) if pair["p"] is not None), key=lambda n: pairs[n]["p"])
    adjusted: dict[int, float] = {}
    worst = 0.0
    for place, n in enumerate(tested):
        worst = max(worst, min(1.0, (len(tested) - place) * pairs[n]["p"]))
        adjusted[n] = worst
    return [{**pair, "p_holm": adjusted.get(n)} for n, pair in enumerate(pairs)]
