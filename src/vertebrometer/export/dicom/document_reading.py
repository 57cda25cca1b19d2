"""From a structured report that we wrote back to the report; needs pydicom only."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from vertebrometer.anatomy import POINT_NAMES, NotMeasured, Reason
from vertebrometer.compression import Compression, Definition
from vertebrometer.errors import ReportFormatError
from vertebrometer.export.dicom import codes
from vertebrometer.export.dicom.codes import Term
from vertebrometer.morphometry import GenantLike, Heights
from vertebrometer.report import BodyReport, FilmFacts, FilmReport, ModelUsed, Quality, Software

KeyT = TypeVar("KeyT")

HALF_PIXEL: Final = 0.5
_TRACKING: Final = Term("112040", "DCM", "Tracking Unique Identifier")
_FINDING: Final = Term("121071", "DCM", "Finding")
_SITE: Final = Term("363698007", "SCT", "Finding Site")
_METHOD: Final = Term("370129005", "SCT", "Measurement Method")
_GROUP: Final = Term("125007", "DCM", "Measurement Group")
_GROUPS: Final = Term("126010", "DCM", "Imaging Measurements")
_REGION: Final = Term("111030", "DCM", "Image Region")
_NAME: Final = Term("111001", "DCM", "Algorithm Name")
_VERSION: Final = Term("111003", "DCM", "Algorithm Version")
_PARAMETERS: Final = Term("111002", "DCM", "Algorithm Parameters")
_WEIGHTS: Final = re.compile(r"weights (?P<name>\S+) (?P<version>\S*) sha256:(?P<sha256>\S*)")
_COMPARED: Final = re.compile(r"(?P<method>[^;]*); bodies compared with: (?P<places>[\d, ]+|none)")

_HEIGHT_LINES: Final = {
    "anterior": (codes.ANTERIOR_HEIGHT, (0, 5)),
    "middle": (codes.MIDDLE_HEIGHT, (1, 4)),
    "posterior": (codes.POSTERIOR_HEIGHT, (2, 3)),
}


def read_report_document(path: Path) -> FilmReport:
    """Read a structured report of ours.

    Every value is that of the report it was made of, but for `elapsed_s`,
    which the document does not hold: it is 0.

    Raises
    ------
    ReportFormatError
        The file is no such report; the message says what is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = pydicom.dcmread(path)
            return report_of_document(document)
    except ReportFormatError:
        raise
    except Exception as error:  # noqa: BLE001 (a damaged object makes pydicom raise anything, with values quoted)
        msg = f"{path.name} cannot be read as a structured report ({type(error).__name__})"
        raise ReportFormatError(msg) from None


def report_of_document(document: Dataset) -> FilmReport:
    """Make the report of a structured report's data set; see `read_report_document`."""
    if str(document.get("SOPClassUID", "")) != ComprehensiveSRStorage or codes.SCHEME not in _schemes(
        document
    ):
        msg = "this is no structured report of vertebrometer; give the .sr.dcm that it wrote"
        raise ReportFormatError(msg)
    groups = [item for top in _Item(document).all(_GROUPS) for item in top.all(_GROUP)]
    films = [group for group in groups if _is(group, codes.FILM)]
    if len(films) != 1:
        msg = f"one group on the film as a whole is wanted in the structured report, got {len(films)}"
        raise ReportFormatError(msg)
    film = films[0]
    facts = _film_facts(film)
    definition = film.coded(codes.HEADLINE, codes.DEFINITION_TERMS)
    return FilmReport(
        software=Software(film.text(_NAME), film.text(_VERSION)),
        models=tuple(
            ModelUsed(found["name"], found["version"], found["sha256"])
            for item in film.all(_PARAMETERS)
            if (found := _WEIGHTS.fullmatch(item.own_text))
        ),
        settings=json.loads(film.text(codes.SETTINGS)),
        film=facts,
        facing=film.coded(codes.FACING, codes.FACING_TERMS),
        facing_confidence=film.number(codes.FACING_CONFIDENCE) if film.all(codes.FACING_CONFIDENCE) else 0.0,
        quality=_quality(film),
        definition=definition,
        elapsed_s=0.0,
        vertebrae=_bodies([group for group in groups if _is(group, codes.VERTEBRA)], facts, definition),
    )


def _schemes(document: Dataset) -> list[str]:
    return [
        str(item.get("CodingSchemeDesignator"))
        for item in document.get("CodingSchemeIdentificationSequence", [])
    ]


def _is(group: _Item, finding: Term) -> bool:
    return any(item.own_code == (finding.value, finding.scheme) for item in group.all(_FINDING))


def _film_facts(film: _Item) -> FilmFacts:
    spacing = None
    if film.all(codes.ROW_SPACING):
        spacing = (film.number(codes.ROW_SPACING), film.number(codes.COLUMN_SPACING))
    sized = bool(film.all(codes.ROWS))
    return FilmFacts(
        file=film.maybe_text(codes.FILE_NAME) or "",
        sha256=film.maybe_text(codes.FILE_HASH),
        rows=int(film.number(codes.ROWS)) if sized else None,
        cols=int(film.number(codes.COLUMNS)) if sized else None,
        spacing_mm=spacing,
        spacing_source=film.coded(codes.SPACING_SOURCE, codes.SPACING_TERMS),
        aspect=film.number(codes.ASPECT),
        facts=json.loads(film.maybe_text(codes.FILE_FACTS) or "{}"),
    )


def _quality(film: _Item) -> Quality:
    reasons = [
        _key_of(item.own_code, codes.REASON_TERMS) if item.kind == "CODE" else item.own_text
        for item in film.all(codes.FILM_REASON)
    ]
    return Quality(
        usable=film.coded(codes.USABLE, codes.USABLE_TERMS),
        reasons=tuple(reasons),
        overruled=tuple(_key_of(item.own_code, codes.REASON_TERMS) for item in film.all(codes.OVERRULED)),
        message=film.maybe_text(codes.MESSAGE),
    )


def _bodies(groups: list[_Item], film: FilmFacts, definition: Definition) -> tuple[BodyReport, ...]:
    """Put the two groups of each body together, which share a tracking UID."""
    by_uid: dict[str, list[_Item]] = {}
    for group in groups:
        by_uid.setdefault(group.text(_TRACKING), []).append(group)
    bodies = []
    for index, pair in enumerate(by_uid.values(), start=1):
        regions = [group for group in pair if group.all(_REGION)]
        measured = [group for group in pair if group.all(codes.ANTERIOR_HEIGHT)]
        if len(regions) != 1 or len(measured) != 1:
            msg = f"body {index} of the structured report wants a region and its heights, once each"
            raise ReportFormatError(msg)
        bodies.append(_body(index, regions[0], measured[0], film, definition))
    return tuple(bodies)


def _body(index: int, region: _Item, measured: _Item, film: FilmFacts, definition: Definition) -> BodyReport:
    level = next((_key_of(item.own_code, codes.LEVEL_TERMS) for item in region.all(_SITE)), None)
    spread = region.maybe_text(codes.POINT_SPREAD)
    return BodyReport(
        index=index,
        level=level,
        level_confidence=region.number(codes.LEVEL_CONFIDENCE),
        confidence=region.number(codes.BODY_CONFIDENCE),
        certainty=region.coded(codes.CERTAINTY, codes.CERTAINTY_TERMS),
        six_points_xy=_six_points(measured),
        contour_xy=_contour(region),
        point_sd_xy=None if spread is None else _pairs(spread),
        heights=Heights(
            anterior_px=_in_pixels(measured, "anterior").own_number,
            middle_px=_in_pixels(measured, "middle").own_number,
            posterior_px=_in_pixels(measured, "posterior").own_number,
            mm_per_px=film.mm_per_px,
        ),
        reasons=tuple(
            Reason(_key_of(item.own_code, codes.REASON_TERMS)) for item in region.all(codes.BODY_REASON)
        ),
        grade=_grade(region),
        definition=definition,
        compressions={name: _compression(region, name) for name in Definition},
    )


def _in_pixels(measured: _Item, place: str) -> _Item:
    name, _ = _HEIGHT_LINES[place]
    for item in measured.all(name):
        if item.unit == codes.PIXELS.value:
            return item
    msg = f"the structured report lacks the {place} height of a body in pixels"
    raise ReportFormatError(msg)


def _six_points(measured: _Item) -> tuple[tuple[float, float], ...]:
    points: list[tuple[float, float]] = [(0.0, 0.0)] * len(POINT_NAMES)
    for place, (_, ends) in _HEIGHT_LINES.items():
        line = next(child for child in _in_pixels(measured, place).children if child.kind == "SCOORD")
        for end, point in zip(ends, line.points(decimals=3), strict=True):
            points[end] = point
    return tuple(points)


def _contour(region: _Item) -> tuple[tuple[float, float], ...]:
    # The first point is repeated at the end, to close the region.
    return region.one(_REGION).points(decimals=2)[:-1]


def _pairs(text: str) -> tuple[tuple[float, float], ...]:
    pairs = [pair.split() for pair in text.split(";")]
    return tuple((float(x), float(y)) for x, y in pairs)


def _grade(region: _Item) -> GenantLike | None:
    if not region.all(codes.GENANT_GRADE):
        return None
    return GenantLike(
        region.coded(codes.GENANT_GRADE, codes.GRADE_TERMS),
        region.coded(codes.DEFORMITY, codes.DEFORMITY_TERMS),
        round(region.number(codes.GENANT_LOSS) / 100, 4),
    )


def _compression(region: _Item, definition: Definition) -> Compression | NotMeasured:
    refusals = region.all(codes.NOT_MEASURED_TERMS[definition])
    if refusals:
        return NotMeasured(Reason(_key_of(refusals[0].own_code, codes.REASON_TERMS)))
    term = codes.DEFINITION_TERMS[definition]
    for item in region.all(codes.COMPRESSION):
        if item.one(_METHOD).own_code == (term.value, term.scheme):
            how = _COMPARED.fullmatch(region.text(codes.COMPARISON_TERMS[definition]))
            if how is None:
                break
            places = [] if how["places"] == "none" else how["places"].split(",")
            return Compression(
                percent=item.own_number,
                definition=definition,
                method=how["method"],
                interval_90=_interval(item),
                compared_with=tuple(int(place) - 1 for place in places),
            )
    msg = f"the structured report says nothing on the compression {definition.value} of a body"
    raise ReportFormatError(msg)


def _interval(compression: _Item) -> tuple[float, float] | None:
    if not compression.all(codes.UPPER_UNCERTAINTY):
        return None
    value = compression.own_number
    return (
        round(value - compression.number(codes.LOWER_UNCERTAINTY), 2),
        round(value + compression.number(codes.UPPER_UNCERTAINTY), 2),
    )


def _key_of(code: tuple[str, str], terms: Mapping[KeyT, Term]) -> KeyT:
    for key, term in terms.items():
        if (term.value, term.scheme) == code:
            return key
    msg = f"the structured report holds a code that is not known here: {code[0]} ({code[1]})"
    raise ReportFormatError(msg)


@dataclass(frozen=True, slots=True)
class _Item:
    """A content item with what is below it."""

    dataset: Dataset

    @property
    def kind(self) -> str:
        return str(self.dataset.get("ValueType", ""))

    @property
    def children(self) -> list[_Item]:
        return [_Item(item) for item in self.dataset.get("ContentSequence", [])]

    def all(self, name: Term) -> list[_Item]:
        return [child for child in self.children if child.named == (name.value, name.scheme)]

    def one(self, name: Term) -> _Item:
        found = self.all(name)
        if not found:
            msg = f"the structured report lacks {name.meaning!r}"
            raise ReportFormatError(msg)
        return found[0]

    @property
    def named(self) -> tuple[str, str]:
        return _code(self.dataset, "ConceptNameCodeSequence")

    @property
    def own_code(self) -> tuple[str, str]:
        return _code(self.dataset, "ConceptCodeSequence")

    @property
    def own_text(self) -> str:
        return str(self.dataset.get("TextValue") or self.dataset.get("UID") or "")

    @property
    def own_number(self) -> float:
        measured = self.dataset.MeasuredValueSequence[0]
        exact: Any = measured.get("FloatingPointValue")
        return float(measured.NumericValue if exact is None else exact)

    @property
    def unit(self) -> str:
        return _code(self.dataset.MeasuredValueSequence[0], "MeasurementUnitsCodeSequence")[0]

    def points(self, *, decimals: int) -> tuple[tuple[float, float], ...]:
        # Coordinates are stored in single precision; rounding gives back the decimals of the report.
        flat = [float(value) - HALF_PIXEL for value in self.dataset.GraphicData]
        return tuple(
            (round(x, decimals), round(y, decimals)) for x, y in zip(flat[::2], flat[1::2], strict=True)
        )

    def text(self, name: Term) -> str:
        return self.one(name).own_text

    def maybe_text(self, name: Term) -> str | None:
        return next((item.own_text for item in self.all(name)), None)

    def number(self, name: Term) -> float:
        return self.one(name).own_number

    def coded(self, name: Term, terms: Mapping[KeyT, Term]) -> KeyT:
        return _key_of(self.one(name).own_code, terms)


def _code(dataset: Dataset, keyword: str) -> tuple[str, str]:
    items = dataset.get(keyword) or [Dataset()]
    return str(items[0].get("CodeValue", "")), str(items[0].get("CodingSchemeDesignator", ""))
