"""A grade after Genant, from measured heights instead of a reader's eye."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from vertebrometer.morphometry.heights import Heights

# Genant HK et al., J Bone Miner Res 1993;8:1137-48: grade 1 is a loss of about 20-25 %,
# grade 2 of 25-40 %, grade 3 of more than 40 % of any height.
MILD_FROM: Final = 0.20
MODERATE_FROM: Final = 0.25
SEVERE_FROM: Final = 0.40


class GenantGrade(IntEnum):
    """Grade of a deformity."""

    NORMAL = 0
    MILD = 1
    MODERATE = 2
    SEVERE = 3


class Deformity(StrEnum):
    """Which height lost most."""

    NONE = "none"
    WEDGE = "wedge"
    BICONCAVE = "biconcave"
    CRUSH = "crush"


@dataclass(frozen=True, slots=True)
class GenantLike:
    """Grade, shape and the loss that they rest on."""

    grade: GenantGrade
    deformity: Deformity
    height_loss: float
    """Largest lost fraction among the heights; below 0 where all are taller than expected."""


def genant_grade(height_loss: float) -> GenantGrade:
    """Grade a lost fraction of height.

    Parameters
    ----------
    height_loss : float
        Lost fraction of the expected height, at most 1.0. A gain (below 0)
        counts as normal.

    Returns
    -------
    GenantGrade
        A loss exactly on a limit takes the higher grade.

    Examples
    --------
    >>> genant_grade(0.25)
    <GenantGrade.MODERATE: 2>
    """
    if height_loss > 1.0:
        msg = f"height_loss is a fraction of the expected height, at most 1.0; got {height_loss}"
        raise ValueError(msg)
    limits = (MILD_FROM, MODERATE_FROM, SEVERE_FROM)
    # 1 - 24 / 30 is a hair under 0.2 in binary; on the limit is on the limit.
    height_loss = round(height_loss, 9)
    return GenantGrade(sum(height_loss >= limit for limit in limits))


def genant_like(own: Heights, *, expected_posterior_px: float | None = None) -> GenantLike:
    """Grade one body by the largest loss among its three heights.

    A wedge is judged by anterior against posterior height, a biconcave body by
    middle against posterior, a crushed one by the posterior height against
    `expected_posterior_px`, usually the mean of the neighbours'; without it a
    crush cannot be seen. Normal bodies are neither square nor flat (T6 and T7
    are wedged by about 14 %, middle heights are about 15 % lower), which a
    reader allows for and this grade does not: hence "like".
    """
    if own.posterior_px <= 0:
        msg = f"a posterior height above 0 is wanted, got {own.posterior_px}"
        raise ValueError(msg)
    losses = {
        Deformity.WEDGE: 1.0 - own.anterior_px / own.posterior_px,
        Deformity.BICONCAVE: 1.0 - own.middle_px / own.posterior_px,
    }
    if expected_posterior_px is not None:
        losses[Deformity.CRUSH] = 1.0 - own.posterior_px / expected_posterior_px
    deformity, loss = max(losses.items(), key=lambda item: item[1])
    grade = genant_grade(loss)
    return GenantLike(grade, deformity if grade else Deformity.NONE, loss)
