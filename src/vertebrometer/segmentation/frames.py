"""Body-normalised views: a crop that is turned, scaled and mirrored so that all bodies look alike.

In a crop the front of the spine is on the left, the endplates run from left to
right and the body is `DEPTH_SHARE` of the crop's side deep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.geometry import Affine
from vertebrometer.types import FloatArray, GrayImage

CROP_SIDE_PX: Final = 128
DEPTH_SHARE: Final = 0.44
"""Depth of the body (front to back) over the side of its crop."""


@dataclass(frozen=True, slots=True, eq=False)
class BodyPose:
    """Where a body lies: its centre, which way its back is, and how deep it is."""

    centre_rc: FloatArray
    """Shape (2,)."""
    backward_rc: FloatArray
    """Unit direction from the front of the body to its back, shape (2,)."""
    depth_px: float

    def moved(
        self, *, shift: tuple[float, float] = (0.0, 0.0), turn_deg: float = 0.0, zoom: float = 1.0
    ) -> BodyPose:
        """Return another look at the same body; `shift` is in fractions of depth, (down, back)."""
        down = downward(self.backward_rc)
        angle = np.deg2rad(turn_deg)
        back = np.cos(angle) * self.backward_rc + np.sin(angle) * down
        centre = self.centre_rc + self.depth_px * (shift[0] * down + shift[1] * self.backward_rc)
        return BodyPose(centre, back, self.depth_px / zoom)


def downward(backward_rc: FloatArray) -> FloatArray:
    """Direction along the body towards its inferior endplate: the perpendicular that points down the film."""
    perpendicular = np.array([abs(backward_rc[1]), 0.0])
    # Perpendicular to (r, c) is (c, -r) or (-c, r); of both the one with growing rows.
    sign = 1.0 if backward_rc[1] >= 0 else -1.0
    perpendicular[1] = -sign * backward_rc[0]
    return perpendicular


def pose_of(points: SixPoints) -> BodyPose:
    """Return the pose that four corners give."""
    sa, sp, ip, ia = points.corners_rc
    back = (sp + ip) / 2 - (sa + ia) / 2
    depth = float(np.linalg.norm(back))
    return BodyPose(points.centre_rc, back / max(depth, 1e-9), max(depth, 1e-6))


def crop_map(pose: BodyPose, side_px: int = CROP_SIDE_PX, depth_share: float = DEPTH_SHARE) -> Affine:
    """Map of film points to the points of the body's crop."""
    zoom = depth_share * side_px / pose.depth_px
    down = downward(pose.backward_rc)
    # Rows of a crop run down the body, columns from its front to its back.
    matrix = zoom * np.array([down, pose.backward_rc])
    middle = np.full(2, (side_px - 1) / 2)
    return Affine(matrix, middle - matrix @ pose.centre_rc)


BLUR_PER_STEP: Final = 0.42
"""Blur before sampling, as a share of the step between the samples of a crop."""
BLURRED_FROM: Final = 1.35
"""Step, in film pixels, from which a film is blurred before a crop is sampled."""


def crop_of(image: GrayImage, to_crop: Affine, side_px: int = CROP_SIDE_PX) -> GrayImage:
    """Sample the crop; where it is coarser than the film, the film is blurred first, as in training."""
    back = to_crop.inverse()
    step = float(np.sqrt(abs(np.linalg.det(back.matrix))))
    patch, low = image, np.zeros(2)
    if step > BLURRED_FROM:
        ends = np.array([[0, 0], [0, side_px], [side_px, 0], [side_px, side_px]], dtype=np.float64)
        reach = back(ends)
        low = np.clip(np.floor(reach.min(axis=0)).astype(int) - 4, 0, np.array(image.shape) - 1)
        high = np.clip(np.ceil(reach.max(axis=0)).astype(int) + 5, low + 1, image.shape)
        near = image[low[0] : high[0], low[1] : high[1]]
        patch = np.asarray(cv2.GaussianBlur(near, (0, 0), BLUR_PER_STEP * step), dtype=np.float32)
    crop = cv2.warpAffine(
        patch,
        Affine(back.matrix, back.shift - low).as_cv2(),
        (side_px, side_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.asarray(crop, dtype=np.float32)


def normalised(crop: GrayImage) -> GrayImage:
    """Bring a crop to mean 0 and SD 1; a flat one to 0."""
    spread = float(crop.std())
    return np.asarray((crop - crop.mean()) / (spread + 1e-4), dtype=np.float32)
