"""Numbered bodies to triplets, by the paper's three conditions, with a log of what was left out.

"The segmentation result that satisfies the following three conditions was
defined as 'accurate segmentation results'. First, each vertebral body should be
subdivided into one. Second, the corners of vertebral bodies should be able to
be found. Third, in order to use the Eq. (1) for calculating vertebral
compression, the three vertebral bodies should be adjacent to each other and
divided."
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from scipy import ndimage

from vertebrometer.anatomy import SixPoints, Vertebra
from vertebrometer.compression.contour import subpixel_points, vertices_of
from vertebrometer.compression.neighbours import chained
from vertebrometer.morphometry import heights
from vertebrometer.triplets.labelling import Labelled
from vertebrometer.types import BoolMask, FloatArray, GrayImage, LabelMap, PointsRC


class LeftOut(StrEnum):
    """Why a triplet was left out: a closed list."""

    MERGED_BODIES = "merged_bodies"
    BROKEN_BODY = "broken_body"
    CORNERS_NOT_FOUND = "corners_not_found"
    CUT_BY_BORDER = "cut_by_border"
    NOT_ADJACENT = "not_adjacent"
    TOO_FEW_BODIES = "too_few_bodies"
    EDGE_UNSURE = "edge_unsure"
    NO_TRUE_BODY = "no_true_body"
    NO_VALUE = "no_value"


CONDITIONS: Final[dict[LeftOut, int]] = {
    LeftOut.BROKEN_BODY: 1,
    LeftOut.MERGED_BODIES: 1,
    LeftOut.CORNERS_NOT_FOUND: 2,
    LeftOut.CUT_BY_BORDER: 2,
    LeftOut.NOT_ADJACENT: 3,
    LeftOut.TOO_FEW_BODIES: 3,
}
"""Which of the paper's three conditions each reason belongs to. An unsure edge is a condition of ours; the
others are no fault of the mask."""

WORDS: Final[dict[LeftOut, str]] = {
    LeftOut.MERGED_BODIES: "one outline holds two bodies",
    LeftOut.BROKEN_BODY: "a body fell into several parts",
    LeftOut.CORNERS_NOT_FOUND: "the corners of a body could not be found",
    LeftOut.CUT_BY_BORDER: "the border of the film cuts through a body",
    LeftOut.NOT_ADJACENT: "a body between two of them was not found",
    LeftOut.TOO_FEW_BODIES: "fewer than three bodies were found on the film",
    LeftOut.EDGE_UNSURE: "the network cannot tell where the front of a body ends",
    LeftOut.NO_TRUE_BODY: "what was found is no true body, or covers less than half of one",
    LeftOut.NO_VALUE: "no true value is known for the middle body",
}

# A body and its fellow one or two places away differ by less than a third in area; two in one outline by far
# more, and they are taller than deep, which a single thoracic or lumbar body never is by this much.
_MERGED_AREA: Final = 1.5
_MERGED_ASPECT: Final = 1.2
# Centres of true neighbours lie at least a disc and two half heights apart, which is no less than this share
# of the depth even where both are crushed.
_BROKEN_APART: Final = 0.3


@dataclass(frozen=True, slots=True)
class Triplet:
    """Three bodies of one film that may be compared, by their numbers from the top."""

    above: int
    target: int
    below: int

    @property
    def numbers(self) -> tuple[int, int, int]:
        """All three."""
        return (self.above, self.target, self.below)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A triplet that was left out, named by its middle body; number 0 stands for the whole film."""

    film: str
    target: int
    reason: LeftOut
    body: int
    """The body at fault."""

    @property
    def condition(self) -> int | None:
        """Which of the paper's conditions was not met; None where the mask is not at fault."""
        return CONDITIONS.get(self.reason)


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """A film's bodies, the triplets among them, and what was left out."""

    film: str
    found: Labelled
    points: tuple[SixPoints | None, ...]
    """Sub-pixel corners of each body, from the top; the front is on the left."""
    triplets: tuple[Triplet, ...]
    left_out: tuple[Exclusion, ...]


_FRONT_SHARE: Final = 0.45
"""Part of a body's depth, from its front, whose edge the anterior height hangs on."""
_RIM_PX: Final = 4


def edge_doubt(found: Labelled, number: int) -> float:
    """How wide the band is in which a map cannot tell whether it is body, along the front of one body.

    The sum of 4 p (1 - p), which is 1 where the map says one half and 0 where it
    is sure, over the front of the body and some pixels round it, per pixel of the
    outline there and over the root of the body's area, so that it does not hang
    on the scale of the film. A sharp map gives about 0.02, an edge under gas 0.06
    and more.

    Parameters
    ----------
    found : Labelled
        With the front of the spine on the left.
    number : int
        Of the body, from 1 at the top.
    """
    pixels = np.argwhere(found.labels == number)
    low = np.maximum(pixels.min(axis=0) - _RIM_PX - 1, 0)
    high = np.minimum(pixels.max(axis=0) + _RIM_PX + 2, found.labels.shape)
    cut = (slice(low[0], high[0]), slice(low[1], high[1]))
    own = found.labels[cut] == number
    chance = np.asarray(found.share[cut], dtype=np.float64)
    left, right = pixels[:, 1].min() - low[1], pixels[:, 1].max() - low[1]
    front = np.zeros(own.shape, np.bool_)
    front[:, : left + int(_FRONT_SHARE * (right - left + 1))] = True
    others = (found.labels[cut] > 0) & ~own
    near = ndimage.binary_dilation(own, iterations=_RIM_PX) & front & ~others
    outline = ndimage.binary_dilation(own) & ~own & front
    unsure = float((4 * chance * (1 - chance))[near].sum())
    return unsure / max(int(outline.sum()), 1) / float(np.sqrt(len(pixels)))


def divide(
    found: Labelled,
    *,
    film: str = "",
    inside: tuple[int, int, int, int] | None = None,
    largest_doubt: float | None = None,
) -> Divided:
    """Divide the bodies of a film into triplets.

    Parameters
    ----------
    found : Labelled
        Bodies, numbered from the top; the front of the spine is on the left.
    film : str
        Named in the log.
    inside : tuple of int, optional
        First and one beyond the last row, first and one beyond the last column of
        the film within a padded canvas; the whole of it by default. A body that
        touches this border counts as cut.
    largest_doubt : float, optional
        A triplet is left out where the `edge_doubt` of a body is larger; the paper has no such condition.
    """
    count = found.count
    shape = found.labels.shape
    inside = inside or (0, shape[0], 0, shape[1])
    bodies = [_Body.of(found, number, inside) for number in range(1, count + 1)]
    downs = _downs([body.centre_rc for body in bodies])
    points = tuple(_points(found, body, down) for body, down in zip(bodies, downs, strict=True))
    if count < 3:
        return Divided(film, found, points, (), (Exclusion(film, 0, LeftOut.TOO_FEW_BODIES, 0),))
    faults = _faults(bodies, points, downs)
    linked = _linked(bodies, points)
    doubts = [0.0 if largest_doubt is None else edge_doubt(found, body.number) for body in bodies]
    triplets: list[Triplet] = []
    left_out: list[Exclusion] = []
    for target in range(2, count):
        numbers = (target - 1, target, target + 1)
        at_fault = [(faults[number], number) for number in numbers if faults[number] is not None]
        if at_fault:
            reason, body = min(at_fault, key=lambda fault: CONDITIONS[_known(fault[0])])
            left_out.append(Exclusion(film, target, _known(reason), body))
        elif not (linked[target - 2] and linked[target - 1]):
            left_out.append(Exclusion(film, target, LeftOut.NOT_ADJACENT, target))
        elif largest_doubt is not None and max(doubts[n - 1] for n in numbers) > largest_doubt:
            worst = max(numbers, key=lambda n: doubts[n - 1])
            left_out.append(Exclusion(film, target, LeftOut.EDGE_UNSURE, worst))
        else:
            triplets.append(Triplet(*numbers))
    return Divided(film, found, points, tuple(triplets), tuple(left_out))


def _known(reason: LeftOut | None) -> LeftOut:
    assert reason is not None
    return reason


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """What the conditions ask of one body."""

    number: int
    centre_rc: FloatArray
    area_px: int
    cut: bool
    has_vertices: bool
    pixels_rc: PointsRC

    @classmethod
    def of(cls, found: Labelled, number: int, inside: tuple[int, int, int, int]) -> _Body:
        mask = found.body(number)
        pixels = np.argwhere(mask)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        top, bottom, left, right = inside
        cut = low[0] <= top or low[1] <= left or high[0] >= bottom - 1 or high[1] >= right - 1
        return cls(
            number,
            pixels.mean(axis=0),
            len(pixels),
            bool(cut),
            vertices_of(mask) is not None,
            pixels.astype(np.float64),
        )


def _points(found: Labelled, body: _Body, down: FloatArray) -> SixPoints | None:
    """Read the six points of one body on a cut-out of the map."""
    low = np.maximum(body.pixels_rc.min(axis=0).astype(int) - 4, 0)
    high = np.minimum(body.pixels_rc.max(axis=0).astype(int) + 5, found.labels.shape)
    cut = (slice(low[0], high[0]), slice(low[1], high[1]))
    points = subpixel_points(_own_share(found.share[cut], found.labels[cut], body.number), down)
    return None if points is None else SixPoints(points.points_rc + low)


def _own_share(share: GrayImage, labels: LabelMap, number: int) -> GrayImage:
    """Return a map without the neighbours of one body; its soft rim is kept."""
    mask = labels == number
    rim: BoolMask = ndimage.binary_dilation(mask, iterations=2) & (labels == 0)
    return np.where(mask, np.maximum(share, 0.5), np.where(rim, share, 0.0)).astype(np.float32)


def _downs(centres: list[FloatArray]) -> list[FloatArray]:
    """Direction of the spine at each body, from its neighbours' centres."""
    if len(centres) < 2:
        return [np.array([1.0, 0.0]) for _ in centres]
    return [centres[min(n + 1, len(centres) - 1)] - centres[max(n - 1, 0)] for n in range(len(centres))]


def _faults(
    bodies: list[_Body], points: tuple[SixPoints | None, ...], downs: list[FloatArray]
) -> dict[int, LeftOut | None]:
    """Return what speaks against each body, by number; the first condition first."""
    broken = _broken(bodies)
    faults: dict[int, LeftOut | None] = {}
    for n, body in enumerate(bodies):
        if body.number in broken:
            faults[body.number] = LeftOut.BROKEN_BODY
        elif _is_merged(n, bodies, downs[n]):
            faults[body.number] = LeftOut.MERGED_BODIES
        elif body.cut:
            faults[body.number] = LeftOut.CUT_BY_BORDER
        elif not body.has_vertices or points[n] is None:
            faults[body.number] = LeftOut.CORNERS_NOT_FOUND
        else:
            faults[body.number] = None
    return faults


def _extent(body: _Body, down: FloatArray) -> tuple[float, float]:
    """Length along the spine and across it, in pixels."""
    unit = down / max(float(np.linalg.norm(down)), 1e-9)
    along = body.pixels_rc @ unit
    across = body.pixels_rc @ np.array([-unit[1], unit[0]])
    return float(np.ptp(along)) + 1, float(np.ptp(across)) + 1


def _is_merged(n: int, bodies: list[_Body], down: FloatArray) -> bool:
    height, depth = _extent(bodies[n], down)
    near = [bodies[m].area_px for m in range(max(0, n - 2), min(len(bodies), n + 3)) if m != n]
    return height > _MERGED_ASPECT * depth and bodies[n].area_px > _MERGED_AREA * float(np.median(near))


def _broken(bodies: list[_Body]) -> set[int]:
    """Parts that lie beside each other, or one right on the other: pieces of one body."""
    pieces: set[int] = set()
    for n in range(len(bodies) - 1):
        unit = _direction_beside(bodies, n)
        step = bodies[n + 1].centre_rc - bodies[n].centre_rc
        depth = max(_extent(bodies[m], unit)[1] for m in (n, n + 1))
        if float(step @ unit) < _BROKEN_APART * depth:
            pieces |= {bodies[n].number, bodies[n + 1].number}
    return pieces


def _direction_beside(bodies: list[_Body], n: int) -> FloatArray:
    """Direction of the spine at bodies n and n + 1, told by others: two pieces would tell a wrong one."""
    middle = (bodies[n].centre_rc + bodies[n + 1].centre_rc) / 2
    above = bodies[n - 1].centre_rc if n else middle
    below = bodies[n + 2].centre_rc if n + 2 < len(bodies) else middle
    length = float(np.linalg.norm(below - above))
    return np.asarray((below - above) / length) if length > 0 else np.array([1.0, 0.0])


def _linked(bodies: list[_Body], points: tuple[SixPoints | None, ...]) -> list[bool]:
    """Whether each body but the last is followed by its true neighbour, as far as distances tell."""
    vertebrae = [
        Vertebra(points=six or _box(body), contour_rc=np.zeros((0, 2)), confidence=1.0)
        for body, six in zip(bodies, points, strict=True)
    ]
    return chained(vertebrae, [heights(vertebra.points) for vertebra in vertebrae], 1.0)


def _box(body: _Body) -> SixPoints:
    (top, left), (bottom, right) = body.pixels_rc.min(axis=0) - 0.5, body.pixels_rc.max(axis=0) + 0.5
    return SixPoints.from_corners(np.array([[top, left], [top, right], [bottom, right], [bottom, left]]))
