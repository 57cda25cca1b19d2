"""Patches: a close look at each of the six points of a body, as the corner network sees them.

All patches of a body have its scale and lie level with it. Those of the inferior
endplate stand upside down, so that an inferior corner looks like a superior one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import POINT_NAMES, SixPoints
from vertebrometer.geometry import Affine
from vertebrometer.segmentation.frames import CROP_SIDE_PX, DEPTH_SHARE, BodyPose, crop_of, downward
from vertebrometer.types import GrayImage, PointsRC

PATCH_SIDE_PX: Final = 48
PATCHES_PER_DEPTH: Final = 2 * DEPTH_SHARE * CROP_SIDE_PX
"""Pixels of a patch along the depth of the body: half as large as those of its crop, 0.3 mm in a usual L3."""
CONTEXT_STEP: Final = 2.5
"""Pixels of a patch that one pixel of its second channel is wide, which shows what lies around."""
PATCH_CHANNELS: Final = 2
"""The close look, and what lies around."""

INFERIOR: Final[tuple[bool, ...]] = tuple(name.startswith("inferior") for name in POINT_NAMES)
"""Which of the six patches stand upside down."""


def patch_map(pose: BodyPose, point_rc: NDArray[np.float64], number: int, *, step: float = 1.0) -> Affine:
    """Map of film points to the patch of point `number`, whose middle is `point_rc`."""
    zoom = PATCHES_PER_DEPTH / pose.depth_px / step
    down = downward(pose.backward_rc) * (-1.0 if INFERIOR[number] else 1.0)
    matrix = zoom * np.array([down, pose.backward_rc])
    return Affine(matrix, np.full(2, (PATCH_SIDE_PX - 1) / 2) - matrix @ point_rc)


def patches_of(image: GrayImage, pose: BodyPose, points: SixPoints) -> NDArray[np.float32]:
    """Cut the patches of one body, shape (12, side, side): close and wide for each point in turn.

    Both are brought to mean 0 and SD 1 of the wide one.
    """
    out = []
    for number, point in enumerate(points.points_rc):
        close, wide = (
            crop_of(image, patch_map(pose, point, number, step=step), PATCH_SIDE_PX)
            for step in (1.0, CONTEXT_STEP)
        )
        mean, spread = float(wide.mean()), float(wide.std()) + 1e-4
        out += [(close - mean) / spread, (wide - mean) / spread]
    return np.asarray(np.stack(out), dtype=np.float32)


def points_in_patches(points_rc: PointsRC, pose: BodyPose, told: SixPoints) -> PointsRC:
    """Carry points of the film, shape (6, 2), each to the patch that was cut about its place in `told`."""
    return np.concatenate(
        [
            patch_map(pose, middle, number)(point[None])
            for number, (middle, point) in enumerate(zip(told.points_rc, points_rc, strict=True))
        ]
    )


def points_of_patches(patch_points_rc: PointsRC, pose: BodyPose, points: SixPoints) -> SixPoints:
    """Carry a point of each patch, shape (6, 2), back to the film."""
    return SixPoints(
        np.concatenate(
            [
                patch_map(pose, point, number).inverse()(found[None])
                for number, (point, found) in enumerate(zip(points.points_rc, patch_points_rc, strict=True))
            ]
        )
    )
