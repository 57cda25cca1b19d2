"""One vertebral body as it lies on a film: six points, an outline, a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

import numpy as np

from vertebrometer.anatomy.levels import level_rank
from vertebrometer.anatomy.reasons import Reason
from vertebrometer.types import PointsRC

POINT_NAMES: Final[tuple[str, ...]] = (
    "superior_anterior",
    "superior_middle",
    "superior_posterior",
    "inferior_posterior",
    "inferior_middle",
    "inferior_anterior",
)
"""The six points of quantitative morphometry, once round the body."""

CORNER_NAMES: Final[tuple[str, ...]] = (
    "superior_anterior",
    "superior_posterior",
    "inferior_posterior",
    "inferior_anterior",
)
"""The four corners among the six points, in the same order."""

_CORNERS: Final = [POINT_NAMES.index(name) for name in CORNER_NAMES]


class Facing(StrEnum):
    """Which side of the stored film the front of the spine is on."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"

    @property
    def opposite(self) -> Facing:
        """The other side; unknown stays unknown."""
        return {Facing.LEFT: Facing.RIGHT, Facing.RIGHT: Facing.LEFT}.get(self, Facing.UNKNOWN)


@dataclass(frozen=True, slots=True, eq=False)
class SixPoints:
    """The six points of one body, shape (6, 2), in the order of `POINT_NAMES`.

    The mid-endplate points lie on the endplates, half-way between the corners;
    a concave endplate has them inside the line that joins its corners.
    """

    points_rc: PointsRC

    def __post_init__(self) -> None:
        points = np.array(self.points_rc, dtype=np.float64)
        if points.shape != (6, 2) or not np.isfinite(points).all():
            msg = f"six finite (row, col) points are wanted, got an array of shape {points.shape}"
            raise ValueError(msg)
        points.setflags(write=False)
        object.__setattr__(self, "points_rc", points)

    @classmethod
    def from_corners(cls, corners_rc: PointsRC) -> Self:
        """Make six points of four corners, with the mid-endplate points of flat endplates."""
        sa, sp, ip, ia = np.asarray(corners_rc, dtype=np.float64)
        return cls(np.array([sa, (sa + sp) / 2, sp, ip, (ip + ia) / 2, ia]))

    @property
    def corners_rc(self) -> PointsRC:
        """The four corners, shape (4, 2), in the order of `CORNER_NAMES`."""
        corners: PointsRC = self.points_rc[_CORNERS]
        return corners

    @property
    def centre_rc(self) -> PointsRC:
        """Mean of the four corners, shape (2,)."""
        centre: PointsRC = self.corners_rc.mean(axis=0)
        return centre

    def point(self, name: str) -> PointsRC:
        """Return one point by its name in `POINT_NAMES`, shape (2,)."""
        point: PointsRC = self.points_rc[POINT_NAMES.index(name)]
        return point

    def as_xy(self) -> dict[str, list[float]]:
        """Return the points as files carry them: name to [x, y]."""
        return {
            name: [round(float(c), 3), round(float(r), 3)]
            for name, (r, c) in zip(POINT_NAMES, self.points_rc, strict=True)
        }

    @classmethod
    def from_xy(cls, named: Mapping[str, list[float]]) -> Self:
        """Read points as files carry them; without mid-endplate points they lie half-way."""
        if all(name in named for name in POINT_NAMES):
            return cls(np.array([named[name][::-1] for name in POINT_NAMES], dtype=np.float64))
        return cls.from_corners(np.array([named[name][::-1] for name in CORNER_NAMES], dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Vertebra:
    """One vertebral body found on a film, in pixels of the film as stored."""

    points: SixPoints
    contour_rc: PointsRC
    """Closed outline, shape (n, 2); the last point is not repeated."""
    confidence: float
    """0 to 1: how sure it is that this is a vertebral body, rightly outlined."""
    level: str | None = None
    level_confidence: float = 0.0
    point_sd_px: PointsRC | None = None
    """Shape (6, 2): spread of each point along rows and columns, where it is known."""
    reasons: tuple[Reason, ...] = ()
    """What speaks against measuring this body; empty when nothing does."""

    def __post_init__(self) -> None:
        if self.level is not None:
            level_rank(self.level)
        if not 0.0 <= self.confidence <= 1.0:
            msg = f"confidence lies between 0 and 1, got {self.confidence}"
            raise ValueError(msg)

    @property
    def usable(self) -> bool:
        """Whether the heights of this body may enter a compression."""
        return not self.reasons

    def with_reason(self, reason: Reason) -> Vertebra:
        """Return the same body with one more reason not to measure it."""
        if reason in self.reasons:
            return self
        return replace(self, reasons=(*self.reasons, reason))
