"""Agreement of two or more readings of the same quantity.

Equations 6-8 are those of Seo et al., Sci Rep 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vertebrometer.types import FloatArray

_MIN_FOR_SPREAD = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def mean_absolute_error(measured: ArrayLike, true: ArrayLike) -> float:
    """Equation 6, in the unit of the values."""
    return float(np.abs(_difference(measured, true)).mean())


def mean_squared_error(measured: ArrayLike, true: ArrayLike) -> float:
    """Equation 7, in the square of the unit: points squared for percentages."""
    return float(np.square(_difference(measured, true)).mean())


def root_mean_squared_error(measured: ArrayLike, true: ArrayLike) -> float:
    """Equation 8, in the unit of the values."""
    return float(np.sqrt(mean_squared_error(measured, true)))


def pearson(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Pearson correlation with Fisher's interval; None for fewer than 3 pairs or a constant reading."""
    x, y = _pairs(first, second)
    if x.size < _MIN_FOR_SPREAD or x.std() == 0 or y.std() == 0:
        return None
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if x.size == _MIN_FOR_SPREAD or abs(r) == 1.0:
        return Estimate(r, -1.0 if abs(r) < 1 else r, 1.0 if abs(r) < 1 else r)
    half = stats.norm.ppf(0.975) / np.sqrt(x.size - 3)
    return Estimate(r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half)))


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Bias and 95 % limits of agreement, each with its 95 % interval."""

    n: int
    bias: Estimate
    sd: float
    lower: Estimate
    upper: Estimate


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman | None:
    """Limits of agreement of `first` less `second`; None for fewer than 3 pairs.

    Bland JM, Altman DG, Lancet 1986;i:307-10; intervals of the limits by their
    Stat Methods Med Res 1999;8:135-60, section 2.
    """
    difference = _difference(first, second)
    n = difference.size
    if n < _MIN_FOR_SPREAD:
        return None
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    of_bias = t * sd / np.sqrt(n)
    of_limit = t * sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    return BlandAltman(
        n=n,
        bias=_around(bias, of_bias),
        sd=sd,
        lower=_around(bias - 1.96 * sd, of_limit),
        upper=_around(bias + 1.96 * sd, of_limit),
    )


def lin_concordance(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Lin's concordance correlation; None for fewer than 3 pairs or a constant reading.

    Lin LI, Biometrics 1989;45:255-68, with the variance as corrected in
    Biometrics 2000;56:324-5; the interval is made on the z scale.
    """
    x, y = _pairs(first, second)
    correlation = pearson(x, y)
    if correlation is None:
        return None
    r, sx, sy = correlation.value, float(x.std()), float(y.std())
    shift = float(x.mean() - y.mean())
    c = 2 * r * sx * sy / (sx**2 + sy**2 + shift**2)
    if x.size == _MIN_FOR_SPREAD or abs(c) >= 1 - 1e-12 or r == 0:
        return Estimate(c, c if abs(c) >= 1 - 1e-12 else -1.0, c if abs(c) >= 1 - 1e-12 else 1.0)
    u2 = shift**2 / (sx * sy)
    variance = (
        (1 - r**2) * c**2 / ((1 - c**2) * r**2)
        + 2 * c**3 * (1 - c) * u2 / (r * (1 - c**2) ** 2)
        - c**4 * u2**2 / (2 * r**2 * (1 - c**2) ** 2)
    ) / (x.size - 2)
    half = stats.norm.ppf(0.975) * np.sqrt(max(variance, 0.0))
    return Estimate(c, float(np.tanh(np.arctanh(c) - half)), float(np.tanh(np.arctanh(c) + half)))


def icc_agreement(readings: ArrayLike) -> Estimate | None:
    """ICC(2,1): absolute agreement of single readings, readers drawn at random.

    Shrout PE, Fleiss JL, Psychol Bull 1979;86:420-8, with their intervals.

    Parameters
    ----------
    readings : array, shape (subjects, readers)
        Without gaps. None is returned for fewer than 3 subjects or no variation.
    """
    squares = _mean_squares(readings)
    if squares is None:
        return None
    n, k, between, readers, error = squares
    icc = (between - error) / (between + (k - 1) * error + k * (readers - error) / n)
    if error <= 0:
        return Estimate(icc, icc, icc)
    ratio = readers / error
    spread = n * (1 + (k - 1) * icc) - k * icc
    freedom = (
        (k - 1) * (n - 1) * (k * icc * ratio + spread) ** 2 / ((n - 1) * (k * icc * ratio) ** 2 + spread**2)
    )
    upper_f, lower_f = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    rest = k * readers + (k * n - k - n) * error
    low = n * (between - upper_f * error) / (upper_f * rest + n * between)
    high = n * (lower_f * between - error) / (rest + n * lower_f * between)
    return Estimate(float(icc), float(low), float(high))


def icc_consistency(readings: ArrayLike) -> Estimate | None:
    """ICC(3,1): consistency of single readings by these very readers; see `icc_agreement`."""
    squares = _mean_squares(readings)
    if squares is None:
        return None
    n, k, between, _, error = squares
    icc = (between - error) / (between + (k - 1) * error)
    if error <= 0:
        return Estimate(icc, icc, icc)
    inner, outer = n - 1, (n - 1) * (k - 1)
    low_f = between / error / stats.f.ppf(0.975, inner, outer)
    high_f = between / error * stats.f.ppf(0.975, outer, inner)
    return Estimate(float(icc), float((low_f - 1) / (low_f + k - 1)), float((high_f - 1) / (high_f + k - 1)))


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Area under the ROC curve; ties count half; None where all or none are positive."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    yes, no = int(truth.sum()), int((~truth).sum())
    if yes == 0 or no == 0:
        return None
    ranks = stats.rankdata(values)
    return float((ranks[truth].sum() - yes * (yes + 1) / 2) / (yes * no))


def _mean_squares(readings: ArrayLike) -> tuple[int, int, float, float, float] | None:
    """Subjects, readers and the mean squares between subjects, between readers and of the rest."""
    table = np.asarray(readings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        msg = f"readings of shape (subjects, at least 2 readers) are wanted, got {table.shape}"
        raise ValueError(msg)
    if not np.isfinite(table).all():
        msg = "readings without gaps are wanted; leave out subjects that a reader has not read"
        raise ValueError(msg)
    n, k = table.shape
    # Where all subjects are alike there is nothing to agree on.
    if n < _MIN_FOR_SPREAD or float(np.ptp(table.mean(axis=1))) == 0:
        return None
    grand = table.mean()
    between = k * float(np.square(table.mean(axis=1) - grand).sum()) / (n - 1)
    readers = n * float(np.square(table.mean(axis=0) - grand).sum()) / (k - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + grand
    error = float(np.square(rest).sum()) / ((n - 1) * (k - 1))
    return n, k, between, readers, error


def _around(value: float, half: float) -> Estimate:
    return Estimate(value, value - float(half), value + float(half))


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        msg = f"two lists of one length are wanted, got shapes {x.shape} and {y.shape}"
        raise ValueError(msg)
    return x, y


def _difference(first: ArrayLike, second: ArrayLike) -> FloatArray:
    x, y = _pairs(first, second)
    if x.size == 0:
        msg = "at least one pair of values is wanted"
        raise ValueError(msg)
    return x - y
