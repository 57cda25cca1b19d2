"""Facts about gaps in the row of found bodies: how many are missing, where they lie, what is told of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from vertebrometer.anatomy import LEVELS, OVERRULABLE, Reason, SixPoints, level_rank
from vertebrometer.phantom import phantom_of
from vertebrometer.segmentation import bodies, curve
from vertebrometer.segmentation.close import look_closely
from vertebrometer.segmentation.coarse import CoarseFinding
from vertebrometer.segmentation.curve import following, gaps_between
from vertebrometer.segmentation.field import OpenField
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.frames import BodyPose, pose_of


@pytest.fixture(scope="module")
def spine():
    """Poses of the thoracic and lumbar bodies of a curved spine."""
    truth = phantom_of(11, field="whole-spine").truth
    return [pose_of(body.points) for body in truth.bodies if body.whole and body.level[0] != "C"]


def test_a_row_without_gaps_misses_nothing(spine):
    gaps = gaps_between(spine)
    assert [gap.steps for gap in gaps] == [1] * (len(spine) - 1)
    assert all(gap.countable and not gap.expected for gap in gaps)
    assert gaps_between(spine[:1]) == []


@pytest.mark.parametrize("missing", [1, 2])
def test_missing_bodies_are_counted_and_lie_on_the_curve_of_the_spine(spine, missing):
    for first in range(1, len(spine) - missing):
        gap = gaps_between([*spine[:first], *spine[first + missing :]])[first - 1]
        assert gap.steps == missing + 1
        for expected, true in zip(gap.expected, spine[first : first + missing], strict=True):
            assert np.linalg.norm(expected.centre_rc - true.centre_rc) < 0.2 * true.depth_px
            assert expected.depth_px == pytest.approx(true.depth_px, rel=0.1)
            assert expected.backward_rc @ true.backward_rc > 0.97


def test_a_gap_between_two_bodies_alone_is_judged_by_their_depth(spine):
    assert gaps_between([spine[4], spine[5]])[0].steps == 1
    assert gaps_between([spine[4], spine[7]])[0].steps > 1


@pytest.mark.parametrize("count", [4, 5, 20])
def test_the_curve_is_the_natural_spline_of_scipy(count):
    rng = np.random.default_rng(count)
    way = np.append(0.0, rng.uniform(0.5, 3.0, count - 1).cumsum())
    centres = rng.normal(size=(count, 2)).cumsum(axis=0)
    along = np.linspace(0.0, way[-1], 200)
    true = CubicSpline(way, centres, bc_type="natural")
    assert curve._natural_spline(way, centres)(along) == pytest.approx(true(along), abs=1e-9)


FILM = OpenField.whole((2000, 2000))


def reading_of(sure, step=0.0):
    """A reading of a square body of 100 pixels with this confidence, `step` of 120 pixels down the film."""
    corners = np.array([[0.0, 0.0], [0.0, 100.0], [100.0, 100.0], [100.0, 0.0]])
    points = SixPoints.from_corners(corners + np.array([100.0 + 120.0 * step, 100.0]))
    return FineReading(
        points=points,
        point_sd_px=np.full((6, 2), 12.0 * np.sqrt(-np.log(sure))),
        contour_rc=points.points_rc,
        corners_found=True,
        broken=False,
        merged=False,
        is_body=1.0,
        level_log_chance=np.zeros(len(LEVELS)),
        turned_log_chance=np.zeros(len(LEVELS)),
        metal=0.0,
        cement=0.0,
        cut=0.0,
        pose=pose_of(points),
    )


def spine_of(confidences):
    return [reading_of(sure, step) for step, sure in enumerate(confidences) if sure is not None]


def confidences_of(told):
    return [round(bodies.confidence_of(reading), 2) for reading in told]


def test_what_is_hardly_seen_is_told_between_sure_bodies_but_not_at_the_ends_of_the_spine():
    told = bodies._told(spine_of([0.15, 0.9, 0.9, 0.15, 0.05, 0.9, 0.3, 0.15]))
    assert confidences_of(told) == [0.9, 0.9, 0.15, 0.05, 0.9, 0.3]
    assert bodies._told(spine_of([0.15] * 3)) == []


def test_a_body_that_is_not_seen_is_told_where_its_neighbours_expect_it_and_never_measured():
    told = bodies._told(spine_of([0.9, 0.9, None, None, 0.9, 0.9]))
    assert [reading.seen for reading in told] == [True, True, False, False, True, True]
    for step, reading in enumerate(told):
        np.testing.assert_allclose(reading.points.points_rc, reading_of(0.9, step).points.points_rc, atol=1.0)
    reasons = bodies._doubts(told[2], FILM)
    assert reasons[0] is Reason.NOT_SEEN
    assert Reason.NOT_SEEN not in OVERRULABLE
    # The close look leaves alone what was not seen.
    assert look_closely(np.zeros((900, 300), np.float32), told[2:4], None) == told[2:4]


def test_no_body_is_made_up_where_it_is_not_clear_how_many_are_missing():
    readings = spine_of([0.9, 0.9, 0.9])
    for step in (3.4, 8.0):
        assert len(bodies._told([*readings, *(reading_of(0.9, step + n) for n in range(2, 5))])) == 6


def test_a_second_reading_between_neighbours_is_dropped():
    told = bodies._told([*spine_of([0.9, 0.9]), reading_of(0.3, 1.6), reading_of(0.9, 2)])
    assert confidences_of(told) == [0.9, 0.9, 0.9]


def test_what_may_be_measured_is_never_moved_to_where_it_is_expected():
    seen = replace(reading_of(np.exp(-0.5), 2.1), is_body=0.55)
    assert bodies.confidence_of(seen) < bodies.SURE_FROM
    told = bodies._told([*spine_of([0.9, 0.9]), seen, reading_of(0.9, 3), reading_of(0.9, 4)])
    assert told[2] is seen
    assert Reason.LOW_CONFIDENCE not in bodies._doubts(seen, FILM)


def test_a_doubtful_body_lies_between_what_is_seen_of_it_and_where_it_is_expected():
    astray = reading_of(0.15, 2.2)
    told = bodies._told([*spine_of([0.9, 0.9]), astray, reading_of(0.9, 3), reading_of(0.9, 4)])
    rows = [reading.points.centre_rc[0] for reading in (reading_of(0.9, 2), told[2], astray)]
    assert rows == sorted(rows)
    assert len(set(rows)) == 3
    assert confidences_of(told)[2] == 0.15


def test_hardly_seen_bodies_are_told_beyond_the_last_where_they_follow_the_others_but_not_measured():
    told = spine_of([None, None, None, 0.9, 0.9, 0.9])
    found = [*told, *(reading_of(0.05, step) for step in (0, 1, 2, 6, 7, 8))]
    followed = bodies._followed(told, found, FILM, below=lambda: True)
    # Two at either end at most: errors add up where each is expected by the one before it.
    rows = [reading.points.centre_rc[0] for reading in followed]
    assert rows == pytest.approx([150 + 120 * step for step in range(1, 8)], abs=1.0)
    assert followed[2:5] == told
    for reading in followed[:2] + followed[5:]:
        assert Reason.LOW_CONFIDENCE in bodies._doubts(reading, FILM)
        assert np.ptp(reading.level_log_chance) == 0
    # Where the sacrum follows, no body lies below.
    above = bodies._followed(told, found, FILM, below=lambda: False)
    assert [reading.points.centre_rc[0] for reading in above] == rows[:5]


def test_one_hardly_seen_body_is_told_between_others_that_are_not_sure_themselves():
    told = spine_of([0.9, 0.9, 0.3, None, 0.3, 0.9])
    for missing, counted in ((reading_of(0.05, 3), 6), (replace(reading_of(0.05, 3), is_body=0.4), 5)):
        followed = bodies._followed(told, [*told, missing], FILM, below=lambda: True)
        assert len(followed) == counted
        assert np.diff([reading.points.centre_rc[0] for reading in followed]).min() > 100


LARGE = SixPoints(1.4 * reading_of(0.05, 3 / 1.4 - 0.12).points.points_rc)


@pytest.mark.parametrize(
    "doubtful",
    [
        reading_of(0.05, 3.5),  # too far
        replace(reading_of(0.05, 3), is_body=0.4),  # hardly a body
        replace(reading_of(0.05, 3), cut=0.9),  # runs on beyond the film
        replace(reading_of(0.05, 3), points=LARGE),
    ],
    ids=["far", "no body", "cut", "large"],
)
def test_what_does_not_follow_as_a_body_should_is_not_told(doubtful):
    told = spine_of([0.9, 0.9, 0.9])
    assert bodies._followed(told, [*told, doubtful], FILM, below=lambda: True) == told
    assert bodies._followed(told[:1], [*told[:1], reading_of(0.05, 1)], FILM, below=lambda: True) == told[:1]


def lordosis(count, turn_deg, step=1.05):
    """Poses of bodies whose steps turn evenly towards the back, each 100 px deep."""
    centre, angle, poses = np.array([200.0, 600.0]), np.deg2rad(-30.0), []
    for _ in range(count):
        down = np.array([np.cos(angle), np.sin(angle)])
        poses.append(BodyPose(centre, np.array([-down[1], down[0]]), 100.0))
        centre = centre + 100 * step * down
        angle += np.deg2rad(turn_deg)
    return poses


@pytest.mark.parametrize("turn_deg", [-10, 0, 14, 30])
def test_the_next_body_is_expected_where_the_spine_turns_on(turn_deg):
    *row, body = lordosis(5, turn_deg)
    off = np.linalg.norm(following(row).centre_rc - body.centre_rc) / 100
    straight = np.linalg.norm(following(row[-2:]).centre_rc - body.centre_rc) / 100
    assert off < 0.3 * straight + 0.01
    assert off < 0.15
    # The first body follows upwards, too.
    first, *others = lordosis(5, turn_deg)
    assert np.linalg.norm(following(others[::-1]).centre_rc - first.centre_rc) < 15


def test_a_step_over_a_missing_body_says_nothing_of_how_the_spine_turns():
    row = lordosis(6, 14)
    with_gap = [row[0], row[2], row[3]]
    assert np.array_equal(following(with_gap).centre_rc, following(row[2:4]).centre_rc)


class Looks:
    """A fine network that sees one body, wherever it looks."""

    def __init__(self, reading):
        self.reading = reading

    def glances(self, poses):
        return [self.reading for _ in poses]

    def readings(self, poses):
        return [self.reading for _ in poses]


def finding_of(sacrum_step, score=0.9):
    """What the coarse stage says: no body, but a sacrum so many bodies down the film."""
    place = reading_of(0.9, sacrum_step).points.centre_rc
    return CoarseFinding(bodies=(), front_right=-1.0, sacrum_rc=place, sacrum_score=score, scale=1.0)


@pytest.mark.parametrize(
    ("sure", "sacrum_step", "score", "told"),
    [
        (0.3, 8, 0.9, False),  # hardly seen
        (0.55, 8, 0.9, True),
        (0.55, 3, 0.9, False),  # the sacrum lies here
        (0.55, 3, 0.2, True),  # hardly a sacrum
        (0.85, 3, 0.9, True),  # a body that was taken for the sacrum
    ],
)
def test_where_the_spine_turns_on_below_a_body_must_be_surely_seen(sure, sacrum_step, score, told):
    reading = reading_of(sure, 3)
    seen = bodies._surely_below([reading.pose], Looks(reading), finding_of(sacrum_step, score))
    assert seen == ([reading] if told else [])


def test_no_second_look_is_taken_at_the_same_place_but_in_a_crop_of_another_size():
    pose = reading_of(0.9, 3).pose
    near, off, larger = pose.moved(shift=(0.1, 0)), pose.moved(shift=(0.3, 0)), pose.moved(zoom=0.8)
    assert bodies._new([near], [pose]) == []
    assert bodies._new([near], [pose], apart=0.08) == [near]
    assert bodies._new([off, off, larger], [pose]) == [off, larger]


def looking_like(reading, level):
    chances = np.full(len(LEVELS), 0.05 / (len(LEVELS) - 1))
    chances[level_rank(level)] = 0.95
    return replace(reading, level_log_chance=np.log(chances))


def ending_with(*confidences, levels=("L2", "L3", "L4", "L5")):
    """Sure bodies of these levels, and below them others that look like L5 too."""
    bodies_above = [looking_like(reading_of(0.9, step), level) for step, level in enumerate(levels)]
    below = [reading_of(sure, len(levels) + n) for n, sure in enumerate(confidences)]
    return [*bodies_above, *(looking_like(reading, "L5") for reading in below)]


@pytest.mark.parametrize("pieces", [1, 2])
def test_what_is_hardly_seen_below_l5_is_a_piece_of_the_sacrum(pieces):
    told = ending_with(*[0.3] * pieces)
    assert bodies._without_sacrum(told) == told[:4]


def test_a_body_below_what_looks_like_l5_is_told_where_it_is_well_seen():
    told = ending_with(0.9)
    assert bodies._without_sacrum(told) == told


def test_a_hardly_seen_l5_stays_below_l4():
    told = ending_with(0.3, levels=("T12", "L1", "L2", "L3", "L4"))
    assert bodies._without_sacrum(told) == told
    assert bodies._without_sacrum([]) == []


@pytest.mark.parametrize(("inside_px", "cut"), [(-20.0, True), (2.0, True), (6.0, False)])
def test_a_corner_on_the_border_is_that_of_a_body_which_goes_on_beyond_it(inside_px, cut):
    # The body is 100 px high, its upper corners lie in row 100.
    reading = reading_of(0.9)
    moved = replace(reading, points=SixPoints(reading.points.points_rc + np.array([inside_px - 100.0, 0.0])))
    assert (Reason.CUT_BY_BORDER in bodies._doubts(moved, FILM)) == cut
