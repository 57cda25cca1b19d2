"""Separate vertebral bodies from arches, and find the six points of each mid-sagittal section.

The plane of a section runs through the middle of the spinal canal. There body
and arch do not touch, so the foremost large piece of the section is the body;
its rear wall, carried on to both sides as a plane, cuts the pedicles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from vertebrometer.anatomy import LEVELS, SixPoints
from vertebrometer.projection.volumes import CodeVolume, SpacingMM
from vertebrometer.types import FloatArray, PointsRC

ARCH: Final = 100
"""Added to the code of a vertebra where a voxel is of its arch."""

_SLAB_MM: Final = 3.0
"""Half the thickness over which a mid-sagittal section is averaged."""
_CORNER_MM: Final = 0.12
"""How far behind the outermost point of a corner others still count."""
_DRAWN_IN_MM: Final = 0.25
"""By how much smoothing draws a corner in along its diagonal: 0.45 mm a sharp, less a rounded one."""
_FINER: Final = 4
"""Samples per voxel when an outline is drawn."""
_HOLLOW: Final = {-1: 0.06, 1: 0.03}
"""How far a wall without spurs bows in, front (-1) and back (1), as a part of the depth of the body."""
_HOLLOW_SD: Final = 0.03
_OFF_WALL_MM: Final = 0.3
"""How far from its wall bone lies before it starts to count as something else."""
_SPUR_MM: Final = 0.4
"""What stands out of the wall by more is a spur."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BodySection:
    """The mid-sagittal section of one body, in mm along (row, col)."""

    level: str
    points: SixPoints
    contour_mm: PointsRC
    """Closed outline without spurs, shape (n, 2)."""
    slice_mm: float
    """Where the section lies from left to right."""
    whole: bool = True
    """False where the edge of the volume cuts the body."""

    @property
    def depth_mm(self) -> float:
        """Mean length of the two endplates."""
        sa, sp, ip, ia = self.points.corners_rc
        return float(np.linalg.norm(sp - sa) + np.linalg.norm(ip - ia)) / 2


def level_of(code: int) -> str:
    """Return the name of a level from the code that a volume carries."""
    return LEVELS[(code - 1) % ARCH]


def sections_of(
    codes: CodeVolume, spacing_mm: SpacingMM, bodies: NDArray[np.bool_] | None = None
) -> tuple[BodySection, ...]:
    """Find the mid-sagittal section of every vertebra of a mask, from the top.

    Vertebrae of which less than a third of a body is in the volume are left out.
    """
    found = []
    for code in np.unique(codes[codes > 0]):
        level = level_of(int(code))
        mask = codes == code
        if bodies is not None:
            mask &= bodies
        if level == "S1" or level.startswith("C") or not mask.any():
            continue
        section = _section(mask, level, spacing_mm, bodies_only=bodies is not None)
        if section is not None:
            found.append(section)
    return tuple(sorted(found, key=lambda body: float(body.points.centre_rc[0])))


def with_arches(codes: CodeVolume, sections: tuple[BodySection, ...], spacing_mm: SpacingMM) -> CodeVolume:
    """Return `codes` with `ARCH` added behind the rear wall of each body."""
    out = codes.copy()
    for body in sections:
        code = LEVELS.index(body.level) + 1
        upper, lower = body.points.point("superior_posterior"), body.points.point("inferior_posterior")
        rows_mm = np.arange(codes.shape[0]) * spacing_mm[0]
        slope = (lower[1] - upper[1]) / max(lower[0] - upper[0], 1.0)
        wall_mm = upper[1] + slope * (rows_mm - upper[0]) + 0.5
        behind = np.arange(codes.shape[1])[None, :] * spacing_mm[1] > wall_mm[:, None]
        out[(codes == code) & behind[:, :, None]] = code + ARCH
    return out


def _section(
    mask: NDArray[np.bool_], level: str, spacing_mm: SpacingMM, *, bodies_only: bool
) -> BodySection | None:
    slice_mm = _middle_of_bodies(mask, spacing_mm) if bodies_only else _middle_of_canal(mask, spacing_mm)
    at = np.arange(mask.shape[2]) * spacing_mm[2]
    # A triangular weight keeps the section where it is said to be between two slices.
    weight = np.clip(1 - np.abs(at - slice_mm) / max(2 * _SLAB_MM, spacing_mm[2]), 0, None)
    share = (mask * weight).sum(axis=2) / weight.sum()
    piece = _foremost_piece(share > 0.5)
    if piece is None:
        return None
    rim = ndimage.binary_dilation(piece, iterations=2)
    contour_mm, points = without_spurs(_outline(np.where(rim, share, 0.0), piece, spacing_mm))
    size = (np.array(mask.shape[:2]) - 1) * spacing_mm[:2]
    whole = _is_whole(contour_mm, size)
    height, depth = np.ptp(contour_mm, axis=0)
    if not whole and height < 0.35 * depth:
        return None
    return BodySection(level=level, points=points, contour_mm=contour_mm, slice_mm=slice_mm, whole=whole)


def _is_whole(contour_mm: PointsRC, size_mm: FloatArray) -> bool:
    """Tell a body that the edge of the volume cuts from one that a corner of merely touches it."""
    on_edge = ((contour_mm < 0.6) | (contour_mm > size_mm - 0.6)).any(axis=1)
    return int(on_edge.sum()) <= 0.05 * len(contour_mm)


def _middle_of_bodies(mask: NDArray[np.bool_], spacing_mm: SpacingMM) -> float:
    per_slice = mask.sum(axis=(0, 1)).astype(float)
    return float((per_slice * np.arange(len(per_slice))).sum() / max(per_slice.sum(), 1.0) * spacing_mm[2])


def _middle_of_canal(mask: NDArray[np.bool_], spacing_mm: SpacingMM) -> float:
    """Find the left-right position where the canal separates body and arch the most clearly."""
    # Seen from above, the canal is a hole that the pedicles close on both sides:
    # a ray from front to back meets bone, a gap and bone again.
    front, back = _canal_gap(mask)
    gap_mm = (back - front) * spacing_mm[1]
    rows = np.flatnonzero(mask.any(axis=(1, 2)))
    top, bottom = rows[0], rows[-1] + 1
    gap_mm = np.clip(np.nan_to_num(gap_mm), 0, 18)
    per_slice = gap_mm[top:bottom].sum(axis=0)
    per_slice = ndimage.gaussian_filter1d(per_slice, 1.0 / spacing_mm[2], mode="constant")
    middle_of_mask = _middle_of_bodies(mask, spacing_mm)
    if per_slice.max() <= 0:
        return middle_of_mask
    at = np.arange(len(per_slice)) * spacing_mm[2]
    per_slice = per_slice * (np.abs(at - middle_of_mask) < 14)
    if per_slice.max() <= 0:
        return middle_of_mask
    strong = np.clip(per_slice - 0.6 * per_slice.max(), 0, None)
    return float((strong * at).sum() / strong.sum())


def _canal_gap(mask: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return front and back of the widest gap of every ray, shape (rows, slices); NaN without one."""
    cols = np.arange(mask.shape[1])[None, :, None]
    ahead = np.maximum.accumulate(np.where(mask, cols, -1), axis=1)
    behind = np.minimum.accumulate(np.where(mask, cols, 10**6)[:, ::-1], axis=1)[:, ::-1]
    inner = (~mask) & (ahead >= 0) & (behind < 10**6)
    width = np.where(inner, behind - ahead, 0)
    widest = width.argmax(axis=1)[:, None]
    size = np.take_along_axis(width, widest, axis=1)[:, 0]
    front = np.take_along_axis(ahead, widest, axis=1)[:, 0].astype(float)
    back = np.take_along_axis(behind, widest, axis=1)[:, 0].astype(float)
    front[size == 0] = back[size == 0] = np.nan
    return front, back


def _foremost_piece(section: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the body: of the large pieces the one farthest to the front."""
    # A one-voxel bridge over the canal would join body and arch.
    opened = ndimage.binary_opening(section, iterations=2)
    numbers, count = ndimage.label(opened)
    if count == 0:
        return None
    areas = ndimage.sum_labels(opened, numbers, np.arange(1, count + 1))
    large = [n + 1 for n in range(count) if areas[n] > 0.4 * areas.max()]
    centres = {n: ndimage.center_of_mass(opened, numbers, n)[1] for n in large}
    seed = numbers == min(centres, key=lambda n: centres[n])
    grown = ndimage.binary_dilation(seed, iterations=3)
    body: NDArray[np.bool_] = ndimage.binary_propagation(seed, mask=section & grown)
    return body


def _outline(share: FloatArray, piece: NDArray[np.bool_], spacing_mm: SpacingMM) -> PointsRC:
    """Return the line where the share of bone is one half, to a fraction of a voxel."""
    kept = np.where(ndimage.binary_dilation(piece, iterations=1), share, np.minimum(share, 0.45))
    padded = np.pad(kept, 3)
    soft = ndimage.gaussian_filter(padded, 0.55)
    fine = ndimage.zoom(soft, _FINER, order=3, mode="nearest", grid_mode=True)
    lines, _ = cv2.findContours((fine > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    line = max(lines, key=cv2.contourArea)[:, 0, ::-1].astype(float)
    # The outline of a raster lies half a fine pixel inside of the line itself.
    refined = _on_level(line, fine)
    index = (refined + 0.5) / _FINER - 0.5 - 3
    return even_outline(index * np.array(spacing_mm[:2]))


def _on_level(line: PointsRC, fine: FloatArray) -> PointsRC:
    """Move raster points along the gradient onto the level 0.5."""
    gradient = np.stack(np.gradient(ndimage.gaussian_filter(fine, 1.0)), axis=-1)
    for _ in range(3):
        value = ndimage.map_coordinates(fine, line.T, order=1)
        slope = np.stack([ndimage.map_coordinates(gradient[..., k], line.T, order=1) for k in (0, 1)], axis=1)
        step = (0.5 - value)[:, None] * slope / np.maximum((slope**2).sum(axis=1, keepdims=True), 1e-4)
        line = line + np.clip(step, -1, 1)
    return line


def even_outline(line: PointsRC, count: int = 120) -> PointsRC:
    """Smooth a closed outline a little and return `count` points at even distances."""
    dense = ndimage.gaussian_filter1d(_evenly(line, count * 4), 1.2, axis=0, mode="wrap")
    even: PointsRC = dense[::4]
    return even


def without_spurs(contour_mm: PointsRC) -> tuple[PointsRC, SixPoints]:
    """Return outline and six points of a mid-sagittal section, spurs left out; the front is at small columns.

    A spur is what stands out of the front or rear wall, carried on as the wall
    runs between its ends. A corner is the point of what is left that lies
    farthest out along the diagonal of the body's own frame; a mid-endplate
    point lies half-way between two corners, on the endplate. What stands up
    from an endplate is left: the rim of a hollow one looks no different.
    """
    dense = body = _dense(contour_mm)
    corners = farthest_out(contour_mm)
    # The first frame leans towards the tips of the spurs that it is to find.
    for _ in range(2):
        spurs = _stands_out(dense, corners, -1) | _stands_out(dense, corners, 1)
        body = dense[~spurs]
        corners = _settled(body, corners)
    sa, sp, ip, ia = corners
    middle_s, middle_i = _on_endplate(body, sa, sp), _on_endplate(body, ia, ip)
    points = SixPoints(np.array([sa, middle_s, sp, ip, middle_i, ia]))
    return contour_mm if len(body) == len(dense) else _evenly(body, len(contour_mm)), points


def farthest_out(contour_mm: PointsRC) -> PointsRC:
    """Return the corners of an outline, spurs and all, shape (4, 2), as `without_spurs` begins."""
    dense = _dense(contour_mm)
    return _settled(dense, _first_corners(dense))


def _stands_out(contour: PointsRC, corners: PointsRC, side: int) -> NDArray[np.bool_]:
    """Tell which points of an outline stand out of the front (-1) or the rear wall (1), shape (n,)."""
    sa, sp, ip, ia = corners
    down = (ia - sa) + (ip - sp)
    down /= np.linalg.norm(down)
    back = np.array([-down[1], down[0]])
    depth = float(np.linalg.norm(sp - sa) + np.linalg.norm(ip - ia)) / 2
    upper, lower = ((sa, ia), (sp, ip))[side > 0]
    height = float((lower - upper) @ down)
    along = (contour - (upper + lower) / 2) @ down / height
    outward = side * (contour - corners.mean(axis=0)) @ back
    ours = outward > 0
    places = np.linspace(-0.45, 0.45, 37)
    near = ours & (np.abs(along - places[:, None]) < 0.3 / height)
    known = near.any(axis=1)
    wall = np.where(near, outward, -np.inf).max(axis=1)[known]
    places = places[known]
    if len(places) < 5:
        return np.zeros(len(contour), dtype=np.bool_)

    def line(shape: FloatArray, at: FloatArray) -> FloatArray:
        # Beyond its ends a wall goes on straight.
        return np.asarray(
            shape[0] + shape[1] * np.clip(at, -0.7, 0.7) - shape[2] * np.clip(1 - 4 * at**2, 0, None)
        )

    weight = np.sqrt(np.clip((0.5 - np.abs(places)) / 0.35, 0, 1)) / 2

    def off(shape: FloatArray) -> FloatArray:
        # Bone may stand out of a wall, but a wall does not run through the air; far off counts little.
        beyond = wall - line(shape, places)
        part = np.where(beyond > 0, beyond, -4 * beyond) / _OFF_WALL_MM
        far = np.sign(beyond) * np.sqrt(2 * np.log1p(part**2 / 2))
        hollow = (float(shape[2]) / depth - _HOLLOW[side]) / _HOLLOW_SD
        return np.append(far * weight, hollow)

    bow = _HOLLOW[side] * depth
    fits = [
        optimize.least_squares(off, [float(np.quantile(wall, share)) + bow, 0.0, bow], max_nfev=60)
        for share in (0.25, 0.5)
    ]
    best = min(fits, key=lambda fit: float(fit.cost))
    out: NDArray[np.bool_] = ours & (outward > line(np.asarray(best.x), along) + _SPUR_MM)
    return out


def _evenly(line: PointsRC, count: int) -> PointsRC:
    """Return `count` points of a closed line at even distances."""
    closed = np.vstack([line, line[:1]])
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))]
    at = np.linspace(0, along[-1], count, endpoint=False)
    return np.stack([np.interp(at, along, closed[:, k]) for k in (0, 1)], axis=1)


def _dense(contour: PointsRC, per_side: int = 6) -> PointsRC:
    closed = np.vstack([contour, contour[:1]])
    at = np.linspace(0, len(contour), len(contour) * per_side, endpoint=False)
    knots = np.arange(len(closed))
    return np.stack([np.interp(at, knots, closed[:, k]) for k in (0, 1)], axis=1)


def _first_corners(contour: PointsRC) -> PointsRC:
    box: PointsRC = cv2.boxPoints(cv2.minAreaRect(contour.astype(np.float32))).astype(float)
    middle = box.mean(axis=0)
    # Lumbosacral bodies lean by up to 45 degrees, so take the corner nearest to each diagonal.
    wanted = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], dtype=float)
    direction = (box - middle) / np.linalg.norm(box - middle, axis=1, keepdims=True)
    rolls = [float((np.roll(direction, -k, axis=0) * wanted).sum()) for k in range(4)]
    flips = [float((np.roll(direction[::-1], -k, axis=0) * wanted).sum()) for k in range(4)]
    if max(rolls) >= max(flips):
        return np.roll(box, -int(np.argmax(rolls)), axis=0)
    return np.roll(box[::-1], -int(np.argmax(flips)), axis=0)


def _settled(contour: PointsRC, corners: PointsRC) -> PointsRC:
    """Return the corners whose own frame finds them again."""
    for _ in range(4):
        corners = _support_corners(contour, corners)
    return corners


def _support_corners(contour: PointsRC, corners: PointsRC) -> PointsRC:
    sa, sp, ip, ia = corners
    across = (sp - sa) + (ip - ia)
    down = (ia - sa) + (ip - sp)
    across, down = across / np.linalg.norm(across), down / np.linalg.norm(down)
    middle = corners.mean(axis=0)
    frame = np.linalg.inv(np.stack([across, down], axis=1))
    u, v = frame @ (contour - middle).T
    found = []
    for su, sv in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        reach = su * u + sv * v
        # The mean of the outermost points does not jump along a rounded corner.
        weight = np.exp((reach - reach.max()) / _CORNER_MM)
        outward = su * across + sv * down
        corner = (contour * weight[:, None]).sum(axis=0) / weight.sum()
        found.append(corner + _DRAWN_IN_MM * outward / np.linalg.norm(outward))
    return np.array(found)


def _on_endplate(contour: PointsRC, front: PointsRC, back: PointsRC) -> PointsRC:
    """Return the point of the outline half-way between two corners, on their side of it."""
    chord = back - front
    along = (contour - (front + back) / 2) @ chord / np.linalg.norm(chord)
    aside = np.abs((contour - front) @ np.array([-chord[1], chord[0]])) / np.linalg.norm(chord)
    near = np.abs(along) < 0.06 * np.linalg.norm(chord)
    # The other endplate crosses the same line; it is farther from the chord.
    mine = near & (aside < aside[near].min() + 0.25 * np.linalg.norm(chord))
    weight = np.exp(-((along[mine] / 0.4) ** 2))
    point: PointsRC = (contour[mine] * weight[:, None]).sum(axis=0) / weight.sum()
    return point
