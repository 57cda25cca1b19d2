"""Facts about the division into three bodies: what is kept, what is left out and why."""

import numpy as np
import pytest

from vertebrometer.errors import SettingsError
from vertebrometer.training.bank import polygon_mask
from vertebrometer.triplets import (
    LabelSettings,
    LeftOut,
    TripletView,
    TrueBody,
    divide,
    edge_doubt,
    label_bodies,
    picture,
    view_map,
    with_values,
)

SHAPE = (260, 120)


def box(top, height=28.0, *, left=40.0, depth=36.0, anterior=None):
    front = height if anterior is None else anterior
    return np.array([[top, left], [top, left + depth], [top + height, left + depth], [top + front, left]])


def spine(*tops, **more):
    return [box(top, **more) for top in tops]


def share(bodies):
    return np.max([polygon_mask(body, SHAPE) for body in bodies], axis=0)


def divided(bodies, settings=None, **more):
    return divide(label_bodies(share(bodies), settings), film="film-1", **more)


FOUR = spine(20, 58, 96, 134)


def reasons(found):
    return [(exclusion.target, exclusion.reason) for exclusion in found.left_out]


def test_bodies_are_numbered_from_the_top():
    labels = label_bodies(share(FOUR)).labels
    assert [int(labels[row, 58]) for row in (34, 72, 110, 148)] == [1, 2, 3, 4]


def test_every_body_with_two_neighbours_is_the_middle_of_a_triplet():
    found = divided(FOUR)
    assert [triplet.numbers for triplet in found.triplets] == [(1, 2, 3), (2, 3, 4)]
    assert found.left_out == ()


def test_two_bodies_in_one_outline_are_left_out():
    merged = [*FOUR[:2], np.array([[96, 40], [96, 76], [162, 76], [162, 40]], float), *spine(172, 210)]
    found = divided(merged)
    assert {reason for _, reason in reasons(found)} == {LeftOut.MERGED_BODIES}
    assert all(exclusion.body == 3 and exclusion.condition == 1 for exclusion in found.left_out)


def test_a_body_in_two_parts_is_left_out():
    halves = [box(58, left=38, depth=15), box(59, left=60, depth=15)]
    found = divided([FOUR[0], *halves, *spine(96, 134, 172)])
    assert (2, LeftOut.BROKEN_BODY) in reasons(found)
    assert (3, LeftOut.BROKEN_BODY) in reasons(found)
    assert [triplet.target for triplet in found.triplets] == [5]


def test_a_gap_between_bodies_is_no_neighbourhood():
    found = divided(spine(10, 44, 78, 146, 180, 214))
    assert reasons(found) == [(3, LeftOut.NOT_ADJACENT), (4, LeftOut.NOT_ADJACENT)]


def test_a_body_that_the_border_cuts_is_left_out():
    found = divided(spine(-12, 26, 64, 102))
    assert reasons(found) == [(2, LeftOut.CUT_BY_BORDER)]
    assert [triplet.target for triplet in found.triplets] == [3]


def test_padding_does_not_hide_the_border_of_the_film():
    found = divided(FOUR, inside=(20, 260, 0, 120))
    assert reasons(found) == [(2, LeftOut.CUT_BY_BORDER)]


def covered(bodies, number, columns):
    """A map that cannot tell, on some columns, where the upper edge of one body runs."""
    chances = share(bodies)
    top, left = bodies[number - 1][0].astype(int)
    rows = slice(top - 4, top + 4)
    for column in columns:
        chances[rows, left + column] = np.linspace(0.35, 0.7, 8)
    return label_bodies(chances)


def test_an_unsure_front_edge_is_doubt_and_an_unsure_back_edge_is_none():
    sharp, front, back = (edge_doubt(covered(FOUR, 2, c), 2) for c in ((), range(12), range(22, 36)))
    assert front > 2 * sharp
    assert back == pytest.approx(sharp, abs=1e-3)
    assert edge_doubt(covered(FOUR, 2, range(12)), 4) == pytest.approx(sharp, rel=0.05)


def test_doubt_does_not_hang_on_the_scale_of_the_film():
    large = label_bodies(np.kron(share(FOUR), np.ones((2, 2), np.float32)))
    assert edge_doubt(large, 2) == pytest.approx(edge_doubt(label_bodies(share(FOUR)), 2), rel=0.25)


def test_triplets_with_a_doubtful_edge_are_left_out_where_that_is_asked_for():
    found = covered(FOUR, 2, range(12))
    limit = 1.5 * edge_doubt(label_bodies(share(FOUR)), 2)
    kept, asked = divide(found), divide(found, largest_doubt=limit)
    assert [triplet.numbers for triplet in kept.triplets] == [(1, 2, 3), (2, 3, 4)]
    assert reasons(asked) == [(2, LeftOut.EDGE_UNSURE), (3, LeftOut.EDGE_UNSURE)]
    assert {exclusion.body for exclusion in asked.left_out} == {2}
    # It is no condition of the paper's.
    assert {exclusion.condition for exclusion in asked.left_out} == {None}


def test_a_limit_of_doubt_is_above_zero():
    with pytest.raises(SettingsError, match="largest_doubt must be above 0"):
        LabelSettings(largest_doubt=0.0)


def test_two_bodies_make_no_triplet():
    found = divided(FOUR[:2])
    assert reasons(found) == [(0, LeftOut.TOO_FEW_BODIES)]


def test_specks_are_no_bodies():
    found = label_bodies(share([*FOUR, box(200, 4, left=90, depth=4)]))
    assert (found.count, found.specks) == (4, 1)


def test_an_empty_map_has_no_bodies():
    found = divide(label_bodies(np.zeros(SHAPE, np.float32)))
    assert [exclusion.reason for exclusion in found.left_out] == [LeftOut.TOO_FEW_BODIES]


def test_bodies_that_touch_come_apart_at_a_higher_chance():
    map_ = 0.95 * share(FOUR)
    map_[86:97, 50:66] = 0.6
    assert label_bodies(map_).count == 3
    assert label_bodies(map_, LabelSettings(seed_threshold=0.8)).count == 4


TRUTH = [
    TrueBody(number=n, percent=percent, anterior_px=28.0)
    for n, percent in ((1, None), (2, 12.0), (3, -4.0), (4, None))
]


def test_triplets_get_the_value_of_their_middle_body_and_negatives_are_kept():
    found = divided(FOUR)
    valued, left_out = with_values(found, found.found.labels, TRUTH)
    assert [(v.body, v.percent) for v in valued] == [(2, 12.0), (3, -4.0)]
    assert valued[0].anterior_px == (28.0, 28.0, 28.0)
    assert left_out == []


def test_a_body_without_a_true_value_is_logged():
    found = divided(FOUR)
    no_value = [TrueBody(number=n, percent=None) for n in range(1, 5)]
    valued, left_out = with_values(found, found.found.labels, no_value)
    assert valued == []
    assert [exclusion.reason for exclusion in left_out] == [LeftOut.NO_VALUE] * 2
    assert left_out[0].condition is None


def test_what_is_no_true_body_gets_no_value():
    found = divided(FOUR)
    elsewhere = np.roll(found.found.labels, 30, axis=1)
    valued, left_out = with_values(found, elsewhere, TRUTH)
    assert valued == []
    assert {exclusion.reason for exclusion in left_out} == {LeftOut.NO_TRUE_BODY}


def test_a_missed_body_is_seen_through_the_truth():
    tops = (10, 44, 78, 112, 146)
    truth = label_bodies(share(spine(*tops))).labels
    # The third of five is missed, but the film's other gaps are as wide, so that distances tell nothing.
    found = divide(label_bodies(share(spine(10, 78, 146))))
    true = [TrueBody(number=n, percent=1.0) for n in range(1, 6)]
    valued, left_out = with_values(found, truth, true)
    assert valued == []
    assert not found.triplets or left_out[0].reason is LeftOut.NOT_ADJACENT


def test_a_centred_triplet_fills_the_picture_wherever_it_lies():
    view = TripletView(side_px=64, fill=0.8)
    low = divided([body + np.array([60, 10]) for body in FOUR])
    pictures = [picture(found.found, found.triplets[0], view) for found in (divided(FOUR), low)]
    assert np.abs(pictures[0] - pictures[1]).max() < 1e-5
    rows = np.flatnonzero(pictures[0].any(axis=1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.8 * 64, abs=2)


def test_on_the_canvas_a_triplet_stays_where_it_is():
    found = divided(FOUR)
    view = TripletView(frame="canvas", side_px=260)
    drawn = picture(found.found, found.triplets[0], view)
    own = np.isin(found.found.labels, (1, 2, 3))
    left = (260 - 120) // 2
    assert np.array_equal(drawn[:, left : left + 120] > 0.5, own)


def test_only_three_bodies_are_drawn():
    found = divided(FOUR)
    view = TripletView(side_px=96, values="numbered")
    to_view = view_map(found.found, found.triplets[1], view)
    drawn = picture(found.found, found.triplets[1], view)
    middles = to_view(np.array([[72.0, 58.0], [110.0, 58.0], [148.0, 58.0]])).round().astype(int)
    assert drawn[tuple(middles.T)] == pytest.approx([1 / 3, 2 / 3, 1], abs=0.01)
    assert drawn.max() <= 1.001


def test_impossible_settings_are_refused():
    with pytest.raises(SettingsError, match="thresholds"):
        LabelSettings(threshold=0.9, seed_threshold=0.5)
    with pytest.raises(SettingsError, match="picture"):
        TripletView(side_px=4)
