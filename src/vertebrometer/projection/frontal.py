"""Turn a spine to be seen from the front: films that `measure` must refuse, with real bone on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vertebrometer.anatomy import LEVELS, SixPoints
from vertebrometer.projection.bodies import BodySection
from vertebrometer.projection.spine import SpineVolume


def seen_from_the_front(spine: SpineVolume) -> SpineVolume:
    """Turn a spine by a quarter about its long axis, so that `project` shows it from the front.

    The right side of the person is on the left, as on a film. Each body stands for its frontal outline, a
    box: enough to frame and to decorate the film by, no truth to measure against.
    """
    turned = replace(
        spine,
        hu=np.ascontiguousarray(spine.hu.transpose(0, 2, 1)[:, ::-1]),
        codes=np.ascontiguousarray(spine.codes.transpose(0, 2, 1)[:, ::-1]),
        spacing_mm=(spine.spacing_mm[0], spine.spacing_mm[2], spine.spacing_mm[1]),
    )
    return replace(turned, bodies=tuple(_box(turned, body) for body in spine.bodies))


def _box(turned: SpineVolume, body: BodySection) -> BodySection:
    mask = turned.codes == LEVELS.index(body.level) + 1
    rows, cols, depth = (np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1)))
    row_mm, col_mm, depth_mm = turned.spacing_mm
    (top, bottom), (left, right) = rows[[0, -1]] * row_mm, cols[[0, -1]] * col_mm
    middle = (left + right) / 2
    points = [(top, left), (top, middle), (top, right), (bottom, right), (bottom, middle), (bottom, left)]
    return BodySection(
        level=body.level,
        points=SixPoints(np.array(points)),
        contour_mm=np.array(points),
        slice_mm=float(depth.mean() * depth_mm),
        whole=body.whole,
    )
