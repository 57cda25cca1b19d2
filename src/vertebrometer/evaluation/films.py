"""One measured film against what is truly on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Protocol

import numpy as np

from vertebrometer.anatomy import BodyTruth, FilmTruth, level_rank
from vertebrometer.evaluation.rasters import Confusion, overlap, polygons_mask
from vertebrometer.geometry import distance
from vertebrometer.types import PointsRC

MATCHED_FROM: Final = 0.5
"""Intersection over union from which a found body counts as the true one."""

_SIDE_PX: Final = 1024


class ScoredBody(Protocol):
    """What is scored of one measured body."""

    @property
    def level(self) -> str | None:
        """Its name, where it has one."""
        ...

    @property
    def corners_rc(self) -> PointsRC:
        """Four corners in the order of `CORNER_NAMES`, pixels of the film."""
        ...

    @property
    def contour_rc(self) -> PointsRC:
        """Its closed outline."""
        ...

    @property
    def percent(self) -> float | None:
        """Its compression, or None where it was not measured."""
        ...

    @property
    def interval_90(self) -> tuple[float, float] | None:
        """The 90 % interval of its compression, where there is one."""
        ...


class ScoredReport(Protocol):
    """What is scored of one measured film."""

    @property
    def vertebrae(self) -> Sequence[ScoredBody]:
        """The bodies that were found."""
        ...

    @property
    def aspect(self) -> float:
        """Height over width of a pixel."""
        ...


@dataclass(frozen=True, slots=True)
class ValuePair:
    """The compression of one body, true and measured, in percent."""

    level: str
    true: float
    measured: float
    interval_90: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmScore:
    """How one film was measured."""

    file: str
    bodies: int
    """True bodies that count."""
    found: int
    false: int
    """Bodies found where there is none, between the first and last annotated body."""
    measurable: int
    """True bodies whose two neighbours are annotated."""
    pairs: tuple[ValuePair, ...]
    corner_errors_percent: tuple[float, ...]
    """Distance of each corner from the true one, in percent of the true body's height."""
    pixels: Confusion
    """Within the rows of the annotated bodies, or the columns where the film lies on its side."""
    levels_right: tuple[bool, ...]
    """For each body that was found and named."""


def true_compressions(bodies: Sequence[BodyTruth], aspect: float = 1.0) -> list[float | None]:
    """Equation 1 for each true body whose two neighbours are annotated, in percent.

    Written a second time on purpose: the truth of a score must not come from
    the code that is scored.
    """
    ends = [
        (body.points.point("superior_anterior"), body.points.point("inferior_anterior")) for body in bodies
    ]
    fronts = [distance(upper, lower, (aspect, 1.0)) for upper, lower in ends]
    values: list[float | None] = [None] * len(bodies)
    for n in range(1, len(bodies) - 1):
        above, own, below = bodies[n - 1 : n + 2]
        if _follows(above.level, own.level) and _follows(own.level, below.level):
            expected = (fronts[n - 1] + fronts[n + 1]) / 2
            values[n] = 100 * (expected - fronts[n]) / expected
    return values


def _follows(upper: str, lower: str) -> bool:
    # Stricter than a measured spine: where an annotator left a body out, nothing is known.
    return level_rank(lower) - level_rank(upper) == 1 or (upper, lower) == ("T12", "L1")


def score_film(
    truth: FilmTruth, report: ScoredReport | None, *, first: str = "T4", last: str = "L5"
) -> FilmScore:
    """Score one film; no report counts as a film where nothing was found.

    A found body is the true one that it overlaps by at least half (intersection
    over union of the quadrilaterals of the corners). Pixels are those inside the
    outlines where the truth has outlines, else inside the corners.
    """
    bodies = sorted(truth.bodies, key=lambda body: level_rank(body.level))
    values = true_compressions(bodies, report.aspect if report else 1.0)
    counted = [
        n for n, body in enumerate(bodies) if level_rank(first) <= level_rank(body.level) <= level_rank(last)
    ]
    found = list(report.vertebrae) if report else []
    matches = _matches([bodies[n].points.corners_rc for n in counted], [body.corners_rc for body in found])
    pairs, errors, named = [], [], []
    for n, m in ((counted[k], m) for k, m in matches.items()):
        errors.extend(_corner_errors(bodies[n], found[m]))
        if (level := found[m].level) is not None:
            named.append(level == bodies[n].level)
        true, measured = values[n], found[m].percent
        if true is not None and measured is not None:
            pairs.append(ValuePair(bodies[n].level, true, measured, found[m].interval_90))
    return FilmScore(
        file=PurePath(truth.file).name,
        bodies=len(counted),
        found=len(matches),
        false=_false_bodies(bodies, found, set(matches.values())),
        measurable=sum(values[n] is not None for n in counted),
        pairs=tuple(pairs),
        corner_errors_percent=tuple(errors),
        pixels=_pixels(truth, bodies, found),
        levels_right=tuple(named),
    )


def _matches(true: Sequence[PointsRC], found: Sequence[PointsRC]) -> dict[int, int]:
    """Pair true and found bodies from the top, each with its best partner that is still free."""
    matches: dict[int, int] = {}
    for k, corners in enumerate(true):
        free = [(overlap(corners, other), m) for m, other in enumerate(found) if m not in matches.values()]
        best, m = max(free, default=(0.0, -1))
        if best >= MATCHED_FROM:
            matches[k] = m
    return matches


def _corner_errors(true: BodyTruth, found: ScoredBody) -> list[float]:
    corners = true.points.corners_rc
    height = (distance(corners[0], corners[3]) + distance(corners[1], corners[2])) / 2
    return [100 * distance(a, b) / height for a, b in zip(corners, found.corners_rc, strict=True)]


def _extent(bodies: Sequence[BodyTruth]) -> tuple[int, float, float]:
    """Axis along which the spine runs (1: the film lies on its side), and where its bodies begin and end."""
    corners = np.concatenate([body.points.corners_rc for body in bodies])
    apart = np.ptp([body.points.centre_rc for body in bodies], axis=0)
    axis = int(apart[1] > apart[0])
    return axis, float(corners[:, axis].min()), float(corners[:, axis].max())


def _false_bodies(bodies: Sequence[BodyTruth], found: Sequence[ScoredBody], matched: set[int]) -> int:
    if not bodies:
        return len(found)
    axis, start, end = _extent(bodies)
    return sum(
        m not in matched
        and start < float(body.corners_rc[:, axis].mean()) < end
        and all(overlap(body.corners_rc, true.points.corners_rc) < MATCHED_FROM for true in bodies)
        for m, body in enumerate(found)
    )


def _pixels(truth: FilmTruth, bodies: Sequence[BodyTruth], found: Sequence[ScoredBody]) -> Confusion:
    if not bodies:
        return Confusion(0, 0, 0, 0)
    outlined = all(len(body.contour_rc) > 4 for body in bodies)
    true = [body.contour_rc if outlined else body.points.corners_rc for body in bodies]
    seen = [body.contour_rc if outlined else body.corners_rc for body in found]
    scale = min(1.0, _SIDE_PX / max(truth.shape))
    axis, start, end = _extent(bodies)
    # Bodies above and below the annotated ones are real too, so they must not count as errors.
    inside = slice(max(0, int(start * scale)), int(end * scale) + 1)
    within = (inside, slice(None)) if axis == 0 else (slice(None), inside)
    masks = [
        polygons_mask([p for p in polygons if len(p) > 2], truth.shape, scale) for polygons in (seen, true)
    ]
    return Confusion.of(*(mask[within] for mask in masks))
