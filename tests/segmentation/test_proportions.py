"""A squashed film shows in the proportions of its bodies."""

import pytest

from tests.spines import moved, spine
from vertebrometer.segmentation import likely_aspect
from vertebrometer.segmentation.proportions import USUAL_PROPORTION, proportion

USUAL = [33.0, 33.0, 34.0, 33.0]  # of bodies 40 deep


def usual_spine(**kwargs):
    return spine(*USUAL, posterior=33.0, **kwargs)


@pytest.mark.parametrize("turn_deg", [-20, 0, 20])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_proportion_of_bodies_does_not_hang_on_how_they_lie(turn_deg, mirror):
    lying = moved(usual_spine(), turn_deg=turn_deg, zoom=1.7, mirror=mirror)
    assert proportion(lying) == pytest.approx(33 / 40, abs=0.002)
    assert likely_aspect(lying) is None


@pytest.mark.parametrize("stretch_rows", [0.6, 0.75, 1.5])
def test_pixels_that_give_squashed_bodies_their_proportions_are_those_they_were_squashed_to(stretch_rows):
    squashed = moved(usual_spine(), stretch_rows=stretch_rows)
    aspect = likely_aspect(squashed)
    assert aspect == pytest.approx(1 / stretch_rows, rel=0.03)
    assert proportion(squashed, aspect=aspect) == pytest.approx(USUAL_PROPORTION, abs=0.001)


def test_one_crushed_body_does_not_make_a_squashed_film():
    assert likely_aspect(spine(33.0, 15.0, 33.0, 33.0, posterior=33.0)) is None


@pytest.mark.parametrize("stretch_rows", [0.0, 0.2, 5.0])
def test_what_no_squashing_makes_a_body_is_left_alone(stretch_rows):
    assert likely_aspect(moved(usual_spine(), stretch_rows=stretch_rows)) is None


def test_bodies_that_are_hardly_seen_are_no_witnesses():
    flat = spine(20.0, 20.0, 20.0, posterior=20.0, confidence=0.3)
    assert proportion(flat) is None
    assert likely_aspect(flat) is None
    assert likely_aspect([*flat, *usual_spine()]) is None
    assert likely_aspect(usual_spine()[:1]) is None
