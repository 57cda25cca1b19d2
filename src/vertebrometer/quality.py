"""Is this a lateral film of the spine at all? Reasons against measuring a film as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vertebrometer.anatomy import Facing, Reason, Vertebra
from vertebrometer.geometry import angle_deg
from vertebrometer.morphometry import heights
from vertebrometer.radiographs import Radiograph
from vertebrometer.segmentation import SURE_FROM, Segmentation

LEAST_BODIES: Final = 3
"""Equation 1 needs three bodies; a film with fewer tells nothing."""
LEAST_CONFIDENCE: Final = 0.45
"""Median confidence of bodies below which a film counts as no lateral spine."""
LEAST_SHARP: Final = 2
"""Bodies that a lateral film shows sharply at the least; one may look sharp by chance."""
SHARP_SPREAD: Final = 0.055
"""Spread of the points of a body over its height up to which it is sharp. How this and the following limits
were found: docs/validation.md, What is refused."""
DOUBTED_CONFIDENCE: Final = 0.75
"""Median confidence of bodies below which they are doubted, and ..."""
SHARP_SPREAD_DOUBTED: Final = 0.045
"""... spread up to which they are then sharp."""
TWO_SIDED: Final = 0.9
"""Share by which votes for one side outweigh the other's below which a spine has two fronts, ..."""
SHARP_SPREAD_TWO_SIDED: Final = 0.035
"""... as one has that is seen from the front; and spread up to which its bodies are then sharp."""
ORDER_LOG_CHANCE: Final = -2.3
"""Logarithm of the chance of the middling body at its place among its neighbours, below which bodies are not
those of one spine seen from the side, unless a sacrum follows them."""
ORDER_LOG_CHANCE_FOLLOWED: Final = -4.0
"""The same where a sacrum follows them."""
ORDER_LOG_CHANCE_DOUBTED: Final = -1.2
"""Order without a sacrum below which bodies must be as sharp as doubted ones."""
IN_ORDER_LOG_CHANCE: Final = -1.0
"""The same from which bodies show a spine from the side, however dim, where they have one front, ..."""
LEAST_IN_ORDER: Final = 4
"""... and so many are seen surely."""
NECK_SHARE: Final = 0.5
"""Share of bodies that look like those of the neck from which a film counts as one of it."""
LEAST_HEIGHT_MM: Final = 6.0
LARGEST_HEIGHT_MM: Final = 50.0
"""Median posterior height of bodies on a film, in mm, that a pixel spacing may give. Adults have 15 to 30 mm
from C3 to L5, films magnify by 1.3 at the most; the rest is left to small children and to doubt."""
REFUSING: Final = frozenset(
    {
        Reason.NO_BODIES_FOUND,
        Reason.NOT_A_LATERAL_SPINE,
        Reason.TOO_FEW_BODIES,
        Reason.CERVICAL_SPINE,
    }
)
"""Reasons that leave a film without any value."""
SACRUM_FROM: Final = 0.5
"""How sure the sacrum is from which it says more than what levels look like."""
_ACROSS_DEG: Final = 60.0
"""Lean of most bodies from which a film may lie on its side; of an upright one few lean by more than 45."""


def film_reasons(radiograph: Radiograph, found: Segmentation) -> tuple[Reason, ...]:
    """Return what speaks against measuring a film; the order is that of weight."""
    reasons: list[Reason] = []
    if not found.vertebrae:
        reasons.append(Reason.NO_BODIES_FOUND)
    elif not _looks_lateral(found, radiograph.pixel_rc):
        reasons.append(Reason.NOT_A_LATERAL_SPINE)
    elif len(found.vertebrae) < LEAST_BODIES:
        reasons.append(Reason.TOO_FEW_BODIES)
    elif found.neck_share > NECK_SHARE:
        reasons.append(Reason.CERVICAL_SPINE)
    if found.vertebrae and found.facing is Facing.UNKNOWN:
        reasons.append(Reason.FACING_UNSURE)
    if found.faces_other_way >= TWO_SIDED:
        reasons.append(Reason.FACING_CONTRADICTED)
    if radiograph.spacing is None:
        reasons.append(Reason.NO_SPACING)
    elif found.vertebrae and not _of_human_size(found.vertebrae, radiograph.spacing.rc):
        reasons.append(Reason.IMPLAUSIBLE_SPACING)
    return tuple(reasons)


def _of_human_size(vertebrae: Sequence[Vertebra], pixel_mm: tuple[float, float]) -> bool:
    row_mm, col_mm = pixel_mm
    tall = [col_mm * heights(v.points, aspect=row_mm / col_mm).posterior_px for v in vertebrae]
    return LEAST_HEIGHT_MM < float(np.median(tall)) < LARGEST_HEIGHT_MM


def _looks_lateral(found: Segmentation, pixel_rc: tuple[float, float]) -> bool:
    """Whether bodies are seen as a lateral film shows them.

    From the front the networks find bodies too, but see few of them sharply: what they take for a corner lies
    elsewhere in every look. Nor do these bodies look like the levels of a spine, one after the other: where
    they do, and have one front, the film may be as dim as it likes.
    """
    order, followed = found.order_log_chance, found.sacrum_seen >= SACRUM_FROM
    if order is not None and order < (ORDER_LOG_CHANCE_FOLLOWED if followed else ORDER_LOG_CHANCE):
        return False
    if in_order(found):
        return True
    confidence = float(np.median([vertebra.confidence for vertebra in found.vertebrae]))
    if confidence < LEAST_CONFIDENCE:
        return False
    if len(found.vertebrae) < LEAST_BODIES:
        return True
    poor = order is not None and order < ORDER_LOG_CHANCE_DOUBTED and not followed
    sharp = SHARP_SPREAD_DOUBTED if poor or confidence < DOUBTED_CONFIDENCE else SHARP_SPREAD
    if found.facing_confidence < TWO_SIDED:
        sharp = SHARP_SPREAD_TWO_SIDED
    return sum(_spread(vertebra, pixel_rc) <= sharp for vertebra in found.vertebrae) >= LEAST_SHARP


def in_order(found: Segmentation, *, least: int = LEAST_IN_ORDER) -> bool:
    """Whether so many bodies are sure, all have one front and look like the levels of a spine in order."""
    order = found.order_log_chance
    surely = sum(vertebra.confidence >= SURE_FROM for vertebra in found.vertebrae)
    one_front = found.facing is not Facing.UNKNOWN and found.facing_confidence >= TWO_SIDED
    return one_front and surely >= least and order is not None and order >= IN_ORDER_LOG_CHANCE


def _spread(vertebra: Vertebra, pixel_rc: tuple[float, float]) -> float:
    """Spread of the typical point of a body over its height; from another view every point is unsure."""
    if vertebra.point_sd_px is None:
        return 0.0
    aspect = pixel_rc[0] / pixel_rc[1]
    own = heights(vertebra.points, aspect=aspect)
    height_px = (own.anterior_px + own.middle_px + own.posterior_px) / 3
    spread_px = (vertebra.point_sd_px * (aspect, 1.0)).max(axis=1)
    return float(np.median(spread_px)) / max(height_px, 1e-6)


def runs_across(radiograph: Radiograph, found: Segmentation) -> bool:
    """Tell whether most bodies lie on their side, which are found now and then all the same."""
    down = [
        vertebra.points.point("inferior_middle") - vertebra.points.point("superior_middle")
        for vertebra in found.vertebrae
    ]
    lean_deg = [90 - angle_deg(np.abs(direction * radiograph.pixel_rc)) for direction in down]
    return bool(lean_deg) and float(np.median(lean_deg)) > _ACROSS_DEG
