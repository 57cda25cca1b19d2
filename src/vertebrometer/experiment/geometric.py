"""Rows of table 2 without training: image processing on the same masks, mixtures with a regressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from vertebrometer.anatomy import NotMeasured
from vertebrometer.compression.contour import figure_five
from vertebrometer.experiment.triplet_data import TripletItem

FIGURE_FIVE: Final = "image-processing"
SUBPIXEL: Final = "sub-pixel-geometry"


def figure_five_value(item: TripletItem) -> float | None:
    """Measure a triplet as figure 5 of the paper does; None where it finds no corners."""
    found = figure_five([item.divided.found.body(number) for number in item.valued.triplet.numbers])
    return None if isinstance(found, NotMeasured) else found.percent


def best_mixture(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """Return how much of the first system makes the smallest validation error, and that error."""
    pairs = _both(first, second)
    if not pairs:
        return 1.0, float("inf")
    a, b, true = np.array([(x["measured"], y["measured"], x["true"]) for x, y in pairs]).T
    weights = np.linspace(0, 1, 21)
    errors = [float(np.abs(w * a + (1 - w) * b - true).mean()) for w in weights]
    best = int(np.argmin(errors))
    return float(weights[best]), errors[best]


def mixed(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], weight: float
) -> list[dict[str, Any]]:
    """Mix the values of two systems, where both have one."""
    out = []
    for x, y in zip(first, second, strict=True):
        known = x["measured"] is not None and y["measured"] is not None
        value = round(weight * x["measured"] + (1 - weight) * y["measured"], 4) if known else None
        out.append({**x, "measured": value})
    return out


def _both(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [
        (x, y)
        for x, y in zip(first, second, strict=True)
        if x["measured"] is not None and y["measured"] is not None
    ]
