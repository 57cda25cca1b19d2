"""Which way up a film is, by what levels its bodies look like upright and upside down."""

from types import SimpleNamespace

import numpy as np
import pytest

from vertebrometer.anatomy import LEVELS
from vertebrometer.segmentation.order import on_its_head, order_log_chance

LUMBAR = ("T12", "L1", "L2", "L3", "L4")
BY_CHANCE = ("C4", "T7", "L5", "T2", "C6")


def chances(levels, sure=3.0):
    """For each body the logarithm of the chance of each level; `sure` says how far one stands out."""
    votes = np.zeros((len(levels), len(LEVELS)))
    for n, level in enumerate(levels):
        votes[n, LEVELS.index(level)] = sure
    return votes - np.log(np.exp(votes).sum(axis=1, keepdims=True))


def film(upright, upside_down, sure=3.0):
    return [
        SimpleNamespace(level_log_chance=one, turned_log_chance=other)
        for one, other in zip(chances(upright, sure), chances(upside_down, sure), strict=True)
    ]


def told(readings):
    return on_its_head(readings, [1.0] * len(readings))


def test_a_film_stands_on_its_head_where_bodies_name_themselves_from_the_bottom_upside_down():
    assert told(film(BY_CHANCE, LUMBAR[::-1]))
    assert not told(film(LUMBAR, BY_CHANCE))


def test_names_must_follow_each_other_from_the_bottom():
    assert not told(film(BY_CHANCE, LUMBAR))


@pytest.mark.parametrize("upside_down", [LUMBAR[::-1], BY_CHANCE])
def test_a_film_whose_bodies_name_themselves_upright_is_upright(upside_down):
    assert not told(film(LUMBAR, upside_down))


def test_where_no_way_up_shows_a_spine_the_film_is_left_as_it_is():
    assert not told(film(BY_CHANCE, BY_CHANCE[::-1], sure=8.0))
    assert not told(film(BY_CHANCE, LUMBAR[::-1], sure=0.2))


def test_two_bodies_say_too_little():
    assert not told(film(BY_CHANCE[:2], ("L2", "L1")))
    assert told(film(BY_CHANCE[:3], ("L3", "L2", "L1")))


def test_hardly_seen_bodies_count_little():
    readings = film(BY_CHANCE, LUMBAR[::-1])
    against = film(LUMBAR[:2], BY_CHANCE[:2])
    assert on_its_head([*readings, *against], [1.0] * 5 + [0.01] * 2)
    assert not on_its_head([*readings, *against], [0.01] * 5 + [1.0] * 2)


def test_what_is_not_seen_keeps_its_place_and_says_nothing():
    readings = film(("T12", "C3", "L2", "T5", "L4"), BY_CHANCE)
    assert order_log_chance(readings, [1.0, 0.0, 1.0, 0.0, 1.0]) > -0.9
    assert order_log_chance(readings[::2], [1.0] * 3) < -3


def test_bodies_that_name_themselves_in_order_are_likely_and_others_are_not():
    in_order, by_chance = film(LUMBAR, BY_CHANCE), film(BY_CHANCE, LUMBAR)
    assert order_log_chance(in_order, [1.0] * 5) == pytest.approx(chances(LUMBAR).max())
    assert order_log_chance(by_chance, [1.0] * 5) <= -3.5
    assert order_log_chance(in_order[:2], [1.0] * 2) is None


def test_pieces_of_the_sacrum_below_a_spine_leave_it_in_order():
    readings = film(("L2", "L3", "L4", "L5", "C7", "T4"), (*BY_CHANCE, "T1"))
    assert order_log_chance(readings, [1.0] * 6) > -0.9


def test_more_bodies_than_a_spine_has_are_in_no_order():
    readings = film(BY_CHANCE * 6, BY_CHANCE * 6)
    assert not told(readings)
    assert order_log_chance(readings, [1.0] * 30) < -6


def test_bodies_of_a_film_on_its_head_are_in_order_from_the_bottom():
    readings = film(BY_CHANCE, LUMBAR[::-1])
    assert order_log_chance(readings, [1.0] * 5, head_down=True) == pytest.approx(chances(LUMBAR).max())


def test_bodies_missing_in_a_row_leave_the_others_in_order():
    readings = film(("T2", "T3", "T4", "T10", "T11", "T12"), (*BY_CHANCE, "T1"))
    assert order_log_chance(readings, [1.0] * 6, [1, 1, 6, 1, 1]) == pytest.approx(chances(LUMBAR).max())
    assert order_log_chance(readings, [1.0] * 6) < -2


@pytest.mark.parametrize("counted", [5, 7])
def test_a_long_gap_may_hold_a_body_more_or_less(counted):
    readings = film(("T2", "T3", "T4", "T10", "T11", "T12"), (*BY_CHANCE, "T1"))
    assert order_log_chance(readings, [1.0] * 6, [1, 1, counted, 1, 1]) > -0.9


def test_neighbours_lie_one_level_apart():
    readings = film(("T2", "T3", "T4", "T6", "T7", "T8"), (*BY_CHANCE, "T1"))
    side_by_side, one_missing = (order_log_chance(readings, [1.0] * 6, [1, 1, n, 1, 1]) for n in (1, 2))
    assert side_by_side < -2
    assert one_missing > -0.9


def test_a_film_on_its_head_may_lack_bodies_too():
    readings = film(BY_CHANCE, ("L2", "L1", "T12", "T5", "T4"))
    assert on_its_head(readings, [1.0] * 5, [1, 1, 7, 1])
    assert order_log_chance(readings, [1.0] * 5, [1, 1, 7, 1], head_down=True) > -0.9
    assert not on_its_head(readings, [1.0] * 5)
