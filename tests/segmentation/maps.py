"""What a perfect coarse network would answer, drawn from the truth of phantoms."""

from __future__ import annotations

import cv2
import numpy as np

from vertebrometer.evaluation.rasters import polygon_mask
from vertebrometer.segmentation.coarse_view import (
    COARSE_PIXEL_MM,
    CORE_SHARE,
    SACRUM_SHARE,
    CoarseView,
)
from vertebrometer.segmentation.frames import pose_of

FINE = 4


def filled(polygon, shape):
    """Share of each pixel inside a polygon."""
    out = np.zeros(shape, np.float32)
    low = np.clip(np.floor(polygon.min(axis=0)).astype(int) - 1, 0, shape)
    high = np.clip(np.ceil(polygon.max(axis=0)).astype(int) + 2, 0, shape)
    if (high <= low).any():
        return out
    size = high - low
    fine = polygon_mask((polygon - low + 0.5) * FINE - 0.5, tuple(size * FINE))
    part = cv2.resize(fine.astype(np.float32), tuple(map(int, size[::-1])), interpolation=cv2.INTER_AREA)
    out[low[0] : high[0], low[1] : high[1]] = part
    return out


def maps_of(truth, pixel_mm, *, blur_px=0.0):
    """Maps of `COARSE_CHANNELS` of a whole film, and the view that they belong to."""
    scale = pixel_mm / COARSE_PIXEL_MM
    shape = tuple(max(1, round(n * scale)) for n in truth.shape)
    scale_rc = (shape[0] / truth.shape[0], shape[1] / truth.shape[1])

    def coarse(points):
        return (points + 0.5) * scale_rc - 0.5

    maps = np.zeros((4, *shape), np.float32)
    for body in truth.bodies:
        outline, centre = coarse(body.contour_rc), coarse(body.points.centre_rc)
        sa, sm, _, _, im, ia = coarse(body.points.points_rc)
        for channel, polygon in enumerate(
            (outline, centre + CORE_SHARE * (outline - centre), np.array([sa, sm, im, ia]))
        ):
            maps[channel] = np.maximum(maps[channel], filled(polygon, shape))
    if truth.s1_endplate_rc is not None:
        posterior, anterior = coarse(truth.s1_endplate_rc)
        along = anterior - posterior
        down = SACRUM_SHARE * np.array([abs(along[1]), -along[0] * np.sign(along[1])])
        maps[3] = filled(np.array([posterior, anterior, anterior + down, posterior + down]), shape)
    if blur_px:
        maps = np.stack([cv2.GaussianBlur(one, (0, 0), blur_px) for one in maps])
    return maps, CoarseView(maps[0], scale_rc)


def box_maps(bodies, shape=(120, 80)):
    """Maps of upright boxes given as (row, col, height, depth), front on the left."""
    maps = np.zeros((4, *shape), np.float32)
    for row, col, height, depth in bodies:
        half = np.array([height, depth]) / 2
        corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half + [row, col]
        front = np.array([[-1, -1], [-1, 0], [1, 0], [1, -1]]) * half + [row, col]
        core = (corners - [row, col]) * CORE_SHARE + [row, col]
        for channel, polygon in enumerate((corners, core, front)):
            maps[channel] = np.maximum(maps[channel], filled(polygon, shape))
    return maps, CoarseView(maps[0], (1.0, 1.0))


def matched(found, truth):
    """For each true body the found one whose centre lies nearest, within half a depth, or None."""
    out = []
    for body in truth.bodies:
        pose = pose_of(body.points)
        near = [
            (float(np.linalg.norm(other.pose.centre_rc - pose.centre_rc)), n) for n, other in enumerate(found)
        ]
        best = min(near, default=(np.inf, -1))
        out.append(best[1] if best[0] < 0.35 * pose.depth_px else None)
    return out
