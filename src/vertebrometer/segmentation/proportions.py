"""Whether bodies have the proportions of bodies: a squashed film shows in them, and only in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vertebrometer.anatomy import Vertebra
from vertebrometer.geometry import distance

USUAL_PROPORTION: Final = 0.83
"""Height over depth of a middling body: medians of 500 phantoms and projections 0.81, of real films 0.86."""
UNUSUAL_BELOW: Final = 0.78
UNUSUAL_ABOVE: Final = 0.97
"""Median proportion beyond which a film may be squashed; the lower parts of 3 of 20 standing films lie there
as they are. Another look costs time and is taken only where it sees more."""
MOST_SQUASHED: Final = 2.5
"""Factor beyond which no film is taken for squashed: such bodies are none."""
_SEEN_FROM: Final = 0.4
"""Confidence from which a body is a witness."""
_LEAST_BODIES: Final = 2


def proportion(vertebrae: Sequence[Vertebra], *, aspect: float = 1.0) -> float | None:
    """Return the median of height over depth of the bodies; None where fewer than two are seen well.

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        In pixels of the film as stored.
    aspect : float
        Height over width of a pixel.
    """
    seen = [vertebra for vertebra in vertebrae if vertebra.confidence >= _SEEN_FROM]
    if len(seen) < _LEAST_BODIES:
        return None
    scale = (aspect, 1.0)
    ratios = []
    for vertebra in seen:
        sa, sp, ip, ia = vertebra.points.corners_rc
        height = distance(sa, ia, scale) + distance(sp, ip, scale)
        ratios.append(height / max(distance(sa, sp, scale) + distance(ia, ip, scale), 1e-9))
    return float(np.median(ratios))


def likely_aspect(vertebrae: Sequence[Vertebra]) -> float | None:
    """Return the height over width of a pixel that would give bodies their usual proportions.

    None where they have them already, as far as spines differ, where too few are seen, or where no squashing
    makes them bodies.
    """
    found = proportion(vertebrae)
    if found is None or UNUSUAL_BELOW <= found <= UNUSUAL_ABOVE:
        return None
    aspect = USUAL_PROPORTION / max(found, 1e-9)
    return aspect if 1 / MOST_SQUASHED < aspect < MOST_SQUASHED else None
