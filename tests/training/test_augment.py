"""Facts about chance in training: points move exactly as the picture does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch")

from vertebrometer.training.augment import (
    Squash,
    degrade,
    displaced_points,
    draw_squash,
    elastic,
    squash_maps,
    squash_points,
    vary_grey,
)

pytestmark = pytest.mark.torch

SIDE = 128
SIX = np.array([[44.0, 36.0], [45.0, 63.0], [42.0, 91.0], [84.0, 92.0], [86.0, 64.0], [88.0, 36.0]])


def dots(points):
    """A picture with one soft dot at each point, in a channel of its own."""
    r, c = np.mgrid[:SIDE, :SIDE]
    return [np.exp(-((r - p[0]) ** 2 + (c - p[1]) ** 2) / 8).astype(np.float32) for p in points]


def seen(picture):
    return np.array(ndimage.center_of_mass(picture))


def squashed(picture, source_rows):
    cols = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))
    return cv2.remap(picture, cols, source_rows, cv2.INTER_LINEAR)


@pytest.mark.parametrize("seed", range(12))
def test_points_are_squashed_as_the_picture_is(seed):
    source, knots = squash_maps(draw_squash(np.random.default_rng(seed)), SIX, SIDE)
    moved = squash_points(SIX, knots)
    # Dots just above and below a knot are scaled unequally, so points away from the knots are looked at.
    inner = np.array([[64.0, 45.0], [64.0, 64.0], [60.0, 80.0], [22.0, 60.0], [108.0, 70.0]])
    for picture, true in zip(dots(inner), squash_points(inner, knots), strict=True):
        assert np.abs(seen(squashed(picture, source)) - true).max() < 0.35
    # The knots themselves: where the picture is sampled at the old row of the new point.
    for old, new in zip(SIX, moved, strict=True):
        row = np.interp(new[0], np.arange(SIDE), source[:, round(new[1])])
        assert row == pytest.approx(old[0], abs=1.0)


def test_a_drawn_shape_and_its_outline_are_squashed_alike():
    from vertebrometer.training.bank import polygon_mask

    outline = np.vstack(
        [np.linspace(a, b, 30, endpoint=False) for a, b in zip(SIX, np.roll(SIX, -1, 0), strict=True)]
    )
    squash = Squash((0.3, 0.2, 0.0), (0.15, 0.1, 0.0))
    source, knots = squash_maps(squash, SIX, SIDE)
    picture = squashed(polygon_mask(outline, (SIDE, SIDE)), source) > 0.5
    drawn = polygon_mask(squash_points(outline, knots), (SIDE, SIDE)) > 0.5
    assert 2 * (picture & drawn).sum() / (picture.sum() + drawn.sum()) > 0.985


def test_a_wedge_takes_the_height_it_names_and_leaves_the_back():
    _, knots = squash_maps(Squash((0.4, 0.2, 0.0), (0.0, 0.0, 0.0)), SIX, SIDE)
    before, after = SIX, squash_points(SIX, knots)
    anterior = [p[5, 0] - p[0, 0] for p in (before, after)]
    posterior = [p[3, 0] - p[2, 0] for p in (before, after)]
    assert anterior[1] / anterior[0] == pytest.approx(0.6, abs=0.02)
    assert posterior[1] == pytest.approx(posterior[0], abs=0.5)


def test_nothing_lost_is_nothing_moved():
    source, knots = squash_maps(Squash((0.0,) * 3, (0.0,) * 3), SIX, SIDE)
    assert np.abs(source - np.arange(SIDE)[:, None]).max() < 1e-3
    assert np.abs(squash_points(SIX, knots) - SIX).max() < 1e-6


def test_the_far_neighbours_stay_where_they_are():
    low = (SIX - 64) * [0.6, 1.0] + 64
    source, knots = squash_maps(Squash((0.4, 0.3, 0.1), (0.2, 0.1, 0.0)), low, SIDE)
    for rows in (slice(0, 15), slice(-15, None)):
        assert np.abs(source[rows] - np.arange(SIDE)[rows, None]).max() < 1e-3
    far = np.array([[8.0, 60.0], [120.0, 60.0]])
    assert np.array_equal(squash_points(far, knots), far)


def test_where_the_disc_takes_up_a_wedge_the_neighbours_keep_their_shape_and_follow():
    squash = Squash((0.3, 0.15, 0.0), (0.1, 0.05, 0.0), taken_up=0.25, follows=0.8)
    source, knots = squash_maps(squash, SIX, SIDE)
    height = (SIX[5, 0] + SIX[3, 0] - SIX[0, 0] - SIX[2, 0]) / 2
    above = SIX[[0, 2]] - [[0.3 * height, 0], [0.3 * height, 0]]
    below = SIX[[5, 3]] + [[0.3 * height, 0], [0.3 * height, 0]]
    for neighbour, nearer in ((above, 1), (below, -1)):
        moves = (squash_points(neighbour, knots) - neighbour)[:, 0] * nearer
        assert moves[0] == pytest.approx(moves[1], abs=0.05)
        assert moves[0] > 0.02 * height
    inside = above + np.array([4.0, 0.0])
    for old, new in zip(inside, squash_points(inside, knots), strict=True):
        assert np.interp(new[0], np.arange(SIDE), source[:, round(new[1])]) == pytest.approx(old[0], abs=1.0)


def test_what_lies_beyond_never_runs_over_the_body():
    for seed in range(200):
        before, after = squash_maps(draw_squash(np.random.default_rng(seed), 0.6, 0.2), SIX, SIDE)[1]
        discs = [(each[1] - each[0], each[3] - each[2]) for each in (before, after)]
        for old, new in zip(*discs, strict=True):
            assert (new > 0.29 * old - 0.01).all()


def test_losses_of_both_endplates_add_up_to_at_most_half_the_height():
    for seed in range(300):
        squash = draw_squash(np.random.default_rng(seed))
        lost = np.add(squash.superior, squash.inferior)
        assert lost.min() > -0.25
        assert lost.max() < 0.51


def test_both_endplates_lose_height_as_often_and_bodies_gain_as_much_as_is_asked():
    drawn = [draw_squash(np.random.default_rng(seed), 0.6, 0.3) for seed in range(600)]
    superior, inferior = (
        np.array([getattr(squash, end) for squash in drawn]) for end in ("superior", "inferior")
    )
    assert 0.45 < (np.abs(superior).sum(axis=1) > np.abs(inferior).sum(axis=1)).mean() < 0.55
    change = (superior + inferior)[:, 0]
    assert -0.31 < change.min() < -0.2
    assert 0.5 < change.max() < 0.61


@pytest.mark.parametrize("seed", range(6))
def test_points_are_displaced_as_the_picture_is(seed):
    rng = np.random.default_rng(seed)
    field = elastic(rng, SIDE, 5.0)
    rows, cols = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for picture, moved in zip(dots(SIX), displaced_points(SIX, field), strict=True):
        warped = cv2.remap(picture, cols + field[1], rows + field[0], cv2.INTER_LINEAR)
        assert np.abs(seen(warped) - moved).max() < 0.35


def test_displacement_solves_its_own_equation():
    field = elastic(np.random.default_rng(1), SIDE, 5.0)
    moved = displaced_points(SIX, field)
    back = moved + np.column_stack([ndimage.map_coordinates(part, moved.T, order=1) for part in field])
    assert np.abs(back - SIX).max() < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_grey_stays_between_air_and_bone_and_is_drawn_by_the_generator_alone(seed):
    picture = np.clip(np.random.default_rng(9).random((64, 64)), 0, 1).astype(np.float32)
    kept = picture.copy()
    one, other = (vary_grey(picture, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    assert one.dtype == np.float32
    assert np.array_equal(picture, kept)


@pytest.mark.parametrize("seed", range(12))
def test_a_poor_film_stays_between_air_and_bone_and_keeps_its_bodies(seed):
    image = np.full((96, 96), 0.3, np.float32)
    image[30:66, 20:76] = 0.7
    before = image.copy()
    poor = degrade(image, np.random.default_rng(seed))
    assert poor.shape == image.shape
    assert poor.dtype == np.float32
    assert poor.min() >= 0
    assert poor.max() <= 1
    assert not np.array_equal(poor, image)
    assert np.array_equal(image, before)
    assert np.array_equal(poor, degrade(image, np.random.default_rng(seed)))
    # A body is still brighter than what surrounds it.
    assert poor[36:60, 30:66].mean() - poor[:20].mean() > 0.2
