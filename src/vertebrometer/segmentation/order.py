"""Whether bodies name themselves in the order of a spine: from the top, from the bottom, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import level_rank
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.naming import sequences
from vertebrometer.types import FloatArray

_CLEARLY: Final = 1.0
"""By how much the logarithm of a body's chance must be larger upside down. How this and the next were found:
docs/decisions/0013-films-on-their-head.md."""
_CLEARLY_ALL: Final = 6.0
"""The same for all bodies together: few must say it the more clearly."""
_LIKELY: Final = -3.5
"""Logarithm of a body's chance, upside down, below which neither way shows a spine."""
_LEAST_BODIES: Final = 3
_LEAST_LOG_CHANCE: Final = float(np.log(1e-3))
"""One body that looks like quite another must not outweigh all others."""
_COUNTED: Final = 2
"""Levels from one body to the next up to which the length of a gap says surely how many they are, ..."""
_LONG_GAPS: Final = 3
"""... and of longer gaps so many, the longest ones, may hold one level more or less."""
_BEYOND: Final = 2
"""What is found may go on so far beyond the spine: pieces of the sacrum look like bodies, ..."""
_BEYOND_LOG_CHANCE: Final = -3.5
"""... which no level tells; so each counts as little likely."""


def on_its_head(
    readings: Sequence[FineReading], weights: Sequence[float], steps: Sequence[int] | None = None
) -> bool:
    """Tell whether the film stands on its head, by what levels its bodies look like.

    Half of the looks at a body turn it upside down. The network learnt to tell levels from upright ones only:
    on an upright film the looks that turn nothing name neighbours from the top; on one that stands on its
    head those that turn it do, from the bottom.

    Parameters
    ----------
    readings : sequence of FineReading
        Bodies from the top of the film.
    weights : sequence of float
        How much each counts; 0 for what only fills a gap.
    steps : sequence of int, optional
        For each body but the first, how many levels it lies below the one before; without it all are
        neighbours.
    """
    if np.count_nonzero(weights) < _LEAST_BODIES:
        return False
    upright, turned = (
        float(np.average(_run(readings, weights, steps, head_down=way), weights=weights))
        for way in (False, True)
    )
    least = max(_CLEARLY, _CLEARLY_ALL / int(np.count_nonzero(weights)))
    return turned >= _LIKELY and turned - upright >= least


def order_log_chance(
    readings: Sequence[FineReading],
    weights: Sequence[float],
    steps: Sequence[int] | None = None,
    *,
    head_down: bool = False,
) -> float | None:
    """Return how likely the middling body is at its place among its neighbours, as a logarithm.

    Near 0 where all name themselves in order; a spine seen from the front does not. None of fewer than three
    bodies. `head_down` says that the film stands on its head; other parameters are those of `on_its_head`.
    """
    if np.count_nonzero(weights) < _LEAST_BODIES:
        return None
    own = _run(readings, weights, steps, head_down=head_down)
    return float(np.median(own[np.array(weights) > 0]))


def _run(
    readings: Sequence[FineReading],
    weights: Sequence[float],
    steps: Sequence[int] | None,
    *,
    head_down: bool,
) -> FloatArray:
    """Logarithm of the chance of each body from the top of the film, in its place in the likeliest run."""
    steps = [1] * (len(readings) - 1) if steps is None else steps
    if not head_down:
        return _best_run([reading.level_log_chance for reading in readings], weights, steps)
    turned = [reading.turned_log_chance for reading in readings[::-1]]
    return _best_run(turned, weights[::-1], steps[::-1])[::-1]


def _best_run(
    log_chances: Sequence[FloatArray], weights: Sequence[float], steps: Sequence[int]
) -> FloatArray:
    """Logarithm of the chance of each body in the run of levels that suits all best."""
    ranks = [level_rank(name) for name in sequences("plain") if name != "S1"]
    inside = np.maximum(np.array(log_chances)[:, ranks], _LEAST_LOG_CHANCE)
    chances = np.pad(inside, ((0, 0), (_BEYOND, _BEYOND)), constant_values=_BEYOND_LOG_CHANCE)
    count, places = chances.shape
    runs = [
        chances[range(count), at + below]
        for below in _below_first(steps)
        for at in range(places - int(below[-1]))
    ]
    if not runs:
        return np.full(count, _LEAST_LOG_CHANCE)
    return np.asarray(max(runs, key=lambda run: float(np.dot(weights, run))))


def _below_first(steps: Sequence[int]) -> list[NDArray[np.int_]]:
    """How many levels each body lies below the first, in all ways that long gaps may be counted."""
    longest = sorted(range(len(steps)), key=lambda n: -steps[n])[:_LONG_GAPS]
    ways = product(
        *(
            (step - 1, step, step + 1) if n in longest and step > _COUNTED else (step,)
            for n, step in enumerate(steps)
        )
    )
    return [np.append(0, np.cumsum(counted, dtype=int)) for counted in ways]
