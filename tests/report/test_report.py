import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spines import body, spine
from vertebrometer.anatomy import OVERRULABLE, Facing, NotMeasured, Reason
from vertebrometer.compression import Definition
from vertebrometer.errors import ReportFormatError
from vertebrometer.report import (
    Certainty,
    FilmFacts,
    ModelUsed,
    measured_report,
    read_report,
    refused_report,
    report_as_dict,
    report_as_json,
    report_from_dict,
    report_from_json,
)

FILM = FilmFacts(
    file="film.dcm",
    sha256="ab" * 32,
    rows=400,
    cols=300,
    spacing_mm=(0.2, 0.2),
    spacing_source="detector",
    facts={"modality": "DX"},
)
SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "reference" / "report.schema.json"


def report_of(vertebrae, **kwargs):
    known = {"film": FILM, "facing": Facing.RIGHT, "facing_confidence": 0.97}
    return measured_report(vertebrae, **(known | kwargs))


FULL = report_of(
    [
        body(20.12345, 30, sd=0.4, level="T12"),
        body(60, 24, 30, sd=0.4, level="L1"),
        body(100, 31, sd=0.4, level="L2"),
    ],
    models=[ModelUsed("bodies", "1", "cd" * 32)],
    settings={"definition": Definition.ADJACENT_MEAN, "levels": {2: "L1"}},
    elapsed_s=1.23456,
)


def test_a_report_survives_its_file_exactly():
    text = report_as_json(FULL)
    assert report_from_json(text) == FULL
    assert report_as_json(report_from_json(text)) == text


@given(
    anteriors=st.lists(st.floats(5, 36), max_size=6),
    sd=st.none() | st.floats(0, 3),
    spacing=st.none() | st.floats(0.05, 1).map(lambda mm: (round(mm, 4), round(mm, 4))),
)
def test_any_spine_survives_its_file_exactly(anteriors, sd, spacing):
    report = report_of(spine(*anteriors, sd=sd), film=replace(FILM, spacing_mm=spacing))
    assert report_from_json(report_as_json(report)) == report


def test_a_report_made_again_of_its_own_bodies_is_the_same():
    again = report_of(
        [found.as_vertebra() for found in FULL.vertebrae],
        models=FULL.models,
        settings=FULL.settings,
        elapsed_s=FULL.elapsed_s,
    )
    assert again == FULL


def test_moving_a_corner_changes_the_compression():
    bodies = [found.as_vertebra() for found in FULL.vertebrae]
    bodies[1] = body(60, 15, 30, level="L1")
    assert report_of(bodies).vertebrae[1].percent > FULL.vertebrae[1].percent + 20


def test_the_file_holds_what_a_scorer_reads():
    vertebra = report_as_dict(FULL)["vertebrae"][1]
    assert vertebra["level"] == "L1"
    assert vertebra["corners"]["inferior_anterior"] == [140.0, 84.0]
    assert vertebra["compression"]["percent"] == pytest.approx(21.31)
    assert vertebra["compression"]["compared_with"] == [1, 3]
    assert report_as_dict(FULL)["vertebrae"][0]["compression"]["not_measured"] == "no_neighbour_above"


def test_heights_come_in_pixels_and_where_a_spacing_is_known_in_mm():
    known = report_as_dict(FULL)["vertebrae"][1]["heights"]
    unknown = report_as_dict(report_of(spine(30, 24, 30), film=replace(FILM, spacing_mm=None)))["vertebrae"][
        1
    ]["heights"]
    assert (known["anterior_px"], known["anterior_mm"]) == (24.0, 4.8)
    assert (unknown["anterior_px"], unknown["anterior_mm"]) == (24.0, None)


def test_on_pixels_that_are_not_square_heights_count_pixel_widths():
    film = replace(FILM, spacing_mm=(0.4, 0.2), aspect=2.0)
    own = report_of(spine(15, 12, 15, posterior=15, pitch=20), film=film).vertebrae[1].heights
    assert (own.anterior_px, own.anterior_mm) == (24.0, pytest.approx(4.8))


def test_a_film_whose_front_is_not_known_is_not_measured():
    report = report_of(spine(30, 24, 30), facing=Facing.UNKNOWN, facing_confidence=0.5)
    assert report.vertebrae[1].compression == NotMeasured(Reason.FACING_UNSURE)
    assert report.measured == ()


def test_what_is_measured_against_a_reason_says_so():
    bodies = spine(30, 24, 30)
    bodies[1] = bodies[1].with_reason(Reason.METALWORK)
    report = report_of(bodies, overruled=[Reason.METALWORK])
    assert report.vertebrae[1].percent == pytest.approx(20.0)
    assert report.vertebrae[1].reasons == (Reason.METALWORK,)
    assert report.vertebrae[1].certainty is Certainty.DOUBTFUL
    assert report.quality.overruled == ("metalwork",)


@pytest.mark.parametrize(
    ("kwargs", "certainty"),
    [
        ({}, Certainty.SURE),
        ({"confidence": 0.8}, Certainty.SURE),
        ({"confidence": 0.79}, Certainty.DOUBTFUL),
        ({"sd": 0.4}, Certainty.SURE),
        ({"sd": 3.0}, Certainty.DOUBTFUL),
    ],
)
def test_faint_bodies_and_wide_intervals_are_doubtful(kwargs, certainty):
    assert report_of(spine(30, 24, 30, **kwargs)).vertebrae[1].certainty is certainty


def test_a_value_too_unsure_to_tell_is_told_on_demand_and_recorded():
    bodies = spine(30, 24, 30, sd=3.0)
    withheld = report_of(bodies, widest_points=12.0)
    assert withheld.vertebrae[1].compression == NotMeasured(Reason.INTERVAL_TOO_WIDE)
    assert withheld.quality.overruled == ()
    forced = report_of(bodies, widest_points=12.0, overruled=list(Reason))
    assert forced.vertebrae[1].percent == pytest.approx(20.0)
    assert forced.vertebrae[1].certainty is Certainty.DOUBTFUL
    assert forced.quality.overruled == ("interval_too_wide",)


def test_only_what_was_raised_is_listed_as_overruled():
    bodies = spine(30, 24, 30)
    bodies[0] = bodies[0].with_reason(Reason.CEMENT)
    assert report_of(bodies, overruled=list(Reason)).quality.overruled == ("cement",)


def test_a_film_with_a_reason_against_it_is_not_usable_unless_overruled():
    refused = report_of([], reasons=[Reason.NO_BODIES_FOUND])
    assert not refused.quality.usable
    assert refused.quality.message == "no vertebral body was found"
    few = [Reason.TOO_FEW_BODIES]
    assert report_of([body(20, 30)], reasons=few, overruled=few).quality.usable


def test_a_film_without_bodies_says_so_whatever_a_user_overrules():
    report = report_of([], reasons=[Reason.NO_BODIES_FOUND], overruled=OVERRULABLE)
    assert not report.quality.usable
    assert report.quality.message == "no vertebral body was found"


@pytest.mark.parametrize("reason", [Reason.NOT_A_LATERAL_SPINE, Reason.CERVICAL_SPINE, Reason.FACING_UNSURE])
def test_a_refused_film_gives_no_value_until_a_user_overrules_it(reason):
    bodies = spine(30, 24, 30)
    plain = report_of(bodies).vertebrae[1]
    refused = report_of(bodies, reasons=[reason])
    assert plain.percent == pytest.approx(20)
    assert not refused.quality.usable
    assert {value for body in refused.vertebrae for value in body.compressions.values()} == {
        NotMeasured(reason)
    }
    forced = report_of(bodies, reasons=[reason], overruled=[reason])
    assert forced.quality.usable
    assert forced.vertebrae[1].percent == plain.percent
    assert forced.vertebrae[1].certainty is Certainty.DOUBTFUL


def test_only_a_body_beside_a_fracture_is_told_against_intact_bodies_as_well():
    report = report_of([body(20 + 40 * n, h, 30, sd=0.4) for n, h in enumerate((30, 30, 31, 14, 30, 30, 30))])
    assert report.vertebrae[2].percent == pytest.approx(100 * (1 - 31 / 22), abs=0.01)
    assert report.vertebrae[2].against_intact == pytest.approx(100 * (1 - 31 / 30), abs=0.01)
    assert [b.index for b in report.vertebrae if b.against_intact is not None] == [3, 5]


def test_a_missing_spacing_is_a_remark_and_no_refusal():
    assert report_of(spine(30, 24, 30), reasons=[Reason.NO_SPACING]).quality.usable


def test_a_file_that_cannot_be_read_has_a_report_too():
    report = refused_report(FilmFacts(file="x.dcm"), code="truncated_file", message="the file ends early")
    assert report_from_json(report_as_json(report)) == report
    assert (report.quality.usable, report.quality.reasons) == (False, ("truncated_file",))


def test_every_definition_is_reported_and_one_is_the_headline():
    report = report_of(spine(30, 24, 30), definition=Definition.SAME_BODY)
    vertebra = report_as_dict(report)["vertebrae"][1]
    assert set(vertebra["compressions"]) == {"adjacent-mean", "nearest-intact", "same-body"}
    assert vertebra["compression"] == vertebra["compressions"]["same-body"]


def change(path, value):
    def apply(given):
        *parents, last = path
        for key in parents:
            given = given[key]
        if value is KeyError:
            del given[last]
        else:
            given[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (["schema"], "vertebrometer.report/9", r"report\.schema: wanted 'vertebrometer.report/1'"),
        (["schema"], KeyError, "'schema' is missing"),
        (["film", "rows"], "many", r"report\.film\.rows: wanted a whole number, got 'many'"),
        (["film", "spacing_source"], "guess", r"film\.spacing_source: wanted one of calibrated"),
        (["facing", "anterior"], "up", r"facing\.anterior: wanted one of left, right, unknown"),
        (["quality", "usable"], 1, r"quality\.usable: wanted true or false"),
        (["vertebrae"], {}, r"vertebrae: wanted a list"),
        (["vertebrae", 1, "level"], "L9", r"vertebrae\[1\]\.level: wanted a level"),
        (["vertebrae", 1, "confidence"], 1.5, r"vertebrae\[1\]\.confidence: wanted a number from 0 to 1"),
        (
            ["vertebrae", 1, "six_points", "superior_middle"],
            KeyError,
            r"six_points: the field 'superior_middle'",
        ),
        (["vertebrae", 1, "contour", 0], [1], r"contour\[0\]: wanted a list of two numbers"),
        (["vertebrae", 1, "heights", "anterior_px"], float("nan"), r"heights\.anterior_px: wanted a number"),
        (["vertebrae", 1, "reasons"], ["because"], r"reasons\[0\]: wanted one of"),
        (["vertebrae", 1, "grade", "grade"], 4, r"grade\.grade: wanted 0, 1, 2 or 3"),
        (
            ["vertebrae", 1, "compressions", "same-body", "percent"],
            None,
            r"same-body\.percent: wanted a number",
        ),
        (["vertebrae", 1, "compressions", "same-body", "interval_90"], [50, 60], "an interval round"),
        (
            ["vertebrae", 0, "compressions", "adjacent-mean", "not_measured"],
            "no",
            r"not_measured: wanted one of",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named_by_its_path(path, value, match):
    given_dict = copy.deepcopy(report_as_dict(FULL))
    change(path, value)(given_dict)
    with pytest.raises(ReportFormatError, match=match):
        report_from_dict(given_dict)


@pytest.mark.parametrize(
    ("text", "match"), [("{", "is no JSON"), ("[]", "wanted an object"), ("3", "wanted an object")]
)
def test_what_is_no_report_is_refused(tmp_path, text, match):
    path = tmp_path / "film.json"
    path.write_text(text)
    with pytest.raises(ReportFormatError, match=match):
        read_report(path)


def test_a_report_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ReportFormatError, match=r"no report file none\.json"):
        read_report(tmp_path / "none.json")


def test_fields_of_a_later_program_are_ignored():
    given_dict = report_as_dict(FULL) | {"remark": "hello"}
    assert report_from_dict(given_dict) == FULL


def keys_missing_from(value, schema, root, path="report"):
    """Yield the paths of keys that the JSON Schema does not list."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        found = [
            list(keys_missing_from(value, choice, root, path))
            for choice in schema["anyOf"]
            if fits(value, choice, root)
        ]
        yield from min(found, key=len, default=[path])
    elif isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from keys_missing_from(item, schema["properties"][key], root, f"{path}.{key}")
        yield from (f"{path}.{key} is required" for key in schema.get("required", []) if key not in value)
    elif isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from keys_missing_from(item, schema["items"], root, f"{path}[{n}]")


def fits(value, schema, root):
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return (value is None) == (schema.get("type") == "null")


@pytest.mark.parametrize(
    "report",
    [
        FULL,
        report_of(spine(30, 24, 30), film=FilmFacts(file="x")),
        refused_report(FilmFacts(file="x"), code="c", message="m"),
    ],
)
def test_every_key_of_a_report_is_in_the_json_schema(report):
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert list(keys_missing_from(json.loads(report_as_json(report)), schema, schema)) == []


def test_every_key_of_the_json_schema_is_explained():
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    page = SCHEMA_FILE.with_name("report-schema.md").read_text(encoding="utf-8")
    groups = [schema, *schema["$defs"].values()]
    keys = {key for group in groups for key in group.get("properties", {})}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_every_code_of_a_reason_is_explained():
    page = SCHEMA_FILE.with_name("report-schema.md").read_text(encoding="utf-8")
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    codes = [reason.value for reason in Reason]
    assert [code for code in codes if f"`{code}`" not in page] == []
    assert schema["$defs"]["compression"]["properties"]["not_measured"]["enum"] == codes
