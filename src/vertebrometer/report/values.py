"""All that was measured on one film, as values that hold nothing but numbers and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from vertebrometer.anatomy import CORNER_NAMES, POINT_NAMES, Facing, NotMeasured, Reason, SixPoints, Vertebra
from vertebrometer.compression import Compression, Definition
from vertebrometer.morphometry import GenantLike, Heights
from vertebrometer.types import PointsRC

SCHEMA: Final = "vertebrometer.report/1"
"""Name and version of the file form; the number rises when a field changes its meaning."""

RESEARCH_USE: Final = "Research use only: not a medical device, not for diagnosis or treatment."

XY = tuple[float, float]
"""A point as files carry it: x to the right, y down, pixels of the film as stored."""


class Certainty(StrEnum):
    """How far a body's numbers can be trusted, in two words."""

    SURE = "sure"
    DOUBTFUL = "doubtful"


class Side(StrEnum):
    """A side of the film as stored."""

    TOP = "top"
    BOTTOM = "bottom"
    LEFT = "left"
    RIGHT = "right"

    @property
    def opposite(self) -> Side:
        """The side across the film."""
        return _OPPOSITE[self]


_OPPOSITE: Final = {
    Side.TOP: Side.BOTTOM,
    Side.BOTTOM: Side.TOP,
    Side.LEFT: Side.RIGHT,
    Side.RIGHT: Side.LEFT,
}
_LEFT_HAND: Final = {
    Side.TOP: Side.LEFT,
    Side.BOTTOM: Side.LEFT,
    Side.LEFT: Side.BOTTOM,
    Side.RIGHT: Side.TOP,
}
"""Where the left of a film lies whose head is on this side: `FilmReport.facing` tells of a film on its head
as stored, of one on its side as it is head up."""


@dataclass(frozen=True, slots=True)
class Software:
    """What made the report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """One weight file that took part."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFacts:
    """What is known of the film itself; never anything about the patient."""

    file: str
    """File name without its folder."""
    sha256: str | None = None
    """Of the file's bytes; None where it could not be read."""
    rows: int | None = None
    cols: int | None = None
    spacing_mm: tuple[float, float] | None = None
    """Height and width of a pixel."""
    spacing_source: str = "none"
    """calibrated, detector, user or none."""
    aspect: float = 1.0
    """Height over width of a pixel; known also where no spacing is."""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def mm_per_px(self) -> float | None:
        """Width of a pixel in mm, the unit of heights."""
        return None if self.spacing_mm is None else self.spacing_mm[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Whether the film as a whole could be measured."""

    usable: bool
    reasons: tuple[str, ...] = ()
    """Codes of `Reason`, or of an error where the file could not be read."""
    overruled: tuple[str, ...] = ()
    """Codes that a user told the program to ignore."""
    message: str | None = None
    """What to tell a reader about a film that was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReport:
    """One vertebral body; points are [x, y] in pixels of the film as stored."""

    index: int
    """Counted from 1 at the top."""
    level: str | None
    level_confidence: float
    confidence: float
    certainty: Certainty
    six_points_xy: tuple[XY, ...]
    """In the order of `POINT_NAMES`."""
    contour_xy: tuple[XY, ...]
    point_sd_xy: tuple[XY, ...] | None
    """Spread of each point along x and y."""
    heights: Heights
    reasons: tuple[Reason, ...]
    grade: GenantLike | None
    definition: Definition
    """Which of the compressions is the headline."""
    compressions: Mapping[Definition, Compression | NotMeasured]

    @property
    def compression(self) -> Compression | NotMeasured:
        """The compression by the definition that was asked for."""
        return self.compressions[self.definition]

    @property
    def percent(self) -> float | None:
        """The compression in percent, or None where it was not measured."""
        return self.compression.percent if isinstance(self.compression, Compression) else None

    @property
    def interval_90(self) -> tuple[float, float] | None:
        """The 90 % interval of the compression, where there is one."""
        return self.compression.interval_90 if isinstance(self.compression, Compression) else None

    @property
    def against_intact(self) -> float | None:
        """The compression against the nearest intact bodies, in percent, where the headline contradicts it.

        By equation 1 a body beside a fracture reads far too tall; None elsewhere, and where the headline
        has no interval to tell by.
        """
        intact = self.compressions.get(Definition.NEAREST_INTACT)
        if self.definition is not Definition.ADJACENT_MEAN or not isinstance(intact, Compression):
            return None
        if self.interval_90 is None or self.interval_90[0] <= intact.percent <= self.interval_90[1]:
            return None
        return intact.percent

    @property
    def name(self) -> str:
        """The level where it is known, else the number."""
        return self.level or f"#{self.index}"

    @property
    def points(self) -> SixPoints:
        """The six points as a value that can be measured."""
        return SixPoints(np.array(self.six_points_xy, dtype=np.float64)[:, ::-1])

    @property
    def corners_rc(self) -> PointsRC:
        """The four corners, shape (4, 2), in the order of `CORNER_NAMES`."""
        return self.points.corners_rc

    @property
    def contour_rc(self) -> PointsRC:
        """The closed outline, shape (n, 2)."""
        return np.array(self.contour_xy, dtype=np.float64).reshape(-1, 2)[:, ::-1]

    @property
    def corners_xy(self) -> dict[str, XY]:
        """The four corners by name."""
        six = dict(zip(POINT_NAMES, self.six_points_xy, strict=True))
        return {name: six[name] for name in CORNER_NAMES}

    def as_vertebra(self) -> Vertebra:
        """Return the body as it was found, to be corrected and measured again."""
        spread = None if self.point_sd_xy is None else np.array(self.point_sd_xy, dtype=np.float64)[:, ::-1]
        return Vertebra(
            points=self.points,
            contour_rc=self.contour_rc,
            confidence=self.confidence,
            level=self.level,
            level_confidence=self.level_confidence,
            point_sd_px=spread,
            reasons=self.reasons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmReport:
    """All that was measured on one film; the form of the file is in docs/reference/report-schema.md."""

    software: Software
    models: tuple[ModelUsed, ...]
    settings: Mapping[str, Any]
    film: FilmFacts
    facing: Facing
    """Side of the stored film on which the front of the spine lies; head up where it lies on its side."""
    facing_confidence: float
    quality: Quality
    definition: Definition
    elapsed_s: float
    vertebrae: tuple[BodyReport, ...]
    """From the head of the patient, which is the top of the film unless `head_side` says otherwise."""

    @property
    def head_side(self) -> Side:
        """Side of the stored film to which the head lies, as the first and the last body tell."""
        if len(self.vertebrae) < 2:
            return Side.TOP
        first, last = (self.vertebrae[n].corners_rc.mean(axis=0) for n in (0, -1))
        down, right = (float(way) for way in last - first)
        if abs(right) > abs(down):
            return Side.LEFT if right > 0 else Side.RIGHT
        return Side.TOP if down > 0 else Side.BOTTOM

    @property
    def front_side(self) -> Side | None:
        """Side of the stored film on which the front of the spine lies; None where that is not known."""
        if self.facing is Facing.UNKNOWN:
            return None
        side = _LEFT_HAND[self.head_side]
        return side if self.facing is Facing.LEFT else side.opposite

    @property
    def head_down(self) -> bool:
        """Whether the film stands on its head: the first body lies lowest on it."""
        return self.head_side is Side.BOTTOM

    @property
    def measured(self) -> tuple[BodyReport, ...]:
        """The bodies whose compression was measured."""
        return tuple(body for body in self.vertebrae if body.percent is not None)

    @property
    def aspect(self) -> float:
        """Height over width of a pixel of the film."""
        return self.film.aspect
