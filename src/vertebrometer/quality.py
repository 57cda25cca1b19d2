"""Is this a lateral film of the spine at all? Reasons against measuring a film as a whole."""

from __future__ import annotations

from typing import Final

import numpy as np

from vertebrometer.anatomy import Facing, Reason
from vertebrometer.geometry import angle_deg
from vertebrometer.radiographs import Radiograph
from vertebrometer.segmentation import Segmentation

LEAST_BODIES: Final = 3
"""Equation 1 needs three bodies; a film with fewer tells nothing."""
LEAST_CONFIDENCE: Final = 0.45
"""Median confidence of bodies below which a film counts as no lateral spine."""
REFUSING: Final = frozenset({Reason.NO_BODIES_FOUND, Reason.NOT_A_LATERAL_SPINE, Reason.TOO_FEW_BODIES})
"""Reasons that leave a film without any value."""
_ACROSS_DEG: Final = 60.0
"""Lean of most bodies from which a film may lie on its side; of an upright one few lean by more than 45."""


def film_reasons(radiograph: Radiograph, found: Segmentation) -> tuple[Reason, ...]:
    """Return what speaks against measuring a film; the order is that of weight."""
    reasons: list[Reason] = []
    confidence = [vertebra.confidence for vertebra in found.vertebrae]
    if not confidence:
        reasons.append(Reason.NO_BODIES_FOUND)
    elif float(np.median(confidence)) < LEAST_CONFIDENCE:
        reasons.append(Reason.NOT_A_LATERAL_SPINE)
    elif len(confidence) < LEAST_BODIES:
        reasons.append(Reason.TOO_FEW_BODIES)
    if confidence and found.facing is Facing.UNKNOWN:
        reasons.append(Reason.FACING_UNSURE)
    if radiograph.spacing is None:
        reasons.append(Reason.NO_SPACING)
    return tuple(reasons)


def runs_across(radiograph: Radiograph, found: Segmentation) -> bool:
    """Tell whether most bodies lie on their side, which are found now and then all the same."""
    down = [
        vertebra.points.point("inferior_middle") - vertebra.points.point("superior_middle")
        for vertebra in found.vertebrae
    ]
    lean_deg = [90 - angle_deg(np.abs(direction * radiograph.pixel_rc)) for direction in down]
    return bool(lean_deg) and float(np.median(lean_deg)) > _ACROSS_DEG
