"""Which way up a film is, by what levels its bodies look like upright and upside down."""

from types import SimpleNamespace

import numpy as np
import pytest

from vertebrometer.anatomy import LEVELS
from vertebrometer.segmentation.upright import on_its_head

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


def test_more_bodies_than_a_spine_has_name_nothing():
    assert not told(film(BY_CHANCE * 6, BY_CHANCE * 6))
