from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spines import body, moved, spine
from vertebrometer.anatomy import NotMeasured, Reason
from vertebrometer.compression import (
    Compression,
    Definition,
    IntervalCalibration,
    compression_percent,
    compressions,
)
from vertebrometer.errors import SettingsError

ADJACENT, INTACT, SAME = Definition.ADJACENT_MEAN, Definition.NEAREST_INTACT, Definition.SAME_BODY


def percents(vertebrae, definition=ADJACENT, pixel_rc=(1.0, 1.0)):
    results = [result[definition] for result in compressions(vertebrae, pixel_rc)]
    return [r.percent if isinstance(r, Compression) else r.reason for r in results]


def test_thirty_twentyfour_thirty_has_lost_a_fifth():
    # Equation 1 is printed without its outer brackets; read literally it would give 60 %.
    assert percents(spine(30, 24, 30))[1] == pytest.approx(20.0)


def test_a_body_taller_than_its_neighbours_is_negative():
    assert percents(spine(30, 33, 30))[1] == pytest.approx(-10.0)


def test_a_body_that_lost_nearly_all_is_not_clipped():
    assert percents(spine(30, 3, 30))[1] == pytest.approx(90.0)


def test_the_topmost_and_lowest_body_have_nothing_to_compare_with():
    assert percents(spine(30, 30, 30))[::2] == [Reason.NO_NEIGHBOUR_ABOVE, Reason.NO_NEIGHBOUR_BELOW]


def test_an_empty_film_has_no_compressions():
    assert compressions([]) == []


def test_a_single_body_still_has_its_own_ratio():
    [result] = compressions([body(0, 24, 30)])
    assert result[SAME] == Compression(pytest.approx(20.0), SAME)
    assert result[ADJACENT] == NotMeasured(Reason.NO_NEIGHBOUR_ABOVE)


@given(
    anteriors=st.lists(st.floats(8, 36), min_size=3, max_size=7),
    turn_deg=st.floats(-45, 45),
    zoom=st.floats(0.3, 3.0),
    mirror=st.booleans(),
    stretch=st.floats(0.6, 1.7),
)
def test_compression_does_not_depend_on_tilt_magnification_mirror_or_pixel_shape(
    anteriors, turn_deg, zoom, mirror, stretch
):
    straight = spine(*anteriors)
    seen = moved(straight, turn_deg=turn_deg, zoom=zoom, mirror=mirror, stretch_rows=stretch)
    for definition in Definition:
        first, second = percents(straight, definition), percents(seen, definition, (0.14 / stretch, 0.14))
        assert [isinstance(value, Reason) for value in first] == [
            isinstance(value, Reason) for value in second
        ]
        numbers = [(a, b) for a, b in zip(first, second, strict=True) if not isinstance(a, Reason)]
        assert [a for a, _ in numbers] == pytest.approx([b for _, b in numbers], abs=1e-6)


@given(own=st.floats(1, 50), expected=st.floats(1, 50))
def test_percent_and_expected_height_give_the_height_back(own, expected):
    assert expected * (1 - compression_percent(own, expected) / 100) == pytest.approx(own)


@pytest.mark.parametrize("expected", [0.0, -1.0])
def test_nothing_is_compared_with_no_height(expected):
    with pytest.raises(ValueError, match="above 0"):
        compression_percent(10.0, expected)


def test_a_body_that_must_not_be_measured_says_its_first_reason():
    bodies = spine(30, 30, 30)
    bodies[1] = bodies[1].with_reason(Reason.METALWORK).with_reason(Reason.LOW_CONFIDENCE)
    assert percents(bodies)[1] is Reason.METALWORK
    assert percents(bodies, SAME)[1] is Reason.METALWORK


def test_no_body_is_compared_with_an_unusable_one():
    bodies = spine(30, 30, 30, 30)
    bodies[1] = bodies[1].with_reason(Reason.CEMENT)
    assert percents(bodies)[2] is Reason.NEIGHBOUR_UNUSABLE


def test_names_that_leave_one_out_are_not_adjacent():
    bodies = [body(20 + 40 * n, 30, level=level) for n, level in enumerate(["T11", "T12", "L2", "L3"])]
    assert percents(bodies) == [
        Reason.NO_NEIGHBOUR_ABOVE,
        Reason.NEIGHBOURS_NOT_ADJACENT,
        Reason.NEIGHBOURS_NOT_ADJACENT,
        Reason.NO_NEIGHBOUR_BELOW,
    ]


def test_t13_and_l6_follow_their_neighbours():
    for names in (["T12", "T13", "L1"], ["L5", "L6", "S1"], ["T11", "T12", "L1"]):
        assert percents([body(20 + 40 * n, 30, level=name) for n, name in enumerate(names)])[
            1
        ] == pytest.approx(0.0)


def test_a_missing_body_is_seen_from_the_distance_of_centres():
    bodies = spine(30, 30, 30, 30, 30, 30)
    del bodies[3]
    assert percents(bodies)[1] == pytest.approx(0.0)
    assert percents(bodies)[2:4] == [Reason.NEIGHBOURS_NOT_ADJACENT] * 2


def test_a_spine_with_every_other_body_missing_is_seen_too():
    assert percents(spine(30, 30, 30, 30, 30, 30)[::2])[1] is Reason.NEIGHBOURS_NOT_ADJACENT


def test_crushed_bodies_crowd_together_without_being_taken_for_a_gap():
    # Three crushed bodies (centres 22 apart) between tall ones (centres 31 and 40 apart).
    tops = [0, 40, 80, 102, 124, 146, 186]
    tall = [30, 30, 12, 12, 12, 30, 30]
    result = percents([body(top, height) for top, height in zip(tops, tall, strict=True)])
    assert Reason.NEIGHBOURS_NOT_ADJACENT not in result


def test_next_to_a_fracture_the_nearest_intact_body_is_used():
    bodies = spine(30, 15, 30, 30, 30)
    adjacent, intact = (compressions(bodies)[2][definition] for definition in (ADJACENT, INTACT))
    assert adjacent.percent < -30
    assert (intact.percent, intact.compared_with) == (pytest.approx(0.0), (0, 3))


def test_the_expected_height_follows_the_normal_growth_from_level_to_level():
    # Two places below the upper intact body and one above the lower: two thirds of the way from 26 to 29.
    bodies = [body(20 + 40 * n, height, 30) for n, height in enumerate([26, 15, 28, 29, 30])]
    result = compressions(bodies)[2][INTACT]
    assert result.compared_with == (0, 3)
    assert result.percent == pytest.approx(100 * (1 - 28 / (26 + 3 * 2 / 3)))


@given(anteriors=st.lists(st.floats(27, 33), min_size=3, max_size=8))
def test_in_an_intact_spine_both_definitions_agree(anteriors):
    bodies = spine(*anteriors)
    assert percents(bodies, ADJACENT) == pytest.approx(percents(bodies, INTACT))


def test_a_crushed_body_is_not_taken_for_an_intact_one():
    bodies = [body(20 + 40 * n, height) for n, height in enumerate([30, 30, 18, 30, 30, 30])]
    assert compressions(bodies)[3][INTACT].compared_with == (1, 4)


def test_intact_bodies_on_one_side_only_are_not_enough():
    bodies = spine(30, 30, 15, 15, 30)
    bodies = [*bodies[:4], bodies[4].with_reason(Reason.CUT_BY_BORDER)]
    assert percents(bodies, INTACT)[2] is Reason.NO_INTACT_NEIGHBOUR


def test_intact_bodies_four_away_are_too_far():
    result = percents(spine(30, 15, 15, 15, 15, 30), INTACT)
    assert result[1] is Reason.NO_INTACT_NEIGHBOUR


def test_the_search_for_intact_bodies_ends_at_two_that_were_merged():
    bodies = spine(30, 30, 15, 30, 30)
    bodies[1] = bodies[1].with_reason(Reason.MERGED_BODIES)
    assert percents(bodies, INTACT)[2] is Reason.NO_INTACT_NEIGHBOUR


def test_without_a_spread_of_points_there_is_no_interval():
    assert compressions(spine(30, 24, 30))[1][ADJACENT].interval_90 is None


@pytest.mark.parametrize("definition", list(Definition))
def test_the_interval_holds_nine_of_ten_simulated_measurements(definition):
    rng = np.random.default_rng(7)
    sd = 0.4
    low, high = compressions(spine(30, 24, 30, sd=sd))[1][definition].interval_90
    inside = []
    for _ in range(2000):
        noisy = [
            type(v)(
                points=type(v.points)(v.points.points_rc + rng.normal(0, sd, (6, 2))),
                contour_rc=v.contour_rc,
                confidence=1.0,
            )
            for v in spine(30, 24, 30)
        ]
        result = compressions(noisy)[1][definition]
        inside.append(isinstance(result, Compression) and low <= result.percent <= high)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_each_band_of_severity_has_its_own_factor_and_floor():
    calibration = IntervalCalibration(factors=(1, 2, 3, 4), floors_points=(5, 0, 0, 0))
    widths = [calibration.half_width(percent, 1.0) for percent in (9.99, 10, 20, 40, 70)]
    assert widths == pytest.approx([5.0, 2 * 1.645, 3 * 1.645, 4 * 1.645, 4 * 1.645], abs=1e-3)
    assert all(a <= b for a, b in pairwise(widths[1:]))


def test_calibrated_intervals_are_wider():
    bodies = spine(30, 24, 30, sd=0.3)
    plain = compressions(bodies)[1][ADJACENT].interval_90
    wide = compressions(bodies, calibration=IntervalCalibration.uniform(interval_scale=2.0))[1][
        ADJACENT
    ].interval_90
    assert wide[1] - wide[0] == pytest.approx(2 * (plain[1] - plain[0]))


def test_a_value_less_sure_than_two_readers_is_not_told():
    low, high = compressions(spine(30, 24, 30, sd=2.0))[1][ADJACENT].interval_90
    half = (high - low) / 2
    told, withheld = (
        compressions(spine(30, 24, 30, sd=2.0), widest_points=half + step)[1][ADJACENT]
        for step in (0.1, -0.1)
    )
    assert told.percent == pytest.approx(20.0)
    assert withheld == NotMeasured(Reason.INTERVAL_TOO_WIDE)


@pytest.mark.parametrize(
    ("given_settings", "match"),
    [
        ({"factors": (1.0,)}, "4 factors"),
        ({"limits_percent": (20, 10, 40)}, "rise"),
        ({"factors": (0, 1, 1, 1)}, "above 0"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(given_settings, match):
    with pytest.raises(SettingsError, match=match):
        IntervalCalibration(**given_settings)
