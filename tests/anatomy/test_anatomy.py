"""Facts about levels, six points and truth files."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.spines import body
from vertebrometer.anatomy import (
    CORNER_NAMES,
    LEVELS,
    POINT_NAMES,
    BodyTruth,
    Facing,
    FilmTruth,
    NotMeasured,
    Reason,
    SixPoints,
    explain,
    facing_of,
    is_just_above,
    level_rank,
    read_truth,
    truth_as_dict,
)
from vertebrometer.errors import TruthFileError, UnknownNameError

six = hnp.arrays(float, (6, 2), elements=st.floats(-500, 5000))


def test_levels_run_from_c1_to_s1_with_both_variants():
    assert (LEVELS[0], LEVELS[-1]) == ("C1", "S1")
    assert {"T13", "L6"} < set(LEVELS)
    assert [level_rank(level) for level in LEVELS] == list(range(len(LEVELS)))
    with pytest.raises(UnknownNameError, match="T14"):
        level_rank("T14")


@pytest.mark.parametrize(
    ("upper", "lower"), [*pairwise(LEVELS), ("T12", "L1"), ("L5", "S1"), ("T11", "L1"), ("L4", "S1")]
)
def test_neighbours_follow_each_other(upper, lower):
    assert is_just_above(upper, lower)
    assert not is_just_above(lower, upper)


@pytest.mark.parametrize(
    ("upper", "lower"),
    [("T11", "T13"), ("T12", "L2"), ("L1", "L3"), ("C7", "T2"), ("L4", "L6"), ("L1", "L1")],
)
def test_others_do_not(upper, lower):
    assert not is_just_above(upper, lower)


def test_points_are_named_once_round_the_body():
    sides = [tuple(name.split("_")) for name in POINT_NAMES]
    for (end, place), (next_end, next_place) in zip(sides, sides[1:] + sides[:1], strict=True):
        assert (end == next_end) != (place == next_place)
    assert [name for name in POINT_NAMES if "middle" not in name] == list(CORNER_NAMES)


@settings(max_examples=50, deadline=None)
@given(points=six)
def test_files_carry_points_to_a_thousandth_of_a_pixel(points):
    again = SixPoints.from_xy(json.loads(json.dumps(SixPoints(points).as_xy())))
    assert np.abs(again.points_rc - points).max() <= 0.0005 + 1e-9


def test_files_speak_x_y():
    points = SixPoints(np.arange(12.0).reshape(6, 2))
    assert points.as_xy()["superior_anterior"] == [1.0, 0.0]
    assert points.point("inferior_anterior").tolist() == [10.0, 11.0]


def test_corners_alone_give_flat_endplates():
    points = SixPoints.from_corners(np.array([[0.0, 30.0], [2.0, 0.0], [22.0, 0.0], [20.0, 30.0]]))
    assert points.point("superior_middle").tolist() == [1.0, 15.0]
    assert points.point("inferior_middle").tolist() == [21.0, 15.0]


@pytest.mark.parametrize("wrong", [np.zeros((4, 2)), np.zeros((6, 3)), np.full((6, 2), np.nan)])
def test_six_finite_points_or_none(wrong):
    with pytest.raises(ValueError, match="six finite"):
        SixPoints(wrong)


def test_points_cannot_be_moved_behind_ones_back():
    given_points = np.zeros((6, 2))
    points = SixPoints(given_points)
    given_points[0] = 9
    assert points.points_rc[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        points.points_rc[0] = 1


def test_a_vertebra_is_usable_until_a_reason_speaks_against_it():
    vertebra = body(0, 20)
    assert vertebra.usable
    doubted = vertebra.with_reason(Reason.METALWORK)
    assert not doubted.usable
    assert doubted.with_reason(Reason.METALWORK) is doubted
    with pytest.raises(ValueError, match="confidence"):
        body(0, 20, confidence=1.5)
    with pytest.raises(UnknownNameError):
        body(0, 20, level="T15")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason):
    assert len(explain(reason)) > 10
    assert str(NotMeasured(reason)) == f"not measured, because {explain(reason)}"


def truth(vertebra, **facts):
    return BodyTruth(level="L1", points=vertebra.points, contour_rc=vertebra.contour_rc, **facts)


def test_the_front_is_where_the_anterior_corners_are():
    right = [truth(body(n * 40, 30)) for n in range(3)]
    turned = [
        BodyTruth(level="L1", points=SixPoints(b.points.points_rc * [1, -1]), contour_rc=b.contour_rc)
        for b in right
    ]
    assert facing_of(right) is Facing.RIGHT
    assert facing_of(turned) is Facing.LEFT
    assert facing_of([]) is Facing.UNKNOWN


def film(**facts):
    bodies = (truth(body(10, 30), fracture="wedge", implant="cement"), truth(body(60, 30), whole=False))
    known = {"file": "a.dcm", "shape": (300, 200), "bodies": bodies, "facing": Facing.RIGHT} | facts
    return FilmTruth(**known)


def test_a_truth_file_holds_whole_bodies_only_and_comes_back(tmp_path):
    path = tmp_path / "truth.json"
    s1 = np.array([[250.0, 90.5], [260.0, 130.25]])
    path.write_text(json.dumps(truth_as_dict([film(s1_endplate_rc=s1)])))
    (read,) = read_truth(path)
    assert (read.file, read.shape, read.facing) == ("a.dcm", (300, 200), Facing.RIGHT)
    assert len(read.bodies) == 1
    assert (read.bodies[0].fracture, read.bodies[0].implant) == ("wedge", "cement")
    assert read.bodies[0].points.points_rc == pytest.approx(film().bodies[0].points.points_rc)
    assert read.s1_endplate_rc == pytest.approx(s1)
    assert read.has_six_points


def test_annotated_corners_are_read_without_the_rest(tmp_path):
    entry = truth_as_dict([film()])
    for key in ("facing",):
        del entry["films"][0][key]
    for vertebra in entry["films"][0]["vertebrae"]:
        del vertebra["six_points"], vertebra["contour"], vertebra["fracture"], vertebra["implant"]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(entry))
    (read,) = read_truth(path)
    assert not read.has_six_points
    assert read.facing is Facing.RIGHT
    assert np.array_equal(read.bodies[0].contour_rc, read.bodies[0].points.corners_rc)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"films": [{"file": "a"}]}', '{"films": [3]}'])
def test_other_files_are_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(TruthFileError, match=r"truth\.json"):
        read_truth(path)
    with pytest.raises(TruthFileError, match="no truth file"):
        read_truth(tmp_path / "none.json")
