"""Compress chosen bodies and bend the spine, with a field that carries the truth as well.

All fields lie in the sagittal plane and are the same from left to right. Two
kinds of them follow each other:

* `Compaction`, one for each compressed body: along the body's own
  superior-inferior axis the endplates move towards each other, the discs take
  up what the neighbours do not follow, and all that lies above comes down as
  one piece by the loss of the posterior wall.
* `Bending`: every body moves as a rigid piece, what lies between them follows
  its neighbours. A wedge leans the spine above it forward by it.

Bone is not lost: where a compaction shortens it, it becomes denser by as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from vertebrometer.anatomy import SixPoints
from vertebrometer.errors import SettingsError
from vertebrometer.projection.bodies import BodySection
from vertebrometer.types import FloatArray, PointsRC

LARGEST_LOSS: Final = 0.65
"""Beyond it a body is flat: no film shows one, and the field would fold."""
_STEPS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Crush:
    """What a body loses, as fractions of its heights, and how the spine answers."""

    level: str
    kind: str
    """wedge, biconcave or crush."""
    anterior: float
    middle: float
    posterior: float
    superior_share: float = 0.8
    """Part of the loss that the superior endplate takes; the inferior one takes the rest."""
    kyphosis_share: float = 0.5
    """Part of the tilt of the endplate that the spine above follows; the disc takes the rest."""

    def __post_init__(self) -> None:
        if not all(0.0 <= loss <= LARGEST_LOSS for loss in (self.anterior, self.middle, self.posterior)):
            msg = f"the loss of a height lies between 0 and {LARGEST_LOSS}, got {self}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Compaction:
    """Displacement along one body's axis, piecewise linear, so that its inverse is exact."""

    origin_mm: PointsRC
    axes: FloatArray
    """Rows: unit vectors to posterior and to superior, as (row, col)."""
    at_mm: FloatArray
    """Places along the posterior axis where the knots are known, shape (n,)."""
    before_mm: FloatArray
    """Heights of the knots along the superior axis, shape (n, k), rising."""
    after_mm: FloatArray
    """Heights to which the knots go, shape (n, k), rising."""
    compacted: FloatArray
    """Part of the loss of height that makes bone denser, shape (n,)."""

    def forward(self, points_mm: PointsRC) -> PointsRC:
        """Carry points, shape (n, 2), from before to after."""
        return self._carried(points_mm, self.before_mm, self.after_mm)[0]

    def backward(self, points_mm: PointsRC) -> tuple[PointsRC, FloatArray]:
        """Carry points back; also return how many times denser the bone there has become."""
        return self._carried(points_mm, self.after_mm, self.before_mm)

    def _carried(
        self, points_mm: PointsRC, source_mm: FloatArray, target_mm: FloatArray
    ) -> tuple[PointsRC, FloatArray]:
        local = (points_mm - self.origin_mm) @ self.axes.T
        along, height = local[:, 0], local[:, 1]
        step = self.at_mm[1] - self.at_mm[0]
        place = np.clip((along - self.at_mm[0]) / step, 0, len(self.at_mm) - 1.000001)
        left = place.astype(int)
        share = (place - left)[:, None]
        source = source_mm[left] * (1 - share) + source_mm[left + 1] * share
        target = target_mm[left] * (1 - share) + target_mm[left + 1] * share
        segment = np.clip((height[:, None] >= source).sum(axis=1) - 1, 0, source.shape[1] - 2)
        rows = np.arange(len(segment))
        low, high = source[rows, segment], source[rows, segment + 1]
        to_low, to_high = target[rows, segment], target[rows, segment + 1]
        stretch = (to_high - to_low) / (high - low)
        inside = (height >= source[:, 0]) & (height <= source[:, -1])
        moved = to_low + (height - low) * stretch
        # Above the last knot and below the first one everything moves in one piece.
        moved = np.where(height > source[:, -1], height + (target - source)[:, -1], moved)
        moved = np.where(height < source[:, 0], height + (target - source)[:, 0], moved)
        carried = self.origin_mm + np.stack([along, moved], axis=1) @ self.axes
        compacted = np.interp(along, self.at_mm, self.compacted)
        return carried, 1 + compacted * (np.where(inside, stretch, 1.0) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Bending:
    """Displacement given on a grid of 1 mm, shape (rows, cols, 2), from `corner_mm` on."""

    corner_mm: PointsRC
    shift_mm: NDArray[np.float32]

    def forward(self, points_mm: PointsRC) -> PointsRC:
        """Carry points, shape (n, 2), from before to after."""
        return points_mm + self._shift_at(points_mm)

    def backward(self, points_mm: PointsRC) -> PointsRC:
        """Carry points back, to a few hundredths of a mm."""
        back = points_mm.copy()
        for _ in range(30):
            error = points_mm - back - self._shift_at(back)
            back = back + 0.8 * error
            if float(np.abs(error).max()) < 0.01:
                break
        return back

    def _shift_at(self, points_mm: PointsRC) -> FloatArray:
        at = (points_mm - self.corner_mm).astype(np.float32)
        if len(at) < 500:
            shift = [map_coordinates(self.shift_mm[..., k], at.T, order=1, mode="nearest") for k in (0, 1)]
            return np.stack(shift, axis=1).astype(float)
        # remap wants a picture no longer than 32767 on either side.
        side = -(-len(at) // 256)
        padded = np.zeros((side * 256, 2), dtype=np.float32)
        padded[: len(at)] = at
        grid = padded.reshape(side, 256, 2)
        remapped = np.asarray(
            cv2.remap(
                self.shift_mm, grid[..., 1], grid[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        )
        moved: FloatArray = remapped.reshape(-1, 2)[: len(at)].astype(np.float64)
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """Compactions in turn, then one bending."""

    compactions: tuple[Compaction, ...]
    bending: Bending | None

    def forward(self, points_mm: PointsRC) -> PointsRC:
        """Carry points of the spine as scanned to the spine as shown."""
        for compaction in self.compactions:
            points_mm = compaction.forward(points_mm)
        return points_mm if self.bending is None else self.bending.forward(points_mm)

    def backward(self, points_mm: PointsRC) -> tuple[PointsRC, FloatArray]:
        """Carry points of the spine as shown back to the scan, and tell how much denser bone became."""
        if self.bending is not None:
            points_mm = self.bending.backward(points_mm)
        denser = np.ones(len(points_mm))
        for compaction in reversed(self.compactions):
            points_mm, stretch = compaction.backward(points_mm)
            denser = denser * stretch
        return points_mm, denser

    def body(self, section: BodySection) -> BodySection:
        """Carry the truth of one body."""
        return replace(
            section,
            points=SixPoints(self.forward(section.points.points_rc)),
            contour_mm=self.forward(section.contour_mm),
        )


def deformation_of(
    sections: Sequence[BodySection],
    crushes: Sequence[Crush],
    *,
    turns_deg: Sequence[float],
    discs_mm: Sequence[float],
    shape_mm: NDArray[np.float32] | None = None,
) -> Deformation:
    """Build the field that crushes bodies and turns each one against the next.

    Parameters
    ----------
    sections
        Bodies from the top.
    crushes
        At most one for each level.
    turns_deg
        One for each body: how far it leans forward against the body below it.
    discs_mm
        One for each body: how much thicker the disc below it becomes.
    shape_mm
        A smooth random displacement on a grid of 1 mm, shape (rows, cols, 2), from
        100 mm above and before the volume on; it makes every body a little different.
    """
    bodies = list(sections)
    lean_deg = np.array(turns_deg, dtype=float)
    compactions = []
    by_level = {crush.level: crush for crush in crushes}
    for number in reversed(range(len(bodies))):
        crush = by_level.get(bodies[number].level)
        if crush is None:
            continue
        compaction = _compaction(bodies, number, crush)
        lean = _lean_deg(bodies[number], crush)
        if number > 0:
            lean_deg[number - 1] += crush.kyphosis_share * lean
        compactions.append(compaction)
        step = Deformation((compaction,), None)
        bodies = [step.body(body) for body in bodies]
    return Deformation(
        tuple(compactions), _bending(bodies, lean_deg, np.array(discs_mm, dtype=float), shape_mm)
    )


def _lean_deg(body: BodySection, crush: Crush) -> float:
    sa, sp, ip, ia = body.points.corners_rc
    front, back = np.linalg.norm(sa - ia) * crush.anterior, np.linalg.norm(sp - ip) * crush.posterior
    return float(np.rad2deg(np.arctan2(front - back, body.depth_mm)))


def _frame(body: BodySection) -> tuple[PointsRC, FloatArray]:
    """Return origin and unit axes (posterior, superior) of a body, the axis along the mean of its walls."""
    sa, sp, ip, ia = body.points.corners_rc
    up = (sa - ia) / np.linalg.norm(sa - ia) + (sp - ip) / np.linalg.norm(sp - ip)
    up = up / np.linalg.norm(up)
    back = np.array([up[1], -up[0]])
    if back @ (sp - sa) < 0:
        back = -back
    return body.points.corners_rc.mean(axis=0), np.stack([back, up])


def _endplate(
    body: BodySection, origin: PointsRC, axes: FloatArray, at_mm: FloatArray, *, upper: bool
) -> FloatArray:
    """Return the height of an endplate over the places `at_mm`, held level beyond its corners."""
    local = (body.contour_mm - origin) @ axes.T
    sa, sp, ip, ia = (body.points.corners_rc - origin) @ axes.T
    front, back = (sa, sp) if upper else (ia, ip)
    middle = ((sa + sp + ip + ia) / 4)[1]
    side = (local[:, 1] > middle) if upper else (local[:, 1] < middle)
    inside = np.clip(at_mm, front[0], back[0])
    bins = np.linspace(front[0], back[0], 17)
    pick = np.max if upper else np.min
    heights = []
    for number, place in enumerate(bins):
        near = side & (np.abs(local[:, 0] - place) < 0.06 * (back[0] - front[0]))
        end = front if number == 0 else back if number == len(bins) - 1 else None
        # At a corner the endplate and the wall meet: take the corner itself.
        heights.append(end[1] if end is not None else (pick(local[near, 1]) if near.any() else np.nan))
    known = np.isfinite(heights)
    out: FloatArray = np.interp(inside, bins[known], np.array(heights)[known])
    return out


def _compaction(bodies: Sequence[BodySection], number: int, crush: Crush) -> Compaction:
    body = bodies[number]
    origin, axes = _frame(body)
    at_mm = np.arange(-140.0, 141.0, 1.0)
    upper = _endplate(body, origin, axes, at_mm, upper=True)
    lower = _endplate(body, origin, axes, at_mm, upper=False)
    corners = (body.points.corners_rc - origin) @ axes.T
    front, back = corners[[0, 3], 0].mean(), corners[[1, 2], 0].mean()
    loss = _loss_along(np.clip((at_mm - front) / (back - front), 0, 1), crush)
    # Behind the wall the arch takes the loss over a longer way than the body did.
    margin = np.clip(0.6 * (at_mm - back), 0, 8)
    lost_mm = (upper - lower) * loss
    down, up = crush.superior_share * lost_mm, (1 - crush.superior_share) * lost_mm
    follows = float(np.interp(back, at_mm, lost_mm))
    fade = np.exp(-(((at_mm - front) / 25.0) ** 2)) * (at_mm < front) + (at_mm >= front)
    down = np.clip(down * fade + (1 - fade) * follows * crush.superior_share, 0, None)
    up = np.clip(up * fade + (1 - fade) * follows * (1 - crush.superior_share), 0, None)
    # The rear of the inferior endplate stays on its disc: the whole body comes down instead.
    sunk = float(np.interp(back, at_mm, up))
    above = _gap(bodies, number, -1, upper, frame=(origin, axes), at_mm=at_mm)
    below = _gap(bodies, number, 1, lower, frame=(origin, axes), at_mm=at_mm)
    parts = np.linspace(0, 1, _STEPS)
    body_before = lower[:, None] - margin[:, None] + (upper - lower + 2 * margin)[:, None] * parts
    body_shift = (up - sunk)[:, None] - (up + down)[:, None] * _progress(parts, float(loss.max()))
    before = np.column_stack([lower - margin - below, body_before, upper + margin + above])
    shift = np.column_stack([np.zeros_like(up), body_shift, np.full_like(up, -follows)])
    after = _unfolded(before + shift)
    # The arch is not crushed, only the field that carries it.
    compacted = np.clip(1 - (at_mm - back - 1) / 4, 0, 1)
    return Compaction(origin, axes, at_mm, before, after, compacted)


def _unfolded(heights_mm: FloatArray) -> FloatArray:
    """Keep knots rising where a thin disc could not take what is asked of it."""
    steps = np.maximum(np.diff(heights_mm, axis=1), 0.1)
    return np.column_stack([heights_mm[:, 0], heights_mm[:, :1] + np.cumsum(steps, axis=1)])


def _loss_along(x: FloatArray, crush: Crush) -> FloatArray:
    """Loss from the anterior (0) to the posterior wall (1): smooth, and exact at the three heights."""
    rim = crush.anterior + (crush.posterior - crush.anterior) * x
    hollow = crush.middle - (crush.anterior + crush.posterior) / 2
    return np.clip(rim + hollow * np.sin(np.pi * x) ** 1.5, 0, LARGEST_LOSS)


def _progress(parts: FloatArray, loss: float) -> FloatArray:
    """Part of the loss that lies below each part of the height: most in the middle."""
    even, middle = parts, parts**2 * (3 - 2 * parts)
    # The smooth course is half as steep again in the middle, which must stay below one.
    share = float(np.clip((0.93 / max(loss, 1e-6) - 1) / 0.5, 0, 1))
    out: FloatArray = (1 - share) * even + share * middle
    return out


def _gap(
    bodies: Sequence[BodySection],
    number: int,
    step: int,
    endplate: FloatArray,
    *,
    frame: tuple[PointsRC, FloatArray],
    at_mm: FloatArray,
) -> FloatArray:
    """Return the thickness of the disc above (step -1) or below (step 1) over the places `at_mm`."""
    if not 0 <= number + step < len(bodies):
        return np.full_like(at_mm, 6.0)
    next_one = _endplate(bodies[number + step], *frame, at_mm, upper=step > 0)
    gap = (next_one - endplate) * -step
    return np.clip(gap - 1.5, 1.0, 20.0)


def _bending(
    bodies: Sequence[BodySection],
    turns_deg: FloatArray,
    discs_mm: FloatArray,
    shape_mm: NDArray[np.float32] | None,
) -> Bending | None:
    if not turns_deg.any() and not discs_mm.any() and shape_mm is None:
        return None
    points = np.vstack([body.contour_mm for body in bodies])
    corner = np.floor(points.min(axis=0)) - 100
    rows, cols = (int(n) for n in np.ceil(points.max(axis=0)) + 100 - corner)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1) + corner
    motions = _motions(bodies, turns_deg, discs_mm)
    weights = _weights(bodies, corner, (rows, cols))
    shift = np.zeros((rows, cols, 2), dtype=np.float64)
    for weight, (turn, move) in zip(weights, motions, strict=True):
        shift += weight[..., None] * (grid @ turn.T + move - grid)
    if shape_mm is not None:
        shift += cv2.resize(shape_mm, (cols, rows), interpolation=cv2.INTER_CUBIC)
    return Bending(corner, shift.astype(np.float32))


def _motions(
    bodies: Sequence[BodySection], turns_deg: FloatArray, discs_mm: FloatArray
) -> list[tuple[FloatArray, PointsRC]]:
    """Return the rigid motion of every body, from the top; the lowest one stays where it is."""
    turn, move = np.eye(2), np.zeros(2)
    motions = [(turn, move)]
    for number in reversed(range(len(bodies) - 1)):
        upper, lower = bodies[number], bodies[number + 1]
        # The centre of motion lies in the back third of the disc.
        front = (upper.points.point("inferior_anterior") + lower.points.point("superior_anterior")) / 2
        back = (upper.points.point("inferior_posterior") + lower.points.point("superior_posterior")) / 2
        hinge = front + 0.7 * (back - front)
        _, axes = _frame(lower)
        angle = np.deg2rad(turns_deg[number])
        # Leaning forward carries what is above towards the front, that is, to smaller columns.
        joint = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        step = hinge - joint @ hinge + axes[1] * discs_mm[number]
        move = turn @ step + move
        turn = turn @ joint
        motions.append((turn, move))
    return motions[::-1]


def _weights(bodies: Sequence[BodySection], corner: PointsRC, shape: tuple[int, int]) -> list[FloatArray]:
    """Return how far each point of the grid follows each body: wholly within it, shared between bodies."""
    nearness = []
    for body in bodies:
        outside = np.full(shape, 255, dtype=np.uint8)
        line = np.rint((body.contour_mm - corner)[:, ::-1]).astype(np.int32)
        cv2.fillPoly(outside, [line], 0)
        cv2.polylines(outside, [line], isClosed=True, color=0, thickness=3)
        away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        nearness.append(1.0 / (away.astype(np.float64) + 0.05) ** 2.5)
    total = np.sum(nearness, axis=0)
    return [near / total for near in nearness]
