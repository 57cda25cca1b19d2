"""Whether a film without a stated polarity is a negative, from the air beside the patient."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vertebrometer.types import BoolMask, GrayImage

_SIDE_PX: Final = 256
_LEAST_SIDE_PX: Final = 32
_NEAR_END: Final = 0.06
# Share of a side of the film along which air must reach its edge, and of its area.
_LEAST_REACH: Final = 0.65
_LEAST_AREA: Final = 0.1
_MARGIN: Final = 0.04
# A shutter ends within a pixel or two; a body thins towards the skin.
_STEP: Final = 0.8
_LEAST_FALL: Final = 0.2


def looks_negative(image: GrayImage) -> bool:
    """Whether air is bright on this film; when in doubt it is not.

    Air beside the patient is the most exposed part of a film: even, at one end
    of the scale, along much of its left or right edge, and it fades into the
    skin, unlike the shadow of a shutter, which ends in a step. A film without
    such air, or with it at both ends of the scale, is taken to be as usual.
    """
    whole = _shrunk(image)
    # Air that reaches the edge in full rows or columns looks like a frame, so both are asked.
    parts = [part for part in (whole, _without_frame(whole)) if min(part.shape) >= _LEAST_SIDE_PX]
    bright = max((_air_area(part) for part in parts), default=0.0)
    dark = max((_air_area(1 - part) for part in parts), default=0.0)
    return bright >= _LEAST_AREA and dark < bright / 4


def _shrunk(image: GrayImage) -> GrayImage:
    scale = min(1.0, _SIDE_PX / max(image.shape))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    # The median takes out page margins, rulers and grids that would cut the air into pieces.
    small = cv2.medianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 5)
    low, high = np.percentile(small, (0.5, 99.5))
    stretched: GrayImage = np.clip((small - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    return stretched


def _without_frame(image: GrayImage) -> GrayImage:
    """Cut off rows and columns at the edges that are all black or all white: shutters and page margins."""
    at_end = (image < _NEAR_END) | (image > 1 - _NEAR_END)
    even = np.abs(image - np.median(image, axis=1, keepdims=True)) < _NEAR_END
    rows = ~((at_end & even).mean(axis=1) > 0.97)
    even = np.abs(image - np.median(image, axis=0, keepdims=True)) < _NEAR_END
    cols = ~((at_end & even).mean(axis=0) > 0.97)
    if not rows.any() or not cols.any():
        return image
    r, c = np.flatnonzero(rows), np.flatnonzero(cols)
    return image[r[0] : r[-1] + 1, c[0] : c[-1] + 1]


def _air_area(image: GrayImage) -> float:
    """Share of the film that is bright air: beside the patient, and fading into the skin."""
    bright = (image > 1 - _NEAR_END).astype(np.uint8)
    count, labels = cv2.connectedComponents(bright, connectivity=4)
    regions = (labels == label for label in range(1, count))
    return sum(float(region.mean()) for region in regions if _is_beside(region) and _fades(image, region))


def _is_beside(region: BoolMask) -> bool:
    """Whether a region runs along much of the upper left or right edge; a dense pelvis is bright below."""
    upper = region[: region.shape[0] * 2 // 3]
    margin = max(2, round(_MARGIN * region.shape[1]))
    return bool(
        max(upper[:, :margin].any(axis=1).mean(), upper[:, -margin:].any(axis=1).mean()) >= _LEAST_REACH
    )


def _fades(image: GrayImage, region: BoolMask) -> bool:
    """Whether the film goes on darkening away from a bright region; a shutter would end in a step."""
    distance = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 5)
    near, far = image[(distance > 1.5) & (distance <= 3)], image[(distance > 8) & (distance <= 12)]
    if near.size == 0 or far.size == 0:
        return False
    level = float(image[region].mean())
    fall = level - float(np.median(far))
    return fall > _LEAST_FALL and level - float(np.median(near)) < _STEP * fall
