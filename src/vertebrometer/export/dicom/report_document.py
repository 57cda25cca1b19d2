"""A report as a DICOM structured report: TID 1500 in a Comprehensive SR."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from vertebrometer.anatomy import Facing
from vertebrometer.compression import Compression, Definition
from vertebrometer.export.dicom import codes
from vertebrometer.export.dicom.codes import Term
from vertebrometer.export.dicom.uids import device_uid, result_uid
from vertebrometer.report import RESEARCH_USE, BodyReport, FilmReport, ModelUsed, Side
from vertebrometer.types import FloatArray

SERIES_NUMBER: Final = 9701
HALF_PIXEL: Final = 0.5
"""Our pixel 0 has its centre at 0; PS3.3, C.18.6.1.1 has its corner there."""

HEIGHT_LINES: Final = {
    codes.ANTERIOR_HEIGHT: ("anterior", (0, 5)),
    codes.MIDDLE_HEIGHT: ("middle", (1, 4)),
    codes.POSTERIOR_HEIGHT: ("posterior", (2, 3)),
}
"""Each height with its name and the places, among `POINT_NAMES`, of the points it joins."""


def directions(report: FilmReport) -> tuple[str, str] | None:
    """Return where rows and columns of the film lead, as PS3.3, C.7.6.1.1.1 spells it; None where unknown."""
    front, head = report.front_side, report.head_side
    if front is None:
        return None
    leads = {front: "A", front.opposite: "P", head: "H", head.opposite: "F"}
    return leads[Side.RIGHT], leads[Side.BOTTOM]


def shown_directions(report: FilmReport) -> tuple[str, str] | None:
    """Return the same of its overlay, which shows a film on its side head up."""
    if report.head_side in (Side.TOP, Side.BOTTOM) or report.facing is Facing.UNKNOWN:
        return directions(report)
    return ("A" if report.facing is Facing.RIGHT else "P", "F")


def report_document(source: Dataset, report: FilmReport, *, revision: str = "") -> sr.ComprehensiveSR:
    """Write the report of a film as a structured report of the same study.

    Parameters
    ----------
    source : Dataset
        As `source_of` gives it.
    report : FilmReport
        Its report; a film that was refused gives a document that says why.
    """
    film_uid = str(source.SOPInstanceUID)
    writer = _Writer(source, report, revision)
    content = sr.MeasurementReport(
        observation_context=_observer(report),
        procedure_reported=_concept(codes.RADIOGRAPHY_OF_SPINE),
        imaging_measurements=[
            writer.film(),
            *(group for body in report.vertebrae for group in (writer.body(body), writer.heights(body))),
        ],
        title=_concept(codes.TITLE),
    )
    return sr.ComprehensiveSR(
        evidence=[source],
        content=content[0],
        series_instance_uid=result_uid(film_uid, report, "sr series", revision=revision),
        series_number=SERIES_NUMBER,
        series_description="Vertebral compression (vertebrometer)",
        sop_instance_uid=result_uid(film_uid, report, "sr", revision=revision),
        instance_number=1,
        manufacturer=report.software.name,
        manufacturer_model_name=report.software.name,
        device_serial_number=weights_serial(report.models),
        software_versions=report.software.version,
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=codes.SCHEME,
                name="Codes of vertebrometer",
                responsible_organization="vertebrometer",
            )
        ],
    )


def weights_serial(models: Sequence[ModelUsed]) -> str:
    """Return what stands for a serial number: which weights took part."""
    return " ".join(f"{model.name}:{model.sha256[:12]}" for model in models)[:64] or "no weights"


class _Writer:
    """Makes the measurement groups of one film."""

    def __init__(self, source: Dataset, report: FilmReport, revision: str) -> None:
        self.report, self.revision = report, revision
        self.film_uid = str(source.SOPInstanceUID)
        self.image = (str(source.SOPClassUID), self.film_uid)

    def film(self) -> sr.MeasurementsAndQualitativeEvaluations:
        """Return the group of what is known of the film as a whole."""
        report, facts = self.report, self.report.film
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking("film", "Film"),
            finding_type=_concept(codes.FILM),
            finding_sites=[sr.FindingSite(_concept(codes.SPINE))],
            algorithm_id=_algorithm(report),
            measurements=list(self._film_measurements()),
            qualitative_evaluations=[_evaluation(*pair) for pair in self._film_evaluations()],
            source_images=[sr.SourceImageForMeasurementGroup(*self.image)],
        )
        texts = [
            (codes.FILE_NAME, facts.file),
            (codes.FILE_HASH, facts.sha256),
            (codes.MESSAGE, report.quality.message),
            *((codes.FILM_REASON, code) for code in report.quality.reasons if code not in codes.REASON_TERMS),
            (codes.FILE_FACTS, json.dumps(dict(facts.facts), sort_keys=True) if facts.facts else None),
            (codes.SETTINGS, json.dumps(dict(report.settings), sort_keys=True)),
        ]
        _append_texts(group, texts)
        return group

    def body(self, body: BodyReport) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
        """Return the group of one vertebral body."""
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(f"body {body.index}", tracking_name(body)),
            referenced_region=sr.ImageRegion(
                graphic_type=sr.GraphicTypeValues.POLYLINE,
                graphic_data=_closed(outline_xy(body)),
                source_image=sr.SourceImageForRegion(*self.image),
            ),
            finding_type=_concept(codes.VERTEBRA),
            finding_sites=_sites(body),
            algorithm_id=_algorithm(self.report),
            measurements=list(_body_measurements(body)),
            qualitative_evaluations=[_evaluation(*pair) for pair in _body_evaluations(body)],
        )
        _append_texts(group, _body_texts(body))
        return group

    def heights(self, body: BodyReport) -> sr.MeasurementsAndQualitativeEvaluations:
        """Return the heights of a body, each with the line that it was measured along.

        They have a group of their own, because TID 1410 knows no coordinates but its region.
        """
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(f"body {body.index}", tracking_name(body)),
            finding_type=_concept(codes.VERTEBRA),
            finding_sites=_sites(body),
            algorithm_id=_algorithm(self.report),
            measurements=list(self._heights(body)),
            source_images=[sr.SourceImageForMeasurementGroup(*self.image)],
        )

    def _tracking(self, what: str, name: str) -> sr.TrackingIdentifier:
        return sr.TrackingIdentifier(
            uid=result_uid(self.film_uid, self.report, what, revision=self.revision), identifier=name
        )

    def _film_measurements(self) -> Iterator[sr.Measurement]:
        facts = self.report.film
        if facts.spacing_mm is not None:
            source = codes.SPACING_TERMS[facts.spacing_source]
            yield _measurement(codes.ROW_SPACING, facts.spacing_mm[0], codes.MILLIMETRE, method=source)
            yield _measurement(codes.COLUMN_SPACING, facts.spacing_mm[1], codes.MILLIMETRE, method=source)
        yield _measurement(codes.ASPECT, facts.aspect, codes.NO_UNIT)
        if facts.rows is not None and facts.cols is not None:
            yield _measurement(codes.ROWS, facts.rows, codes.PIXELS)
            yield _measurement(codes.COLUMNS, facts.cols, codes.PIXELS)
        if self.report.facing is not Facing.UNKNOWN or self.report.facing_confidence:
            yield _measurement(codes.FACING_CONFIDENCE, self.report.facing_confidence, codes.NO_UNIT)
        if any(body.interval_90 for body in self.report.measured):
            yield _measurement(codes.COVERAGE, 90, codes.PERCENT)

    def _film_evaluations(self) -> Iterator[tuple[Term, Term]]:
        report = self.report
        yield codes.RESEARCH, codes.RESEARCH_ONLY
        yield codes.USABLE, codes.USABLE_TERMS[report.quality.usable]
        yield codes.HEADLINE, codes.DEFINITION_TERMS[report.definition]
        yield codes.FACING, codes.FACING_TERMS[report.facing]
        yield codes.SPACING_SOURCE, codes.SPACING_TERMS[report.film.spacing_source]
        for code in report.quality.reasons:
            if code in codes.REASON_TERMS:
                yield codes.FILM_REASON, codes.REASON_TERMS[code]
        for code in report.quality.overruled:
            yield codes.OVERRULED, codes.REASON_TERMS[code]

    def _heights(self, body: BodyReport) -> Iterator[sr.Measurement]:
        for term, (place, ends) in HEIGHT_LINES.items():
            line = self._coordinates(np.array([body.six_points_xy[n] for n in ends]))
            yield _measurement(term, getattr(body.heights, f"{place}_px"), codes.PIXELS, along=line)
            length_mm = getattr(body.heights, f"{place}_mm")
            if length_mm is not None:
                source = codes.SPACING_TERMS[self.report.film.spacing_source]
                yield _measurement(term, round(length_mm, 3), codes.MILLIMETRE, method=source, along=line)

    def _coordinates(self, line_xy: FloatArray) -> sr.CoordinatesForMeasurement:
        return sr.CoordinatesForMeasurement(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=line_xy + HALF_PIXEL,
            source_image=sr.SourceImageForRegion(*self.image),
        )


def tracking_name(body: BodyReport) -> str:
    """Return the name under which a body is followed through the objects."""
    return f"Body {body.index}" + (f", {body.level}" if body.level else "")


def outline_xy(body: BodyReport) -> FloatArray:
    """Return the outline of a body; its corners where no outline is known."""
    points = body.contour_xy if len(body.contour_xy) > 2 else tuple(body.corners_xy.values())
    return np.array(points, dtype=np.float64)


def _sites(body: BodyReport) -> list[sr.FindingSite] | None:
    return [sr.FindingSite(_concept(codes.LEVEL_TERMS[body.level]))] if body.level else None


def _body_measurements(body: BodyReport) -> Iterator[sr.Measurement]:
    for definition in _headline_first(body):
        value = body.compressions[definition]
        if isinstance(value, Compression):
            yield _compression(value)
    if body.grade is not None:
        yield _measurement(codes.GENANT_LOSS, round(100 * body.grade.height_loss, 2), codes.PERCENT)
    yield _measurement(codes.BODY_CONFIDENCE, body.confidence, codes.NO_UNIT)
    yield _measurement(codes.LEVEL_CONFIDENCE, body.level_confidence, codes.NO_UNIT)


def _headline_first(body: BodyReport) -> list[Definition]:
    return sorted(Definition, key=lambda definition: definition is not body.definition)


def _body_evaluations(body: BodyReport) -> Iterator[tuple[Term, Term]]:
    yield codes.CERTAINTY, codes.CERTAINTY_TERMS[body.certainty]
    if body.grade is not None:
        yield codes.GENANT_GRADE, codes.GRADE_TERMS[body.grade.grade]
        yield codes.DEFORMITY, codes.DEFORMITY_TERMS[body.grade.deformity]
    for definition in _headline_first(body):
        value = body.compressions[definition]
        if not isinstance(value, Compression):
            yield codes.NOT_MEASURED_TERMS[definition], codes.REASON_TERMS[value.reason.value]
    for reason in body.reasons:
        yield codes.BODY_REASON, codes.REASON_TERMS[reason.value]


def _body_texts(body: BodyReport) -> list[tuple[Term, str | None]]:
    texts: list[tuple[Term, str | None]] = []
    for definition, value in body.compressions.items():
        if isinstance(value, Compression):
            places = ", ".join(str(place + 1) for place in value.compared_with) or "none"
            texts.append(
                (codes.COMPARISON_TERMS[definition], f"{value.method}; bodies compared with: {places}")
            )
    if body.point_sd_xy is not None:
        texts.append((codes.POINT_SPREAD, "; ".join(f"{x:g} {y:g}" for x, y in body.point_sd_xy)))
    return texts


def _observer(report: FilmReport) -> sr.ObservationContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(report.software.version),
        name=report.software.name,
        manufacturer_name=report.software.name,
        model_name=f"{report.software.name} {report.software.version}",
        serial_number=weights_serial(report.models),
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=_concept(Term("121007", "DCM", "Device")), observer_identifying_attributes=device
        )
    )


def _algorithm(report: FilmReport) -> sr.AlgorithmIdentification:
    weights = [f"{model.name} {model.version} sha256:{model.sha256}" for model in report.models]
    return sr.AlgorithmIdentification(
        name=report.software.name,
        version=report.software.version,
        parameters=[f"weights {weight}" for weight in weights] + [RESEARCH_USE],
    )


def _compression(value: Compression) -> sr.Measurement:
    measured = _measurement(
        codes.COMPRESSION, value.percent, codes.PERCENT, method=codes.DEFINITION_TERMS[value.definition]
    )
    if value.interval_90 is not None:
        low, high = value.interval_90
        for term, width in (
            (codes.UPPER_UNCERTAINTY, high - value.percent),
            (codes.LOWER_UNCERTAINTY, value.percent - low),
        ):
            _append(
                measured,
                sr.NumContentItem(
                    name=_concept(term),
                    value=round(width, 2),
                    unit=_concept(codes.PERCENT),
                    relationship_type=sr.RelationshipTypeValues.HAS_PROPERTIES,
                ),
            )
    return measured


def _measurement(
    name: Term,
    value: float,
    unit: Term,
    *,
    method: Term | None = None,
    along: sr.CoordinatesForMeasurement | None = None,
) -> sr.Measurement:
    return sr.Measurement(
        name=_concept(name),
        value=value,
        unit=_concept(unit),
        method=_concept(method) if method else None,
        referenced_coordinates=[along] if along is not None else None,
    )


def _evaluation(name: Term, value: Term) -> sr.QualitativeEvaluation:
    return sr.QualitativeEvaluation(name=_concept(name), value=_concept(value))


def _append_texts(group: Any, texts: Sequence[tuple[Term, str | None]]) -> None:
    for name, text in texts:
        if text:
            _append(
                group,
                sr.TextContentItem(
                    name=_concept(name), value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS
                ),
            )


def _append(parent: Any, item: Any) -> None:
    """Add a content item below the one item of a template."""
    root = parent[0]
    if "ContentSequence" not in root:
        root.ContentSequence = sr.ContentSequence([item], is_root=False)
    else:
        root.ContentSequence.append(item)


def _concept(term: Term) -> sr.CodedConcept:
    return sr.CodedConcept(value=term.value, scheme_designator=term.scheme, meaning=term.meaning)


def _closed(points_xy: FloatArray) -> FloatArray:
    return np.vstack([points_xy, points_xy[:1]]) + HALF_PIXEL
