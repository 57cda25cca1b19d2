import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spines import body, moved
from vertebrometer.anatomy import SixPoints
from vertebrometer.morphometry import (
    Deformity,
    GenantGrade,
    Heights,
    anterior_height_sd,
    cobb_angle_deg,
    disc_heights,
    genant_grade,
    genant_like,
    heights,
    wedge_angle_deg,
)

WEDGE = body(0, 24, 30, middle=25)


def test_heights_are_the_distances_of_facing_endplate_points():
    assert heights(WEDGE.points) == Heights(24.0, 25.0, 30.0)


def test_without_a_spacing_there_are_no_millimetres():
    assert heights(WEDGE.points).anterior_mm is None
    assert heights(WEDGE.points, mm_per_px=0.2).anterior_mm == pytest.approx(4.8)


@given(turn_deg=st.floats(-90, 90), stretch=st.floats(0.5, 2.0))
def test_heights_on_pixels_that_are_not_square_are_those_on_square_ones(turn_deg, stretch):
    # `stretch` times as many rows per length, so each pixel is 1 / stretch as high as it is wide.
    [seen] = moved([WEDGE], turn_deg=turn_deg, stretch_rows=stretch)
    own = heights(seen.points, aspect=1 / stretch)
    assert (own.anterior_px, own.middle_px, own.posterior_px) == pytest.approx((24.0, 25.0, 30.0))


@pytest.mark.parametrize(
    ("loss", "grade"),
    [(-0.3, 0), (0.1999, 0), (0.20, 1), (1 - 24 / 30, 1), (0.25, 2), (0.3999, 2), (0.40, 3), (1.0, 3)],
)
def test_a_loss_on_a_limit_takes_the_higher_grade(loss, grade):
    assert genant_grade(loss) == GenantGrade(grade)


def test_no_body_loses_more_than_its_height():
    with pytest.raises(ValueError, match="at most 1"):
        genant_grade(1.01)


@pytest.mark.parametrize(
    ("own", "expected", "deformity"),
    [
        (Heights(20, 28, 30), 30, Deformity.WEDGE),
        (Heights(28, 18, 30), 30, Deformity.BICONCAVE),
        (Heights(18, 18, 19), 30, Deformity.CRUSH),
        (Heights(29, 27, 30), 30, Deformity.NONE),
    ],
)
def test_the_height_that_lost_most_names_the_deformity(own, expected, deformity):
    assert genant_like(own, expected_posterior_px=expected).deformity is deformity


def test_a_crush_cannot_be_seen_without_a_neighbour():
    assert genant_like(Heights(18, 18, 19)).grade is GenantGrade.NORMAL


@given(turn_deg=st.floats(-60, 60), zoom=st.floats(0.2, 4), mirror=st.booleans())
def test_a_wedge_opens_by_the_same_angle_on_every_film(turn_deg, zoom, mirror):
    [seen] = moved([WEDGE], turn_deg=turn_deg, zoom=zoom, mirror=mirror)
    assert wedge_angle_deg(seen.points) == pytest.approx(np.rad2deg(np.arctan2(6, 40)), abs=1e-6)


def test_a_body_that_is_lower_behind_has_a_negative_wedge_angle():
    assert wedge_angle_deg(body(0, 30, 26).points) < 0


@given(turn_deg=st.floats(-60, 60), mirror=st.booleans())
def test_kyphosis_is_positive_and_lordosis_negative(turn_deg, mirror):
    upper = body(0, 30)
    for lean_deg in (25.0, -25.0):
        angle = np.deg2rad(lean_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        lower = body(0, 30)
        lower = type(lower)(
            points=SixPoints((lower.points.points_rc - [0, 100]) @ turn.T + [60, 100]),
            contour_rc=np.zeros((4, 2)),
            confidence=1.0,
        )
        a, b = moved([upper, lower], turn_deg=turn_deg, mirror=mirror)
        assert cobb_angle_deg(a.points, b.points) == pytest.approx(lean_deg)


def test_a_disc_is_the_gap_between_two_bodies():
    disc = disc_heights(body(0, 30).points, body(38, 30, 28).points)
    assert (disc.anterior_px, disc.posterior_px, disc.mean_px) == (8.0, 8.0, 8.0)


def test_only_the_spread_along_the_height_reaches_the_height():
    upright = body(0, 30)
    sideways = np.zeros((6, 2))
    sideways[:, 1] = 2.0
    assert anterior_height_sd(upright.points, sideways) == pytest.approx(0.0)
    assert anterior_height_sd(upright.points, sideways[:, ::-1]) == pytest.approx(np.sqrt(8))
