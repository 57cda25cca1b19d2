"""Results as DICOM objects: what they hold, and that they come back the same."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom")

from tests.export_dicom.makers import facts, film, picture, refused, report
from tests.radiographs.makers import ROWS, save
from vertebrometer.anatomy import LEVELS, Facing, Reason
from vertebrometer.compression import Definition
from vertebrometer.errors import MissingExtraError, NoStudyError, ReportFormatError
from vertebrometer.export.dicom import (
    codes,
    dicom_results,
    needs,
    read_report_document,
    read_source,
    report_of_document,
    source_of,
    write_dicom_results,
)
from vertebrometer.report import report_as_dict, report_from_dict


def made(a_report=None, *, source=None, **kwargs) -> dict[str, pydicom.Dataset]:
    results = dicom_results(source_of(source or film()), a_report or report(), picture(), **kwargs)
    return {result.kind: pydicom.dcmread(io.BytesIO(result.content)) for result in results}


def same_but_for_time(a_report):
    return report_as_dict(replace(a_report, elapsed_s=0.0))


@pytest.mark.parametrize(
    "a_report",
    [
        report(elapsed_s=1.5),
        report(definition=Definition.SAME_BODY),
        report(facing=Facing.UNKNOWN, facing_confidence=0.0),
        report(overruled=tuple(Reason), reasons=(Reason.NOT_A_LATERAL_SPINE,)),
        report(film=facts(spacing_mm=None, spacing_source="none", aspect=5 / 7)),
        report(film=facts(spacing_mm=(0.2, 0.143), spacing_source="user", aspect=0.2 / 0.143)),
        refused(),
    ],
    ids=["full", "same-body", "facing unknown", "forced", "no spacing", "odd pixels", "refused"],
)
def test_a_structured_report_reads_back_as_the_report_it_was_made_of(a_report):
    a_report = report_from_dict(report_as_dict(a_report))
    assert report_as_dict(report_of_document(made(a_report)["sr"])) == same_but_for_time(a_report)


def test_outlines_of_a_very_large_film_come_back_to_the_last_decimal():
    whole = report()
    far = [replace(body.as_vertebra(), contour_rc=body.contour_rc + 11000.33) for body in whole.vertebrae]
    from vertebrometer.report import measured_report

    large = measured_report(far, film=facts(), facing=Facing.LEFT, facing_confidence=1.0)
    back = report_of_document(made(large)["sr"])
    assert [body.contour_xy for body in back.vertebrae] == [body.contour_xy for body in large.vertebrae]


def test_results_stand_in_the_films_study_and_name_it_as_their_source():
    source = film()
    for made_object in made(source=source).values():
        assert made_object.StudyInstanceUID == source.StudyInstanceUID
        assert made_object.SeriesInstanceUID != source.SeriesInstanceUID
        assert made_object.PatientID == source.PatientID
        assert source.SOPInstanceUID in str(made_object)


def test_the_report_is_preliminary_and_not_verified():
    document = made()["sr"]
    assert (document.PreliminaryFlag, document.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    texts = [str(element.value) for element in document.iterall() if element.keyword == "TextValue"]
    assert any("Research use only" in text for text in texts)
    assert f"weights coarse 1 sha256:{'c' * 64}" in texts


def test_measuring_twice_makes_the_same_objects_and_other_settings_others():
    source, first = film(), report()
    uids = [{kind: o.SOPInstanceUID for kind, o in made(r, source=source, **k).items()} for r, k in (
        (first, {}),
        (replace(first, elapsed_s=9.0, settings={**first.settings, "threads": 7}), {}),
        (replace(first, settings={"definition": "same-body"}), {}),
        (replace(first, models=first.models[:1]), {}),
        (first, {"revision": "reader 1"}),
    )]  # fmt: skip
    assert uids[0] == uids[1]
    assert len({uid for group in uids[1:] for uid in group.values()}) == 12


def test_the_film_is_left_as_it_was():
    source = film()
    before = source.to_json()
    made(source=source)
    assert source.to_json() == before


def test_a_segment_covers_its_body_and_nothing_else():
    a_report = report()
    seg = made(a_report)["seg"]
    assert seg.SegmentationType == "BINARY"
    assert [s.SegmentLabel for s in seg.SegmentSequence] == [
        "Body 1",
        "Body 2",
        "Body 3",
        "Body 4, L2",
        "Body 5, L3",
    ]
    assert seg.SegmentSequence[3].SegmentedPropertyTypeCodeSequence[0].CodeValue == "14293000"
    frames = seg.pixel_array
    rows, cols = np.nonzero(frames[0])
    corners = a_report.vertebrae[0].corners_rc
    assert (rows.min(), cols.min()) == tuple(np.ceil(corners.min(axis=0)))
    assert (rows.max(), cols.max()) == tuple(np.round(corners.max(axis=0)))


def test_bodies_are_followed_by_the_same_uid_through_report_and_segmentation():
    objects = made()
    for segment in objects["seg"].SegmentSequence:
        assert segment.TrackingUID in str(objects["sr"])


def test_the_overlay_is_a_plain_colour_image():
    sc = made()["sc"]
    assert (sc.PhotometricInterpretation, sc.BitsAllocated, sc.Modality) == ("RGB", 8, "OT")
    assert sc.pixel_array.shape == (sc.Rows, sc.Columns, 3)
    assert list(sc.PatientOrientation) == ["A", "F"]


def test_on_a_film_that_stands_on_its_head_columns_lead_to_the_head():
    upright = report()
    bodies = [replace(body, index=n + 1) for n, body in enumerate(upright.vertebrae[::-1])]
    objects = made(replace(upright, vertebrae=tuple(bodies)))
    assert list(objects["sc"].PatientOrientation) == ["A", "H"]
    assert list(objects["seg"].PatientOrientation) == ["A", "H"]


@pytest.mark.parametrize(("quarters", "directions"), [(1, ["F", "P"]), (-1, ["H", "A"])])
def test_on_a_film_that_lies_on_its_side_rows_lead_along_the_spine_and_the_overlay_shows_it_head_up(
    quarters, directions
):
    upright = report()
    bodies = [
        replace(
            body,
            six_points_xy=tuple(
                (y, 300 - x) if quarters == 1 else (300 - y, x) for x, y in body.six_points_xy
            ),
            contour_xy=tuple((y, 300 - x) if quarters == 1 else (300 - y, x) for x, y in body.contour_xy),
        )
        for body in upright.vertebrae
    ]
    objects = made(replace(upright, vertebrae=tuple(bodies)))
    assert list(objects["seg"].PatientOrientation) == directions
    assert list(objects["sc"].PatientOrientation) == ["A", "F"]


def test_a_refused_film_has_a_report_and_nothing_else():
    assert list(made(refused())) == ["sr"]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["", "../../etc/passwd", "1." * 40 + "1"])
def test_a_film_without_a_valid_study_gets_no_results(keyword, value):
    source = film()
    source[keyword]._value = value
    with pytest.raises(NoStudyError, match=keyword):
        source_of(source)


def test_what_a_header_may_lack_is_left_empty():
    source = film(PatientName=None, PatientID=None, AccessionNumber=None, PatientBirthDate=None)
    source.PatientSex = "U"
    assert made(source=source)["sr"].PatientSex == ""


def test_an_object_that_is_there_already_is_not_written_again(tmp_path):
    source = source_of(film())
    first = write_dicom_results(tmp_path, "film", dicom_results(source, report(), picture()))
    before = [path.read_bytes() for path in first]
    again = write_dicom_results(tmp_path, "film", dicom_results(source, report(), picture()))
    assert [path.name for path in first] == ["film.sr.dcm", "film.seg.dcm", "film.sc.dcm"]
    assert [path.read_bytes() for path in again] == before


def test_other_dicom_and_other_files_are_no_reports(tmp_path):
    path = save(film(), tmp_path / "film.dcm")
    with pytest.raises(ReportFormatError, match="no structured report of vertebrometer"):
        read_report_document(path)
    path.write_bytes(b"no DICOM")
    with pytest.raises(ReportFormatError, match="cannot be read"):
        read_report_document(path)
    with pytest.raises(NoStudyError):
        read_source(path)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vertebrometer\[dicom\]'"):
        needs.require_extra("dicom")


def test_every_reason_and_level_has_a_code_of_its_own():
    terms = [*codes.REASON_TERMS.values(), *codes.LEVEL_TERMS.values()]
    assert set(codes.REASON_TERMS) == {reason.value for reason in Reason}
    assert set(codes.LEVEL_TERMS) == set(LEVELS)
    assert len({(term.value, term.scheme) for term in terms}) == len(terms)


def test_read_report_prints_the_values(tmp_path, capsys):
    from vertebrometer.cli import main

    path, *_ = write_dicom_results(tmp_path, "f", dicom_results(source_of(film()), report(), picture()))
    with pytest.raises(SystemExit) as left:
        main(["read-report", str(path), "--json"])
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out) == same_but_for_time(report())
    assert ROWS == 160


def test_every_private_code_is_in_the_conformance_statement():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "dicom-conformance.md").read_text()
    tables = [value for value in vars(codes).values() if isinstance(value, dict)]
    terms = [value for value in vars(codes).values() if isinstance(value, codes.Term)]
    terms += [term for table in tables for term in table.values() if isinstance(term, codes.Term)]
    ours = [term for term in terms if term.scheme == codes.SCHEME]
    assert len(ours) > 60
    for term in ours:
        assert f"| `{term.value}` | {term.meaning} |" in page
