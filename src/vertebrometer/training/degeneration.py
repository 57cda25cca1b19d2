"""Worn discs in the picture: narrowed, slipped, between dense endplates, as in films of older patients.

The body that is looked at keeps its place and shape, so that its truth stays as it is; what lies beyond the
disc moves. Plain numbers are drawn first, then applied. Points are (row, col) in pixels of a crop in which
the body lies level with its front on the left, as `vertebrometer.segmentation.frames` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vertebrometer.types import FloatArray, PointsRC

Pixels = NDArray[np.floating]
"""Rows or columns of places in a crop."""

LEAST_LEFT: Final = 0.06
"""Part of its height that a narrowed disc keeps at least."""
_CARRIED_ON: Final = 0.3
"""Depths of a body in front of and behind it over which what holds for its disc is carried on."""
_SOFT_PX: Final = 1.2


@dataclass(frozen=True, slots=True)
class Sclerosis:
    """A dense band along an endplate, within the bone."""

    gain: float
    """Brightness at the endplate, in standard deviations of the crop."""
    thickness: float
    """Over which it fades, in depths of the body."""
    middle: float
    """Where it is densest: 0 at the front of the body, 1 at its back."""
    breadth: float
    """Half its breadth, in depths of the body."""


@dataclass(frozen=True, slots=True)
class WornDisc:
    """How one disc next to the body is changed."""

    loss: tuple[float, float]
    """Part of its height that is lost, at the front and at the back."""
    slip: float
    """Depths of the body by which what lies beyond is moved to the back."""
    own: Sclerosis | None
    """At the endplate of the body that is looked at."""
    other: Sclerosis | None
    """At the endplate on the other side of the disc."""


@dataclass(frozen=True, slots=True, eq=False)
class DiscPlace:
    """Where a disc lies in the crop: the endplates above and below it, front and back."""

    own: PointsRC
    """Endplate of the body that is looked at, front and back, shape (2, 2)."""
    other: PointsRC
    """Endplate beyond the disc, front and back, shape (2, 2)."""
    below: bool
    """Whether the disc lies below the body."""


def draw_worn_disc(rng: np.random.Generator) -> WornDisc:
    """Choose how a disc is worn: mostly narrowed, sometimes slipped, often with dense endplates."""
    loss = float(rng.uniform(0.1, 1 - LEAST_LEFT))
    uneven = rng.normal(0, 0.2, 2)
    front, back = np.clip(loss + uneven, -0.2, 1 - LEAST_LEFT)
    slip = float(rng.normal(0, 0.16)) if rng.random() < 0.45 else 0.0
    own, other = (_draw_sclerosis(rng) if rng.random() < 0.55 else None for _ in range(2))
    return WornDisc((float(front), float(back)), float(np.clip(slip, -0.45, 0.45)), own, other)


def _draw_sclerosis(rng: np.random.Generator) -> Sclerosis:
    return Sclerosis(
        gain=float(rng.uniform(0.3, 1.8)),
        thickness=float(np.exp(rng.uniform(np.log(0.05), np.log(0.4)))),
        middle=float(rng.uniform(0.0, 1.0)),
        breadth=float(rng.uniform(0.3, 1.2)),
    )


def beyond(worn: WornDisc, place: DiscPlace, rows: Pixels, cols: Pixels) -> FloatArray:
    """How far from each place of the changed picture its content lay before, shape (2, ...), in pixels.

    Zero on the body's side of the disc; beyond the disc all moves together, and the disc between is
    pressed or sheared.
    """
    inner, outer = _line(place.own, cols), _line(place.other, cols)
    sign = 1.0 if place.below else -1.0
    gap = np.maximum(sign * (outer - inner), 1.0)
    along = np.clip(_along(place.own, cols), -_CARRIED_ON, 1 + _CARRIED_ON)
    lost = np.minimum(worn.loss[0] + along * (worn.loss[1] - worn.loss[0]), 1 - LEAST_LEFT)
    down = gap * lost
    share = np.clip(sign * (rows - inner) / (gap - down), 0.0, 1.0)
    return np.stack([sign * down * share, -worn.slip * _depth(place.own) * share])


def density(worn: WornDisc, place: DiscPlace, rows: Pixels, cols: Pixels) -> FloatArray:
    """Brightness that the dense endplates add at places of the unchanged picture, in SD of the crop."""
    total = np.zeros(rows.shape)
    sign = 1.0 if place.below else -1.0
    for band, line, inward in ((worn.own, place.own, -sign), (worn.other, place.other, sign)):
        if band is None:
            continue
        depth = _depth(line)
        inside = inward * (rows - _line(line, cols))
        along = _along(line, cols)
        fades = np.exp(-np.maximum(inside, 0) / (band.thickness * depth))
        edge = 1 / (1 + np.exp(-np.clip(inside / _SOFT_PX, -30, 30)))
        # Bone ends at the front and the back of the body.
        walls = np.clip((0.5 - np.abs(along - 0.5)) * depth / _SOFT_PX + 0.5, 0.0, 1.0)
        total += band.gain * fades * edge * walls * np.exp(-(((along - band.middle) / band.breadth) ** 2))
    return total


def draw_crest(rng: np.random.Generator, side_px: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Brightness of a bony border that crosses the crop, as the iliac crest crosses L5, in SD of the crop."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    radius = float(np.exp(rng.uniform(np.log(0.4), np.log(3.0)))) * side_px
    through = rng.uniform(0.1, 0.9, 2) * shape
    angle = float(rng.uniform(-np.pi, np.pi))
    centre = through + radius * np.array([np.sin(angle), np.cos(angle)])
    out = np.hypot(rows - centre[0], cols - centre[1]) - radius
    soft, wide = rng.uniform(0.5, 3.0), rng.uniform(0.7, 3.0)
    step = float(rng.uniform(-1.0, 1.0)) / (1 + np.exp(np.clip(out / soft, -30, 30)))
    rim = float(rng.uniform(0.0, 1.3)) * np.exp(-((out / wide) ** 2))
    return np.asarray(step + rim, dtype=np.float32)


def _line(ends: PointsRC, cols: Pixels) -> FloatArray:
    """Row of an endplate, carried on straight, at each column."""
    run = ends[1, 1] - ends[0, 1]
    slope = (ends[1, 0] - ends[0, 0]) / (run if abs(run) > 1 else 1.0)
    return np.asarray(ends[0, 0] + np.clip(slope, -1, 1) * (cols - ends[0, 1]))


def _along(ends: PointsRC, cols: Pixels) -> FloatArray:
    """Part of the way from front to back at each column."""
    return np.asarray((cols - ends[0, 1]) / max(float(ends[1, 1] - ends[0, 1]), 1.0))


def _depth(ends: PointsRC) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))
