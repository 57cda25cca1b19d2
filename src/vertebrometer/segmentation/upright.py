"""Which way up a film is: bodies name themselves to looks that see them upright, and only to those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vertebrometer.anatomy import level_rank
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.naming import sequences
from vertebrometer.types import FloatArray

_CLEARLY: Final = 1.0
"""By how much the logarithm of a body's chance must be larger upside down. How this and the next were found:
docs/decisions/0013-films-on-their-head.md."""
_LIKELY: Final = -3.5
"""Logarithm of a body's chance, upside down, below which neither way shows a spine."""
_LEAST_BODIES: Final = 3
_LEAST_LOG_CHANCE: Final = float(np.log(1e-3))
"""One body that looks like quite another must not outweigh all others."""


def on_its_head(readings: Sequence[FineReading], weights: Sequence[float]) -> bool:
    """Tell whether the film stands on its head, by what levels its bodies look like.

    Half of the looks at a body turn it upside down. The network learnt to tell levels from upright ones only:
    on an upright film the looks that turn nothing name neighbours from the top; on one that stands on its
    head those that turn it do, from the bottom.

    Parameters
    ----------
    readings : sequence of FineReading
        Bodies that are surely seen, from the top of the film.
    weights : sequence of float
        How much each counts.
    """
    if len(readings) < _LEAST_BODIES:
        return False
    upright = _best_run([reading.level_log_chance for reading in readings], weights)
    turned = _best_run([reading.turned_log_chance for reading in readings][::-1], weights[::-1])
    return turned >= _LIKELY and turned - upright >= _CLEARLY


def _best_run(log_chances: Sequence[FloatArray], weights: Sequence[float]) -> float:
    """Mean logarithm of the chance of a body, by the run of neighbouring levels that suits all best."""
    ranks = [level_rank(name) for name in sequences("plain") if name != "S1"]
    chances = np.maximum(np.array(log_chances)[:, ranks], _LEAST_LOG_CHANCE)
    own, count = np.array(weights), len(log_chances)
    runs = [own @ chances[range(count), range(at, at + count)] for at in range(len(ranks) - count + 1)]
    return float(max(runs, default=-np.inf) / own.sum())
