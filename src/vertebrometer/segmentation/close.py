"""The close look: each point of a found body is placed anew in patches as fine as the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.segmentation.patches import PATCHES_PER_DEPTH, patches_of, points_of_patches
from vertebrometer.types import GrayImage, PointsRC, Predictor

_BATCH: Final = 8
_LOOKS: Final = 1


def look_closely(
    image: GrayImage, readings: Sequence[FineReading], predictor: Predictor, *, looks: int = _LOOKS
) -> list[FineReading]:
    """Place the six points of each body anew.

    `image` has square pixels, air dark and bone bright, as for the readings. What
    the crops said and what the patches say are averaged, the surer counting more.
    """
    out = list(readings)
    points = [reading.points for reading in out]
    for _ in range(looks if out else 0):
        poses = [pose_of(six) for six in points]
        patches = np.stack([patches_of(image, pose, six) for pose, six in zip(poses, points, strict=True)])
        parts = [predictor(patches[start : start + _BATCH]) for start in range(0, len(patches), _BATCH)]
        found = np.concatenate([part["points"] for part in parts]).astype(float)
        variance = np.exp(np.clip(np.concatenate([part["spread"] for part in parts]).astype(float), -6, 8))
        closely = [
            points_of_patches(own, pose, six) for own, pose, six in zip(found, poses, points, strict=True)
        ]
        sd_px = [
            np.sqrt(own) * pose.depth_px / PATCHES_PER_DEPTH
            for own, pose in zip(variance, poses, strict=True)
        ]
        out = [_joined(*each) for each in zip(readings, closely, sd_px, strict=True)]
        points = [reading.points for reading in out]
    return out


def _joined(reading: FineReading, close: SixPoints, sd_px: PointsRC) -> FineReading:
    return replace(reading, points=close, point_sd_px=sd_px)
