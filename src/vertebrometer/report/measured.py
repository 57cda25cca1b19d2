"""From bodies on a film to its report: every number of a report is made here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from vertebrometer import __version__
from vertebrometer.anatomy import Facing, NotMeasured, Reason, Vertebra, explain
from vertebrometer.compression import Compression, Definition, IntervalCalibration, compressions
from vertebrometer.morphometry import GenantLike, Heights, genant_like, heights
from vertebrometer.report.values import (
    XY,
    BodyReport,
    Certainty,
    FilmFacts,
    FilmReport,
    ModelUsed,
    Quality,
    Software,
)
from vertebrometer.types import PointsRC

SURE_FROM: Final = 0.8
"""Confidence from which a body's numbers count as sure."""

SURE_WITHIN_POINTS: Final = 10.0
"""Half width of the 90 % interval, in percentage points, up to which a value counts as sure.

Two readers' limits of agreement on the same body are about 12 points
(Buckens CF et al., PLoS ONE 2013;8:e71204).
"""

# What is worth saying but no reason to refuse a film: every ratio works without a spacing.
_REMARKS: Final = frozenset({Reason.NO_SPACING, Reason.IMPLAUSIBLE_SPACING})

_TOO_WIDE: Final = NotMeasured(Reason.INTERVAL_TOO_WIDE)

SOFTWARE: Final = Software("vertebrometer", __version__)


def measured_report(
    vertebrae: Sequence[Vertebra],
    *,
    film: FilmFacts,
    facing: Facing,
    facing_confidence: float,
    definition: Definition = Definition.ADJACENT_MEAN,
    models: Sequence[ModelUsed] = (),
    settings: Mapping[str, Any] | None = None,
    reasons: Sequence[Reason] = (),
    overruled: Sequence[Reason] = (),
    message: str | None = None,
    calibration: IntervalCalibration | None = None,
    sure_from: float = SURE_FROM,
    sure_within_points: float = SURE_WITHIN_POINTS,
    widest_points: float = math.inf,
    elapsed_s: float = 0.0,
) -> FilmReport:
    """Measure the bodies of one film and write down all of it.

    The same bodies always give the same report, so a report can be made again
    after a reader moved a corner (`BodyReport.as_vertebra`).

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        From the top, in pixels of the film as stored.
    reasons : sequence of Reason
        What speaks against measuring the film as a whole, and so against each of its bodies.
    overruled : sequence of Reason
        Reasons, of the film or of single bodies, that a user told the program to
        ignore: they stay in the report, but no longer keep anything from being
        measured. What is measured in spite of them is doubtful. Those that were
        raised are listed as overruled.
    message : str, optional
        What to tell a reader about a film that is not usable; by default the
        reasons in words.
    calibration : IntervalCalibration, optional
        Widens the intervals; see `vertebrometer.compression.compressions`.
    sure_from, sure_within_points : float
        Least confidence, and largest half width of the interval, that count as sure.
    widest_points : float, optional
        Largest half width of an interval whose value is told at all, unless
        `Reason.INTERVAL_TOO_WIDE` is overruled.
    """
    bodies = [_rounded(vertebra) for vertebra in vertebrae]
    # What speaks against the film speaks against each of its bodies: a refused film gives no value.
    against = [reason for reason in reasons if reason not in _REMARKS]
    if facing is Facing.UNKNOWN:
        against.append(Reason.FACING_UNSURE)
    for reason in against:
        bodies = [body.with_reason(reason) for body in bodies]
    to_measure = [_without(body, overruled) for body in bodies]
    mm = film.mm_per_px
    all_heights = [
        _rounded_heights(heights(body.points, aspect=film.aspect, mm_per_px=mm)) for body in bodies
    ]
    pixel_rc = (film.aspect, 1.0)
    results = compressions(to_measure, pixel_rc, calibration=calibration, widest_points=widest_points)
    too_wide = any(value == _TOO_WIDE for result in results for value in result.values())
    if too_wide and Reason.INTERVAL_TOO_WIDE in overruled:
        results = compressions(to_measure, pixel_rc, calibration=calibration)
    reports = tuple(
        _body_report(
            n + 1,
            body,
            own=all_heights[n],
            grade=_grade(n, to_measure, all_heights),
            result=results[n],
            definition=definition,
            sure=(sure_from, sure_within_points),
        )
        for n, body in enumerate(bodies)
    )
    return FilmReport(
        software=SOFTWARE,
        models=tuple(models),
        settings=_plain(settings),
        film=film,
        facing=facing,
        facing_confidence=round(float(facing_confidence), 4),
        quality=_quality(reasons, overruled, bodies, message, too_wide=too_wide),
        definition=definition,
        elapsed_s=round(float(elapsed_s), 3),
        vertebrae=reports,
    )


def refused_report(
    film: FilmFacts,
    *,
    code: str,
    message: str,
    models: Sequence[ModelUsed] = (),
    settings: Mapping[str, Any] | None = None,
    definition: Definition = Definition.ADJACENT_MEAN,
    elapsed_s: float = 0.0,
) -> FilmReport:
    """Write down that a film could not be measured at all, and why.

    `code` is the `code` of an error or a `Reason`; `message` words it for a
    reader and names no patient.
    """
    return FilmReport(
        software=SOFTWARE,
        models=tuple(models),
        settings=_plain(settings),
        film=film,
        facing=Facing.UNKNOWN,
        facing_confidence=0.0,
        quality=Quality(usable=False, reasons=(str(code),), message=message),
        definition=definition,
        elapsed_s=round(float(elapsed_s), 3),
        vertebrae=(),
    )


def _plain(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return settings as a file gives them back: keys are text, lists are lists."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(settings or {}), default=str))
    return plain


def _quality(
    reasons: Sequence[Reason],
    overruled: Sequence[Reason],
    bodies: Sequence[Vertebra],
    message: str | None,
    *,
    too_wide: bool,
) -> Quality:
    codes = tuple(dict.fromkeys(reason.value for reason in reasons))
    raised = {*reasons, *(reason for body in bodies for reason in body.reasons)}
    if too_wide:
        raised.add(Reason.INTERVAL_TOO_WIDE)
    ignored = tuple(dict.fromkeys(reason.value for reason in overruled if reason in raised))
    against = [code for code in codes if code not in ignored and code not in _REMARKS]
    if against and message is None:
        message = "; ".join(explain(Reason(code)) for code in against)
    return Quality(usable=not against, reasons=codes, overruled=ignored, message=message)


def _body_report(
    index: int,
    body: Vertebra,
    *,
    own: Heights,
    grade: GenantLike | None,
    result: Mapping[Definition, Compression | NotMeasured],
    definition: Definition,
    sure: tuple[float, float],
) -> BodyReport:
    rounded = {name: _rounded_compression(value) for name, value in result.items()}
    return BodyReport(
        index=index,
        level=body.level,
        level_confidence=body.level_confidence,
        confidence=body.confidence,
        certainty=_certainty(body, rounded[definition], *sure),
        six_points_xy=_xy(body.points.points_rc),
        contour_xy=_xy(body.contour_rc),
        point_sd_xy=None if body.point_sd_px is None else _xy(body.point_sd_px),
        heights=own,
        reasons=body.reasons,
        grade=grade,
        definition=definition,
        compressions=rounded,
    )


def _certainty(
    body: Vertebra, compression: Compression | NotMeasured, sure_from: float, within_points: float
) -> Certainty:
    if body.reasons or body.confidence < sure_from:
        return Certainty.DOUBTFUL
    interval = compression.interval_90 if isinstance(compression, Compression) else None
    if interval is not None and (interval[1] - interval[0]) / 2 > within_points:
        return Certainty.DOUBTFUL
    return Certainty.SURE


def _grade(n: int, bodies: Sequence[Vertebra], all_heights: Sequence[Heights]) -> GenantLike | None:
    own = all_heights[n]
    if not bodies[n].usable or own.posterior_px <= 0:
        return None
    around = [m for m in (n - 1, n + 1) if 0 <= m < len(bodies) and bodies[m].usable]
    # One neighbour alone would put the normal growth from level to level into the grade.
    expected = sum(all_heights[m].posterior_px for m in around) / 2 if len(around) == 2 else None
    graded = genant_like(own, expected_posterior_px=expected)
    return replace(graded, height_loss=round(graded.height_loss, 4))


# Points are rounded before anything is measured on them, so that the numbers of a report
# follow exactly from the points written in it.


def _rounded(vertebra: Vertebra) -> Vertebra:
    points = type(vertebra.points)(np.round(vertebra.points.points_rc, 3))
    spread = (
        None if vertebra.point_sd_px is None else np.round(np.asarray(vertebra.point_sd_px, dtype=float), 3)
    )
    return replace(
        vertebra,
        points=points,
        contour_rc=np.round(np.asarray(vertebra.contour_rc, dtype=np.float64).reshape(-1, 2), 2),
        confidence=round(float(vertebra.confidence), 4),
        level_confidence=round(float(vertebra.level_confidence), 4),
        point_sd_px=spread,
    )


def _without(vertebra: Vertebra, overruled: Sequence[Reason]) -> Vertebra:
    return replace(vertebra, reasons=tuple(reason for reason in vertebra.reasons if reason not in overruled))


def _rounded_heights(own: Heights) -> Heights:
    return Heights(
        round(own.anterior_px, 3), round(own.middle_px, 3), round(own.posterior_px, 3), own.mm_per_px
    )


def _rounded_compression(value: Compression | NotMeasured) -> Compression | NotMeasured:
    if isinstance(value, NotMeasured):
        return value
    interval = value.interval_90
    return replace(
        value,
        percent=round(value.percent, 2),
        interval_90=None if interval is None else (round(interval[0], 2), round(interval[1], 2)),
    )


def _xy(points_rc: PointsRC) -> tuple[XY, ...]:
    return tuple((float(c), float(r)) for r, c in points_rc)
