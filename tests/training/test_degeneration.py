"""Facts about worn discs in the picture: the body in view stays, what lies beyond the disc moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from vertebrometer.phantom import phantom_of
from vertebrometer.segmentation.frames import crop_map, pose_of
from vertebrometer.training.bank import bank_film
from vertebrometer.training.degeneration import (
    LEAST_LEFT,
    DiscPlace,
    Sclerosis,
    WornDisc,
    beyond,
    density,
    draw_crest,
    draw_worn_disc,
)
from vertebrometer.training.sources import BodySource, FilmChoice, discs_of, sampled

pytestmark = pytest.mark.torch

SIDE = 128
ROWS, COLS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
BELOW = DiscPlace(
    own=np.array([[80.0, 36.0], [84.0, 92.0]]), other=np.array([[98.0, 38.0], [94.0, 94.0]]), below=True
)
"""Endplate of the body from (80, 36) to (84, 92), that of the body below from (98, 38) to (94, 94)."""
ABOVE = DiscPlace(
    own=np.array([[44.0, 36.0], [46.0, 92.0]]), other=np.array([[30.0, 36.0], [34.0, 92.0]]), below=False
)
NARROW = WornDisc((0.6, 0.6), 0.0, None, None)


@pytest.fixture(scope="module")
def film():
    phantom = phantom_of(5, field="lumbar", pixel_mm=0.6)
    return bank_film(phantom.radiograph, phantom.truth, pixel_mm=0.6, group="phantom")


@pytest.mark.parametrize("place", [BELOW, ABOVE])
def test_the_body_and_all_on_its_side_of_the_disc_stay(place):
    moved = beyond(WornDisc((0.9, 0.4), 0.3, None, None), place, ROWS, COLS)
    front, back = place.own
    endplate = front[0] + (COLS - front[1]) * (back[0] - front[0]) / (back[1] - front[1])
    own_side = (endplate - ROWS) * (1 if place.below else -1) >= 0
    assert not moved[:, own_side].any()
    assert moved[:, ~own_side].any()


@pytest.mark.parametrize("place", [BELOW, ABOVE])
def test_a_narrowed_disc_keeps_what_it_did_not_lose(place):
    # Where the endplate beyond the disc is shown now: where its old place is sampled from.
    for end in (0, 1):
        col = np.float32(place.own[end, 1])
        rows = np.arange(0, SIDE, 0.05, dtype=np.float32)
        old = rows + beyond(NARROW, place, rows, np.full_like(rows, col))[0]
        slope = (place.other[1, 0] - place.other[0, 0]) / (place.other[1, 1] - place.other[0, 1])
        outer = place.other[0, 0] + (col - place.other[0, 1]) * slope
        now = rows[np.argmin(np.abs(old - outer))]
        assert abs(now - place.own[end, 0]) == pytest.approx(0.4 * abs(outer - place.own[end, 0]), abs=0.1)


def test_what_lies_beyond_moves_as_a_whole():
    down, back = beyond(WornDisc((0.5, 0.5), 0.25, None, None), BELOW, ROWS[110:, 40:90], COLS[110:, 40:90])
    assert np.ptp(down, axis=0) == pytest.approx(0, abs=1e-4)
    assert back == pytest.approx(-0.25 * np.hypot(4, 56), abs=1e-4)


def test_no_disc_is_lost_however_worn():
    moved = beyond(WornDisc((5.0, 5.0), 0.0, None, None), BELOW, ROWS, COLS)
    old = ROWS + moved[0]
    # The picture never folds over: what was lower stays lower.
    assert (np.diff(old, axis=0) > 0).all()
    over_the_body = moved[0][:, 36:93]
    assert over_the_body.max() == pytest.approx((1 - LEAST_LEFT) * 18, abs=0.5)


def test_dense_bands_lie_in_the_bone_on_either_side_of_the_disc():
    band = Sclerosis(gain=1.0, thickness=0.1, middle=0.5, breadth=0.8)
    bright = density(WornDisc((0.0, 0.0), 0.0, band, band), BELOW, ROWS, COLS)
    column = bright[:, 64]
    assert column[[79, 99]].min() > 0.5
    assert column[[86, 90]].max() < 0.05
    assert column[60] < 0.1 < column[76]
    assert bright[:, [20, 110]].max() < 1e-6


def test_an_own_band_alone_leaves_the_other_endplate_as_it_is():
    band = Sclerosis(gain=1.0, thickness=0.1, middle=0.5, breadth=0.8)
    bright = density(WornDisc((0.0, 0.0), 0.0, band, None), BELOW, ROWS, COLS)
    assert bright[76:80, 64].min() > 0.3
    assert bright[92:].max() < 1e-3


def test_discs_are_drawn_narrowed_slipped_and_dense():
    rng = np.random.default_rng(3)
    drawn = [draw_worn_disc(rng) for _ in range(400)]
    loss = np.array([disc.loss for disc in drawn])
    assert loss.max() <= 1 - LEAST_LEFT
    assert loss.min() >= -0.2
    assert np.median(loss) > 0.4
    assert 0.3 < np.mean([disc.slip != 0 for disc in drawn]) < 0.6
    assert 0.4 < np.mean([disc.own is not None for disc in drawn]) < 0.7


def test_a_crest_is_a_narrow_border(film):
    crest = draw_crest(np.random.default_rng(2), SIDE, (SIDE, SIDE))
    assert crest.shape == (SIDE, SIDE)
    steep = np.hypot(*np.gradient(crest))
    assert np.count_nonzero(steep > 0.3 * steep.max()) < 0.15 * SIDE**2


def test_discs_of_a_film_lie_between_their_bodies(film):
    bodies = film.truth.bodies
    for number, body in enumerate(bodies):
        if not body.whole:
            continue
        to_crop = crop_map(pose_of(body.points), SIDE)
        places = discs_of(film, body, to_crop)
        expected = (number > 0) + (number + 1 < len(bodies) or film.truth.s1_endplate_rc is not None)
        assert len(places) == expected
        for place in places:
            assert place.own[0, 1] < place.own[1, 1]
            gap = (place.other - place.own)[:, 0].mean()
            assert gap > 0 if place.below else gap < 0


def test_the_body_looks_the_same_between_worn_discs(film):
    body = next(b for b in film.truth.bodies if b.level == "L3")
    to_crop = crop_map(pose_of(body.points), SIDE)
    discs = [(NARROW, place) for place in discs_of(film, body, to_crop)]
    plain, worn = sampled(film.image, to_crop, SIDE), sampled(film.image, to_crop, SIDE, discs=discs)
    six = to_crop(body.points.points_rc)
    high, low = int(six[:3, 0].max()) + 1, int(six[3:, 0].min()) - 1
    left, right = int(six[[0, 5], 1].max()), int(six[[2, 3], 1].min())
    assert np.abs(worn - plain)[high:low, left:right].max() < 1e-6
    assert np.abs(worn - plain).max() > 0.05


def test_samples_with_worn_discs_ask_for_the_same_points(film):
    choose = FilmChoice([film], {"phantom": 1.0})
    still = {"negatives": 0.0, "squash_rate": 0.0, "upside_down": 0.0}
    source = BodySource(choose, worn=1.0, crests=1.0, **still)
    for seed in range(6):
        sample = source.sample(np.random.default_rng(seed))
        plain = replace(source, worn=0.0, crests=0.0).sample(np.random.default_rng(seed))
        assert np.array_equal(sample["points"], plain["points"])
        assert np.isfinite(sample["image"]).all()
        assert not np.allclose(sample["image"], plain["image"], atol=0.05)
