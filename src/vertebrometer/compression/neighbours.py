"""Which bodies a body may be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from vertebrometer.anatomy import Reason, Vertebra, is_just_above
from vertebrometer.geometry import distance
from vertebrometer.morphometry import MILD_FROM, Heights

GAP_FACTOR: Final = 1.6
"""Two centres further apart than this many usual spacings have a body missing between them."""

# Centre spacing over posterior height is 1.05-1.4 from T4 to L5 (bodies of 20-29 mm, centres 22-36 mm apart
# in CT of about 2,000 spines); one missing body doubles it.
_GAP_OVER_HEIGHT: Final = 2.0

LARGEST_REACH: Final = 3
"""How many bodies away an intact body may lie."""

# Anterior: the limit of a mild fracture (Genant 1993). Middle: healthy endplates are concave, middle over
# posterior height is 0.83-0.86 with an SD of 0.05-0.09 (T5-L1), so 0.65 is about the mean less 2-3 SD.
_INTACT_ANTERIOR_FROM: Final = 1.0 - MILD_FROM
_INTACT_MIDDLE_FROM: Final = 0.65
_INTACT_POSTERIOR_FROM: Final = 1.0 - MILD_FROM


def chained(vertebrae: Sequence[Vertebra], all_heights: Sequence[Heights], aspect: float) -> list[bool]:
    """Tell for each body but the last whether the next one in the list is truly the next in the spine.

    It is not when both have names that do not follow each other, or when the
    distance of their centres shows that a body lies between: more than 1.6 times
    the usual spacing nearby and than the taller body's posterior height, or, so
    that a spine with every other body missed is seen too, more than twice that
    height.
    """
    centres = [vertebra.points.centre_rc for vertebra in vertebrae]
    gaps = [distance(a, b, (aspect, 1.0)) for a, b in pairwise(centres)]
    out = []
    for n, gap in enumerate(gaps):
        nearby = [gaps[m] for m in range(max(0, n - 2), min(len(gaps), n + 3)) if m != n]
        taller = max(all_heights[n].posterior_px, all_heights[n + 1].posterior_px)
        # Beside crushed bodies the usual spacing is small, so the height must agree.
        usual = max(float(np.median(nearby)), taller) if nearby else np.inf
        far = _over(gap, GAP_FACTOR * usual) or _over(gap, _GAP_OVER_HEIGHT * taller)
        names = (vertebrae[n].level, vertebrae[n + 1].level)
        misnamed = names[0] is not None and names[1] is not None and not is_just_above(names[0], names[1])
        out.append(not (misnamed or far))
    return out


def intact(vertebrae: Sequence[Vertebra], all_heights: Sequence[Heights]) -> list[bool]:
    """Tell which bodies can stand for the height that a fractured one had.

    An intact body is usable (nothing speaks against measuring it), its
    anterior height is more than 80 % and its middle height more than 65 % of its posterior
    one, and its posterior height is more than 80 % of the median posterior height
    of the usable bodies up to three places away, itself included.
    """
    return [_is_intact(n, vertebrae, all_heights) for n in range(len(vertebrae))]


def _is_intact(n: int, vertebrae: Sequence[Vertebra], all_heights: Sequence[Heights]) -> bool:
    own = all_heights[n]
    if not vertebrae[n].usable or own.posterior_px <= 0:
        return False
    near = range(max(0, n - LARGEST_REACH), min(len(vertebrae), n + LARGEST_REACH + 1))
    usual = float(np.median([all_heights[m].posterior_px for m in near if vertebrae[m].usable]))
    return (
        _over(own.anterior_px, _INTACT_ANTERIOR_FROM * own.posterior_px)
        and _over(own.middle_px, _INTACT_MIDDLE_FROM * own.posterior_px)
        and _over(own.posterior_px, _INTACT_POSTERIOR_FROM * usual)
    )


def _over(value: float, limit: float) -> bool:
    """Tell whether `value` is above `limit` by more than the last binary digits, which a tilt changes."""
    return value > limit * (1 + 1e-9)


def nearest_intact(
    n: int, step: int, vertebrae: Sequence[Vertebra], whole: Sequence[bool], linked: Sequence[bool]
) -> int | None:
    """Return the place of the nearest intact body above (`step` -1) or below (+1) body `n`.

    The search ends after three bodies, at a gap, and at an outline that holds
    two bodies, because beyond it the count of places is not known.
    """
    for reach in range(1, LARGEST_REACH + 1):
        m = n + step * reach
        if not 0 <= m < len(vertebrae) or not linked[min(m, m - step)]:
            return None
        if Reason.MERGED_BODIES in vertebrae[m].reasons:
            return None
        if whole[m]:
            return m
    return None
