"""How well films are measured: pixels, bodies, values, agreement of readings."""

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
from vertebrometer.evaluation.films import FilmScore, ValuePair, score_film, true_compressions
from vertebrometer.evaluation.rasters import Confusion, overlap, polygon_mask, polygons_mask
from vertebrometer.evaluation.summary import (
    BANDS_PERCENT,
    FRACTURED_FROM_PERCENT,
    Evaluation,
    IntervalScore,
    Spread,
    ValueErrors,
    bootstrap,
    evaluate_reports,
)
from vertebrometer.evaluation.table import as_markdown

__all__ = [
    "BANDS_PERCENT",
    "FRACTURED_FROM_PERCENT",
    "BlandAltman",
    "Confusion",
    "Estimate",
    "Evaluation",
    "FilmScore",
    "IntervalScore",
    "Spread",
    "ValueErrors",
    "ValuePair",
    "as_markdown",
    "auroc",
    "bland_altman",
    "bootstrap",
    "evaluate_reports",
    "icc_agreement",
    "icc_consistency",
    "lin_concordance",
    "mean_absolute_error",
    "mean_squared_error",
    "overlap",
    "pearson",
    "polygon_mask",
    "polygons_mask",
    "root_mean_squared_error",
    "score_film",
    "true_compressions",
]
