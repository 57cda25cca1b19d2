"""The file form of a report: to plain values and back, every field checked on the way in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from vertebrometer.anatomy import LEVELS, POINT_NAMES, Facing, NotMeasured, Reason, explain
from vertebrometer.compression import Compression, Definition
from vertebrometer.errors import ReportFormatError
from vertebrometer.morphometry import Deformity, GenantGrade, GenantLike, Heights
from vertebrometer.report.values import (
    RESEARCH_USE,
    SCHEMA,
    XY,
    BodyReport,
    Certainty,
    FilmFacts,
    FilmReport,
    ModelUsed,
    Quality,
    Software,
)

ValueT = TypeVar("ValueT")
EnumT = TypeVar("EnumT", bound=StrEnum)

SPACING_SOURCES = ("calibrated", "detector", "user", "none")


# ---------------------------------------------------------------- to a file


def report_as_json(report: FilmReport) -> str:
    """Return the report as JSON text that ends in a line break."""
    return json.dumps(report_as_dict(report), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def report_as_dict(report: FilmReport) -> dict[str, Any]:
    """Return the report as plain values, ready for JSON."""
    film = report.film
    return {
        "schema": SCHEMA,
        "research_use_only": RESEARCH_USE,
        "software": {"name": report.software.name, "version": report.software.version},
        "models": [{"name": m.name, "version": m.version, "sha256": m.sha256} for m in report.models],
        "settings": dict(report.settings),
        "definition": report.definition.value,
        "film": {
            "file": film.file,
            "sha256": film.sha256,
            "rows": film.rows,
            "cols": film.cols,
            "spacing_mm": None if film.spacing_mm is None else list(film.spacing_mm),
            "spacing_source": film.spacing_source,
            "aspect": film.aspect,
            "facts": dict(film.facts),
        },
        "facing": {"anterior": report.facing.value, "confidence": report.facing_confidence},
        "quality": {
            "usable": report.quality.usable,
            "reasons": list(report.quality.reasons),
            "overruled": list(report.quality.overruled),
            "message": report.quality.message,
        },
        "elapsed_s": report.elapsed_s,
        "vertebrae": [_body_as_dict(body) for body in report.vertebrae],
    }


def _body_as_dict(body: BodyReport) -> dict[str, Any]:
    return {
        "index": body.index,
        "level": body.level,
        "level_confidence": body.level_confidence,
        "confidence": body.confidence,
        "certainty": body.certainty.value,
        "corners": {name: list(xy) for name, xy in body.corners_xy.items()},
        "six_points": {name: list(xy) for name, xy in zip(POINT_NAMES, body.six_points_xy, strict=True)},
        "point_sd": None
        if body.point_sd_xy is None
        else {name: list(xy) for name, xy in zip(POINT_NAMES, body.point_sd_xy, strict=True)},
        "contour": [list(xy) for xy in body.contour_xy],
        "heights": _heights_as_dict(body.heights),
        "reasons": [reason.value for reason in body.reasons],
        "grade": _grade_as_dict(body.grade),
        "compression": _compression_as_dict(body.compression),
        "compressions": {
            name.value: _compression_as_dict(value) for name, value in body.compressions.items()
        },
    }


def _heights_as_dict(own: Heights) -> dict[str, float | None]:
    return {
        "anterior_px": own.anterior_px,
        "middle_px": own.middle_px,
        "posterior_px": own.posterior_px,
        "anterior_mm": _maybe_round(own.anterior_mm),
        "middle_mm": _maybe_round(own.middle_mm),
        "posterior_mm": _maybe_round(own.posterior_mm),
    }


def _grade_as_dict(grade: GenantLike | None) -> dict[str, Any] | None:
    if grade is None:
        return None
    return {
        "grade": int(grade.grade),
        "deformity": grade.deformity.value,
        "height_loss_percent": round(100 * grade.height_loss, 2),
    }


def _compression_as_dict(value: Compression | NotMeasured) -> dict[str, Any]:
    if isinstance(value, NotMeasured):
        return {"not_measured": value.reason.value, "explanation": explain(value.reason)}
    out: dict[str, Any] = {
        "percent": value.percent,
        "definition": value.definition.value,
        "method": value.method,
        "compared_with": [place + 1 for place in value.compared_with],
    }
    if value.interval_90 is not None:
        out["interval_90"] = list(value.interval_90)
    return out


def _maybe_round(length: float | None) -> float | None:
    return None if length is None else round(length, 3)


# -------------------------------------------------------------- from a file


def read_report(path: Path) -> FilmReport:
    """Read one report file.

    Raises
    ------
    ReportFormatError
        The file is missing, is no JSON or breaks the documented form; the message names the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"no report file {path.name} in its folder"
        raise ReportFormatError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path.name} cannot be read as text: {type(error).__name__}"
        raise ReportFormatError(msg) from error
    return report_from_json(text, where=path.name)


def report_from_json(text: str, *, where: str = "report") -> FilmReport:
    """Read a report from JSON text; see `read_report`."""
    try:
        given = json.loads(text)
    except ValueError as error:
        msg = f"{where} is no JSON: {error}"
        raise ReportFormatError(msg) from error
    return report_from_dict(given, where=where)


def report_from_dict(given: Any, *, where: str = "report") -> FilmReport:
    """Read a report from plain values; fields that are not known are ignored.

    Raises
    ------
    ReportFormatError
        Naming the field by its path, such as ``vertebrae[3].corners``.
    """
    root = _Field(given, where)
    schema = root["schema"].text()
    if schema != SCHEMA:
        root["schema"].refuse(f"{SCHEMA!r}")
    film = _film_facts(root["film"])
    definition = root["definition"].one_of(Definition)
    return FilmReport(
        software=Software(root["software"]["name"].text(), root["software"]["version"].text()),
        models=tuple(
            ModelUsed(m["name"].text(), m["version"].text(), m["sha256"].text())
            for m in root["models"].items()
        ),
        settings=root["settings"].table(),
        film=film,
        facing=root["facing"]["anterior"].one_of(Facing),
        facing_confidence=root["facing"]["confidence"].number(),
        quality=_quality(root["quality"]),
        definition=definition,
        elapsed_s=root["elapsed_s"].number(),
        vertebrae=tuple(_body(body, definition, film) for body in root["vertebrae"].items()),
    )


def _film_facts(film: _Field) -> FilmFacts:
    source = film["spacing_source"]
    if source.text() not in SPACING_SOURCES:
        source.refuse(f"one of {', '.join(SPACING_SOURCES)}")
    return FilmFacts(
        file=film["file"].text(),
        sha256=film["sha256"].maybe(_Field.text),
        rows=film["rows"].maybe(_Field.whole),
        cols=film["cols"].maybe(_Field.whole),
        spacing_mm=film["spacing_mm"].maybe(_Field.pair),
        spacing_source=source.text(),
        aspect=film["aspect"].number(),
        facts={key: value.text() for key, value in film["facts"].entries()},
    )


def _quality(quality: _Field) -> Quality:
    return Quality(
        usable=quality["usable"].truth(),
        reasons=tuple(code.text() for code in quality["reasons"].items()),
        overruled=tuple(code.text() for code in quality["overruled"].items()),
        message=quality["message"].maybe(_Field.text),
    )


def _body(body: _Field, definition: Definition, film: FilmFacts) -> BodyReport:
    level = body["level"].maybe(_Field.text)
    if level is not None and level not in LEVELS:
        body["level"].refuse("a level such as T12, or null")
    return BodyReport(
        index=body["index"].whole(),
        level=level,
        level_confidence=body["level_confidence"].fraction(),
        confidence=body["confidence"].fraction(),
        certainty=body["certainty"].one_of(Certainty),
        six_points_xy=_named_points(body["six_points"]),
        contour_xy=tuple(point.pair() for point in body["contour"].items()),
        point_sd_xy=body["point_sd"].maybe(_named_points),
        heights=_heights(body["heights"], film),
        reasons=tuple(code.one_of(Reason) for code in body["reasons"].items()),
        grade=body["grade"].maybe(_grade),
        definition=definition,
        compressions={name: _compression(body["compressions"][name.value]) for name in Definition},
    )


def _named_points(points: _Field) -> tuple[XY, ...]:
    return tuple(points[name].pair() for name in POINT_NAMES)


def _heights(own: _Field, film: FilmFacts) -> Heights:
    return Heights(
        anterior_px=own["anterior_px"].number(),
        middle_px=own["middle_px"].number(),
        posterior_px=own["posterior_px"].number(),
        mm_per_px=film.mm_per_px,
    )


def _grade(grade: _Field) -> GenantLike:
    number = grade["grade"].whole()
    if number not in list(GenantGrade):
        grade["grade"].refuse("0, 1, 2 or 3")
    loss = round(grade["height_loss_percent"].number() / 100, 4)
    return GenantLike(GenantGrade(number), grade["deformity"].one_of(Deformity), loss)


def _compression(value: _Field) -> Compression | NotMeasured:
    if "not_measured" in value.table():
        return NotMeasured(value["not_measured"].one_of(Reason))
    interval = value["interval_90"].pair() if "interval_90" in value.table() else None
    try:
        return Compression(
            percent=value["percent"].number(),
            definition=value["definition"].one_of(Definition),
            method=value["method"].text(),
            interval_90=interval,
            compared_with=tuple(index.whole() - 1 for index in value["compared_with"].items()),
        )
    except ValueError as error:
        value.refuse(str(error))


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of the file with the path that leads to it."""

    value: Any
    path: str

    def __getitem__(self, key: str) -> _Field:
        table = self.table()
        if key not in table:
            msg = f"{self.path}: the field {key!r} is missing"
            raise ReportFormatError(msg)
        return _Field(table[key], f"{self.path}.{key}")

    def refuse(self, wanted: str) -> NoReturn:
        shown = repr(self.value)
        msg = f"{self.path}: wanted {wanted}, got {shown if len(shown) < 60 else shown[:57] + '...'}"
        raise ReportFormatError(msg)

    def table(self) -> dict[str, Any]:
        if not isinstance(self.value, Mapping):
            self.refuse("an object")
        return dict(self.value)

    def entries(self) -> list[tuple[str, _Field]]:
        return [(key, _Field(value, f"{self.path}.{key}")) for key, value in self.table().items()]

    def items(self) -> list[_Field]:
        if not isinstance(self.value, list):
            self.refuse("a list")
        return [_Field(value, f"{self.path}[{n}]") for n, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.refuse("a text")
        return self.value

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def whole(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.refuse("a whole number")
        return self.value

    def number(self) -> float:
        if (
            not isinstance(self.value, (int, float))
            or isinstance(self.value, bool)
            or not math.isfinite(self.value)
        ):
            self.refuse("a number")
        return float(self.value)

    def fraction(self) -> float:
        if not 0.0 <= self.number() <= 1.0:
            self.refuse("a number from 0 to 1")
        return self.number()

    def pair(self) -> tuple[float, float]:
        if not isinstance(self.value, list) or len(self.value) != 2:
            self.refuse("a list of two numbers")
        first, second = self.items()
        return (first.number(), second.number())

    def one_of(self, kind: type[EnumT]) -> EnumT:
        try:
            return kind(self.text())
        except ValueError:
            self.refuse(f"one of {', '.join(kind)}")

    def maybe(self, read: Callable[[_Field], ValueT]) -> ValueT | None:
        return None if self.value is None else read(self)
