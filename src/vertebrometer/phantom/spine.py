"""A spine in millimetres: bodies with six exact points, stacked by published morphometry.

Coordinates are (row, col) in mm with the front of the spine towards smaller
columns (left). Sources: heights C4-L3 after the public annotations of 100 chest
CTs (neuro-ml/anchor-free-genant), lumbar heights after Cook & Baker, Int J Spine
Surg 2021;15:1072-1081, fractured shapes after J Orthop Surg Res 2023,
s13018-023-03758-w; lordosis after PMC6680033.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.errors import UnknownNameError
from vertebrometer.types import FloatArray, PointsRC


@dataclass(frozen=True, slots=True)
class LevelNorm:
    """Mean size of one level, in mm; the disc is the one below the body."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    depth_mm: float
    width_mm: float
    disc_mm: float
    disc_wedge_deg: float
    """Opening of the disc below towards the front, standing."""


NORMS: Final[dict[str, LevelNorm]] = {
    "C3": LevelNorm(14.0, 13.0, 14.2, 15.5, 18.0, 5.0, 2.0),
    "C4": LevelNorm(13.6, 12.7, 14.0, 15.8, 19.0, 5.0, 2.5),
    "C5": LevelNorm(12.9, 12.2, 13.8, 16.0, 20.0, 5.0, 2.5),
    "C6": LevelNorm(13.0, 12.4, 13.9, 16.6, 22.0, 5.2, 2.0),
    "C7": LevelNorm(14.4, 13.6, 15.0, 17.0, 25.0, 5.0, 1.0),
    "T1": LevelNorm(17.0, 15.4, 18.0, 17.5, 28.0, 4.3, 0.0),
    "T2": LevelNorm(18.5, 16.4, 19.1, 18.3, 27.0, 4.0, -0.5),
    "T3": LevelNorm(18.5, 16.6, 19.7, 19.5, 26.0, 3.8, -0.8),
    "T4": LevelNorm(18.7, 17.0, 20.2, 21.0, 25.5, 3.8, -1.0),
    "T5": LevelNorm(18.7, 17.3, 20.8, 22.4, 26.0, 3.9, -1.0),
    "T6": LevelNorm(18.2, 17.4, 21.0, 24.0, 27.0, 4.0, -0.8),
    "T7": LevelNorm(18.3, 17.8, 21.5, 25.3, 28.0, 4.2, -0.5),
    "T8": LevelNorm(19.3, 18.2, 21.8, 26.6, 29.5, 4.5, 0.3),
    "T9": LevelNorm(20.6, 19.0, 22.3, 27.8, 31.0, 4.8, 0.8),
    "T10": LevelNorm(22.0, 20.2, 23.6, 28.8, 33.0, 5.2, 1.2),
    "T11": LevelNorm(22.6, 21.4, 25.4, 29.6, 35.0, 6.0, 2.0),
    "T12": LevelNorm(24.2, 22.9, 27.1, 30.4, 38.0, 7.2, 3.0),
    "T13": LevelNorm(25.0, 23.4, 27.6, 30.8, 38.5, 7.6, 3.0),
    "L1": LevelNorm(25.8, 24.0, 28.4, 31.4, 40.0, 8.2, 4.0),
    "L2": LevelNorm(27.6, 25.2, 29.2, 32.6, 41.5, 9.4, 5.5),
    "L3": LevelNorm(28.6, 25.6, 28.8, 33.8, 43.5, 10.2, 7.0),
    "L4": LevelNorm(28.9, 25.6, 27.8, 34.8, 46.0, 10.6, 10.0),
    "L5": LevelNorm(29.8, 25.4, 25.9, 35.3, 49.0, 9.8, 14.0),
    "L6": LevelNorm(29.6, 25.2, 25.2, 35.3, 50.0, 9.2, 14.0),
}


FRACTURE_KINDS: Final = ("wedge", "biconcave", "crush")


@dataclass(frozen=True, slots=True)
class Fracture:
    """A lost height: `loss` is the lost fraction of the height that the kind takes first."""

    kind: str
    """wedge, biconcave or crush."""
    loss: float
    posterior_share: float = 0.1
    """Part of the loss that the posterior wall takes in a wedge fracture."""

    def __post_init__(self) -> None:
        if self.kind not in FRACTURE_KINDS:
            raise UnknownNameError(kind="fracture", name=self.kind, known=FRACTURE_KINDS)
        if not (0.0 <= self.loss < 1.0 and 0.0 <= self.posterior_share <= 1.0):
            got = f"{self.loss} and {self.posterior_share}"
            msg = f"a loss from 0 to below 1 and a share from 0 to 1 are wanted, got {got}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyShape:
    """One body before it is placed; lengths in mm, the front at negative columns."""

    level: str
    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    superior_depth_mm: float
    inferior_depth_mm: float
    width_mm: float
    waist: float = 0.05
    """Inward bow of the anterior wall, as a fraction of depth."""
    concavity_skew: float = 0.0
    """-1 to 1: the deepest point of the endplates lies towards the front (-) or back (+)."""
    superior_share: float = 0.5
    """Part of the endplates' concavity that the upper endplate has."""
    disc_mm: float = 8.0
    disc_wedge_deg: float = 0.0
    slip_mm: float = 0.0
    """Forward shift of this body on the one below."""
    osteophytes_mm: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Length of the spurs at the four corners, in the order of CORNER_NAMES."""
    ripple_mm: float = 0.0
    """Irregularity of the endplates of a fractured body."""
    ripple_seed: int = 0
    rotation_deg: float = 0.0
    """Turn about the long axis of the body: moves its sides to front and back."""
    tilt_deg: float = 0.0
    """Lean to the side: doubles the endplates."""
    trabecular_hu: float = 150.0
    cortex_mm: float = 0.7
    fracture: str = "none"
    implant: str = "none"

    def __post_init__(self) -> None:
        heights = (self.anterior_mm, self.middle_mm, self.posterior_mm)
        if min(*heights, self.superior_depth_mm, self.inferior_depth_mm, self.width_mm) <= 0:
            msg = f"a body has heights, depths and a width above 0 mm; {self.level} has heights of {heights}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PlacedBody:
    """One body in its place; `axis_deg` is the turn of its own frame."""

    shape: BodyShape
    centre_mm: FloatArray
    """Shape (2,)."""
    axis_deg: float

    def to_film_mm(self, local_mm: PointsRC) -> PointsRC:
        """Carry points of the body's own frame, (down, back), to the spine's frame."""
        a = np.deg2rad(self.axis_deg)
        turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        return np.asarray(np.asarray(local_mm) @ turn.T + self.centre_mm)

    def six_points_mm(self) -> SixPoints:
        """Six exact points of the mid-sagittal section."""
        return SixPoints(self.to_film_mm(local_six_points(self.shape)))

    def outline_mm(self) -> PointsRC:
        """Outline of the mid-sagittal section, without spurs, shape (n, 2)."""
        return self.to_film_mm(section_outline(self.shape, 0.0))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spine:
    """Bodies from the top, and the superior endplate of S1 below them."""

    bodies: tuple[PlacedBody, ...]
    s1_endplate_mm: PointsRC
    """Shape (2, 2): posterior, anterior."""
    sacrum_axis_deg: float


def fractured(shape: BodyShape, fracture: Fracture) -> BodyShape:
    """Return `shape` with the heights that `fracture` leaves."""
    loss, ha, hm, hp = fracture.loss, shape.anterior_mm, shape.middle_mm, shape.posterior_mm
    if fracture.kind == "wedge":
        posterior = 1 - loss * fracture.posterior_share
        ha, hp = ha * (1 - loss), hp * posterior
        hm = min(hm, (ha + hp) / 2) * (1 - 0.25 * loss)
    elif fracture.kind == "biconcave":
        ha, hm, hp = ha * (1 - 0.25 * loss), hm * (1 - loss), hp * (1 - 0.12 * loss)
    else:
        ha, hm, hp = ha * (1 - loss), hm * (1 - loss), hp * (1 - 0.8 * loss)
    bulge = 1 + 0.12 * loss
    return replace(
        shape,
        anterior_mm=ha,
        middle_mm=hm,
        posterior_mm=hp,
        superior_depth_mm=shape.superior_depth_mm * bulge,
        inferior_depth_mm=shape.inferior_depth_mm * (1 + 0.05 * loss),
        fracture=fracture.kind,
    )


def local_six_points(shape: BodyShape) -> PointsRC:
    """Six points in the body's own frame, (down, back) in mm from its centre."""
    ds, di = shape.superior_depth_mm / 2, shape.inferior_depth_mm / 2
    ha, hp = shape.anterior_mm / 2, shape.posterior_mm / 2
    dip = (shape.anterior_mm + shape.posterior_mm) / 2 - shape.middle_mm
    up, down = dip * shape.superior_share, dip * (1 - shape.superior_share)
    mean = (ha + hp) / 2
    return np.array([[-ha, -ds], [-mean + up, 0.0], [-hp, ds], [hp, di], [mean - down, 0.0], [ha, -di]])


def section_outline(shape: BodyShape, side: float, *, spurs: bool = False) -> PointsRC:
    """Outline of the section at `side` (-1 to 1 across the width), in the body's own frame.

    Endplates flatten towards the rim and the section shortens as the body's
    round front and sides come in.
    """
    six = local_six_points(shape)
    sa, _, sp, ip, _, ia = six
    dip = (shape.anterior_mm + shape.posterior_mm) / 2 - shape.middle_mm
    flat = 1 - 0.85 * side**2
    n = 25
    t = np.linspace(0, 1, n)
    bow = _endplate_bow(t, shape.concavity_skew)
    wobble = _ripple(shape, t, side)
    top = sa + t[:, None] * (sp - sa)
    top[:, 0] += dip * shape.superior_share * flat * bow + wobble[0]
    bottom = ip + t[:, None] * (ia - ip)
    bottom[:, 0] -= dip * (1 - shape.superior_share) * flat * bow[::-1] + wobble[1]
    back = _wall(sp, ip, 0.02 * shape.superior_depth_mm * (1 - side**2), -1.0)
    front = _wall(ia, sa, shape.waist * shape.superior_depth_mm * (1 - 0.5 * side**2), 1.0)
    outline = np.vstack([top[:-1], back[:-1], bottom[:-1], front[:-1]])
    if spurs:
        outline = _with_spurs(outline, shape)
    return _narrowed(outline, shape, side)


def _endplate_bow(t: FloatArray, skew: float) -> FloatArray:
    """Concavity along an endplate: 0 at the rims, 1 at the middle of the chord."""
    s = t + 0.25 * skew * t * (1 - t)
    bow = 1 - np.abs(2 * s - 1) ** 2.4
    middle = 1 - abs(0.25 * skew * 0.5) ** 2.4
    return np.asarray(bow / middle)


def _ripple(shape: BodyShape, t: FloatArray, side: float) -> FloatArray:
    """Irregular endplates of a fractured body, shape (2, n); 0 at corners and at the middle point."""
    if shape.ripple_mm == 0:
        return np.zeros((2, t.size))
    phases = np.random.default_rng(shape.ripple_seed).uniform(0.5, 1.0, 4) * shape.ripple_mm
    first, second = np.sin(2 * np.pi * t), np.sin(4 * np.pi * t)
    lean = 1 + 0.4 * side
    return np.array([phases[0] * first - phases[1] * second, phases[2] * first + phases[3] * second]) * lean


def _wall(start: FloatArray, end: FloatArray, bow_mm: float, towards: float) -> PointsRC:
    t = np.linspace(0, 1, 15)[:, None]
    wall: PointsRC = start + t * (end - start)
    wall[:, 1] += towards * bow_mm * np.sin(np.pi * t[:, 0]) ** 0.8
    return wall


def _with_spurs(outline: PointsRC, shape: BodyShape) -> PointsRC:
    """Push the outline out near corners that carry osteophytes."""
    out = outline.copy()
    six = local_six_points(shape)
    for corner, length, sign in zip(six[[0, 2, 3, 5]], shape.osteophytes_mm, (-1, 1, 1, -1), strict=True):
        if length > 0:
            near = np.exp(-((np.linalg.norm(outline - corner, axis=1) / 2.2) ** 2))
            out[:, 1] += sign * length * near
            out[:, 0] += np.sign(corner[0]) * 0.35 * length * near
    return out


def _narrowed(outline: PointsRC, shape: BodyShape, side: float) -> PointsRC:
    """Shorten the section front to back where the body is round seen from above."""
    half = (shape.superior_depth_mm + shape.inferior_depth_mm) / 4
    reach = (1 - min(abs(side), 0.999) ** 2.3) ** (1 / 2.3)
    front, back = (
        half * (2 * reach - 1) if reach < 0.5 else half * reach,
        half * min(1.0, 0.55 + 0.45 * reach),
    )
    out = outline.copy()
    ahead = out[:, 1] < 0
    out[ahead, 1] *= max(front, 0.02 * half) / half
    out[~ahead, 1] *= (back if abs(side) > 0.25 else half) / half
    return out


def stack(shapes: list[BodyShape], *, sacral_slope_deg: float, compensation: float = 0.3) -> Spine:
    """Place bodies from the sacrum upwards.

    Each body is turned against the one below by half of both wedges and the
    wedge of the disc between them. `compensation` is the part of a fractured
    body's own wedge that discs take back.
    """
    axis = sacral_slope_deg
    point = np.zeros(2)
    placed: list[PlacedBody] = []
    s1 = np.array([[0.0, 17.0], [0.0, -17.0]])
    a = np.deg2rad(axis)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    s1_mm = s1 @ turn.T
    below_half_wedge, below_half_height, below_axis = 0.0, 0.0, axis
    for shape in reversed(shapes):
        depth = (shape.superior_depth_mm + shape.inferior_depth_mm) / 2
        wedge = np.rad2deg(np.arctan2(shape.posterior_mm - shape.anterior_mm, depth))
        if shape.fracture != "none":
            wedge *= 1 - compensation
        # The front of the spine is on the left: a disc that opens to the front or a body
        # taller in front leans everything above it backwards (the axis grows).
        axis = below_axis + shape.disc_wedge_deg - below_half_wedge - wedge / 2
        need = depth / 2 * np.tan(np.deg2rad(abs(shape.disc_wedge_deg))) + 1.0
        gap = max(shape.disc_mm, need) if shape.disc_mm > 2.5 else shape.disc_mm + 0.5
        rise = below_half_height + gap + shape.middle_mm / 2 + 0.5 * _dip(shape)
        mean_axis = np.deg2rad((axis + below_axis) / 2)
        up = np.array([-np.cos(mean_axis), np.sin(mean_axis)])
        forward = np.array([-np.sin(mean_axis), -np.cos(mean_axis)])
        point = point + up * rise + forward * shape.slip_mm
        placed.append(PlacedBody(shape=shape, centre_mm=point.copy(), axis_deg=axis))
        below_half_wedge, below_axis = wedge / 2, axis
        below_half_height = shape.middle_mm / 2 + 0.5 * _dip(shape)
    return Spine(bodies=tuple(reversed(placed)), s1_endplate_mm=s1_mm, sacrum_axis_deg=sacral_slope_deg)


def _dip(shape: BodyShape) -> float:
    return max(0.0, (shape.anterior_mm + shape.posterior_mm) / 2 - shape.middle_mm)
