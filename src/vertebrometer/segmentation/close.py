"""The close look: each point of a found body is placed anew in a patch as fine as the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.segmentation.patches import patches_of, points_of_patches
from vertebrometer.types import GrayImage, PointsRC, Predictor

_BATCH: Final = 8
_DISAGREEMENT: Final = 0.5 / np.sqrt(2.0)
"""Share of the distance between the two places of a point that counts as spread along each axis."""


def look_closely(
    image: GrayImage, readings: Sequence[FineReading], predictor: Predictor
) -> list[FineReading]:
    """Place the six points of each body anew, in patches about where the crops had them.

    `image` has square pixels, air dark and bone bright, as for the readings. The
    spread of a point stays that of the crops, which see what may be mistaken for
    what; it grows by as much as crops and patches disagree. The outline follows the points.
    """
    seen = [reading for reading in readings if reading.seen]
    closely = iter(_seen_closely(image, seen, predictor))
    return [next(closely) if reading.seen else reading for reading in readings]


def _seen_closely(
    image: GrayImage, readings: Sequence[FineReading], predictor: Predictor
) -> list[FineReading]:
    poses = [pose_of(reading.points) for reading in readings]
    if not poses:
        return []
    patches = np.stack(
        [patches_of(image, pose, reading.points) for pose, reading in zip(poses, readings, strict=True)]
    )
    parts = [predictor(patches[start : start + _BATCH]) for start in range(0, len(patches), _BATCH)]
    found = np.concatenate([part["points"] for part in parts]).astype(float)
    closely = [
        points_of_patches(own, pose, reading.points)
        for own, pose, reading in zip(found, poses, readings, strict=True)
    ]
    return [_joined(reading, points) for reading, points in zip(readings, closely, strict=True)]


def _joined(reading: FineReading, close: SixPoints) -> FineReading:
    moved = np.linalg.norm(close.points_rc - reading.points.points_rc, axis=1, keepdims=True)
    spread = np.hypot(reading.point_sd_px, _DISAGREEMENT * moved)
    return replace(
        reading,
        points=close,
        point_sd_px=spread,
        contour_rc=_moved_along(reading.contour_rc, reading.points, close),
    )


def _moved_along(contour_rc: PointsRC, told: SixPoints, close: SixPoints) -> PointsRC:
    """Let an outline follow its six points: each part by the mean of their moves, near ones counting more.

    Weights are the inverse squares of the distances (Shepard 1968, Proc 23rd ACM Nat Conf, 517-24), softened
    by a pixel.
    """
    squared = ((contour_rc[:, None] - told.points_rc[None]) ** 2).sum(axis=2)
    weights = 1 / (squared + 1.0)
    moves = close.points_rc - told.points_rc
    return np.asarray(contour_rc + weights @ moves / weights.sum(axis=1, keepdims=True))
