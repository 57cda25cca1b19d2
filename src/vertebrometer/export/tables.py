"""One tidy table for many films: a row per body, also for what was not measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from vertebrometer.anatomy import NotMeasured, explain
from vertebrometer.compression import Compression, Definition
from vertebrometer.report import BodyReport, FilmReport

COLUMNS: Final = (
    "film",
    "file",
    "film_usable",
    "film_reasons",
    "body",
    "level",
    "level_confidence",
    "confidence",
    "certainty",
    "anterior_px",
    "middle_px",
    "posterior_px",
    "anterior_mm",
    "middle_mm",
    "posterior_mm",
    "spacing_source",
    "definition",
    "compression_percent",
    "interval_90_low",
    "interval_90_high",
    "compared_with",
    "not_measured",
    "explanation",
    "adjacent_mean_percent",
    "nearest_intact_percent",
    "same_body_percent",
    "grade",
    "deformity",
    "body_reasons",
    "anterior_side",
    "sha256",
    "version",
)
"""What is empty is not known; nothing is ever 0 for missing."""


def measurements_csv(reports: Iterable[tuple[str, FilmReport]]) -> str:
    """Return the table of all films as CSV text (RFC 4180, UTF-8, with a header).

    Parameters
    ----------
    reports : iterable of (name, FilmReport)
        The name is that of the film's result file, without ``.json``; a film
        without any body has one row, so that no film is passed over in silence.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for name, report in reports:
        for row in rows(name, report):
            writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def rows(name: str, report: FilmReport) -> Iterator[dict[str, Any]]:
    """Yield the rows of one film; None stands for what is not known."""
    film = {
        "film": name,
        "file": report.film.file,
        "film_usable": report.quality.usable,
        "film_reasons": report.quality.reasons,
        "spacing_source": report.film.spacing_source,
        "definition": report.definition.value,
        "anterior_side": report.facing.value,
        "sha256": report.film.sha256,
        "version": report.software.version,
    }
    if not report.vertebrae:
        code = report.quality.reasons[0] if report.quality.reasons else "no_bodies_found"
        yield film | {"not_measured": code, "explanation": report.quality.message}
    for body in report.vertebrae:
        yield film | _body(body)


def _body(body: BodyReport) -> dict[str, Any]:
    own = body.heights
    return {
        "body": body.index,
        "level": body.level,
        "level_confidence": body.level_confidence if body.level else None,
        "confidence": body.confidence,
        "certainty": body.certainty.value,
        "anterior_px": own.anterior_px,
        "middle_px": own.middle_px,
        "posterior_px": own.posterior_px,
        "anterior_mm": _rounded(own.anterior_mm),
        "middle_mm": _rounded(own.middle_mm),
        "posterior_mm": _rounded(own.posterior_mm),
        "adjacent_mean_percent": _percent(body, Definition.ADJACENT_MEAN),
        "nearest_intact_percent": _percent(body, Definition.NEAREST_INTACT),
        "same_body_percent": _percent(body, Definition.SAME_BODY),
        "grade": int(body.grade.grade) if body.grade else None,
        "deformity": body.grade.deformity.value if body.grade else None,
        "body_reasons": tuple(reason.value for reason in body.reasons),
    } | _compression(body.compression)


def _compression(value: Compression | NotMeasured) -> dict[str, Any]:
    if isinstance(value, NotMeasured):
        return {"not_measured": value.reason.value, "explanation": explain(value.reason)}
    low, high = value.interval_90 or (None, None)
    return {
        "compression_percent": value.percent,
        "interval_90_low": low,
        "interval_90_high": high,
        "compared_with": tuple(place + 1 for place in value.compared_with),
    }


def _percent(body: BodyReport, definition: Definition) -> float | None:
    value = body.compressions[definition]
    return value.percent if isinstance(value, Compression) else None


def _rounded(length: float | None) -> float | None:
    return None if length is None else round(length, 3)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    text = str(value)
    # A spreadsheet would run a text that starts like a formula; file names come from outside.
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t")) else text
