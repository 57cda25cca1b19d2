from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vertebrometer.errors import SettingsError
from vertebrometer.preprocess import Preprocessed, clahe, prepare

shapes = st.tuples(st.integers(3, 400), st.integers(3, 400))


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes, side=st.integers(16, 600), points=hnp.arrays(float, (5, 2), elements=st.floats(-0.5, 400))
)
def test_points_go_there_and_back_to_less_than_a_hundredth_of_a_pixel(shape, side, points):
    letterbox = prepare(np.zeros(shape, np.float32), side).letterbox
    assert np.abs(letterbox.to_image(letterbox.to_canvas(points)) - points).max() < 0.01


@settings(max_examples=60, deadline=None)
@given(shape=shapes, side=st.integers(16, 600))
def test_the_whole_image_lies_inside_the_square_and_fills_its_own_part(shape, side):
    done = prepare(np.ones(shape, np.float32), side)
    ends = done.letterbox.to_canvas(np.array([[-0.5, -0.5], [shape[0] - 0.5, shape[1] - 0.5]]))
    assert ends.min() >= -0.5 - 1e-9
    assert ends.max() <= side - 0.5 + 1e-9
    (top, left), (bottom, right) = np.rint(ends + 0.5).astype(int)
    assert done.image[top:bottom, left:right].min() == pytest.approx(1)
    assert done.image.sum() == pytest.approx((bottom - top) * (right - left), rel=1e-5)


@pytest.mark.parametrize("side", [128, 512, 900])
@pytest.mark.parametrize("centre_rc", [(150.3, 91.7), (333.25, 240.5)])
def test_the_half_pixel_convention_is_that_of_the_resize(side, centre_rc):
    r, c = np.mgrid[:480, :310]
    blob = np.exp(-((r - centre_rc[0]) ** 2 + (c - centre_rc[1]) ** 2) / (2 * 12**2)).astype(np.float32)
    done = prepare(blob, side)
    r, c = np.mgrid[:side, :side]
    found = np.array([(done.image * r).sum(), (done.image * c).sum()]) / done.image.sum()
    np.testing.assert_allclose(found, done.letterbox.to_canvas(np.array([centre_rc]))[0], atol=0.01)


def test_shrinking_averages_over_areas():
    # A cortex of one pixel in eight must not fall between samples.
    stripes = np.zeros((512, 512), np.float32)
    stripes[::8] = 1
    np.testing.assert_allclose(prepare(stripes, 64).image, 1 / 8, atol=1e-6)


def test_the_square_is_padded_with_zeros_on_both_sides():
    image = prepare(np.ones((400, 200), np.float32), 512).image
    assert image[:, :128].max() == 0
    assert image[:, 384:].max() == 0
    assert image[:, 128:384].min() == pytest.approx(1)


def test_clahe_is_opencvs_on_256_levels():
    rng = np.random.default_rng(0)
    film = rng.random((160, 120), dtype=np.float32)
    coded = np.rint(film * 255).astype(np.uint8)
    wanted = cv2.createCLAHE(2.0, (8, 8)).apply(coded) / 255
    np.testing.assert_allclose(clahe(film), wanted, atol=1e-6)


def test_clahe_raises_local_contrast_and_stays_within_bounds():
    r, c = np.mgrid[:256, :256]
    film = (r / 512 + 0.02 * np.sin(c / 4) + 0.1).astype(np.float32)
    evened = clahe(film)
    assert evened.dtype == np.float32
    assert evened.min() >= 0
    assert evened.max() <= 1
    assert evened[128].std() > 2 * film[128].std()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_clahe_does_not_wash_out_films_of_few_bits(bits):
    # A tile has far fewer pixels than 16 bits have levels: on those, OpenCV turned this film nearly white.
    rng = np.random.default_rng(1)
    film = np.clip(0.7 + 0.15 * rng.standard_normal((1200, 500)), 0, 1)
    stored = (np.round(film * (2**bits - 1)) / (2**bits - 1)).astype(np.float32)
    assert 0.3 < np.median(clahe(stored)) < 0.8


def test_clahe_leaves_its_argument_alone():
    film = np.full((64, 64), 0.5, np.float32)
    film.setflags(write=False)
    clahe(film)
    assert (film == 0.5).all()


@pytest.mark.parametrize(("clip", "tiles"), [(0, 8), (-1, 8), (2, 0)])
def test_clahe_refuses_settings_that_mean_nothing(clip, tiles):
    with pytest.raises(SettingsError, match="clip limit"):
        clahe(np.zeros((64, 64), np.float32), clip_limit=clip, tiles=tiles)


def test_a_square_is_a_square():
    letterbox = prepare(np.zeros((64, 64), np.float32), 32).letterbox
    with pytest.raises(ValueError, match="square"):
        Preprocessed(np.zeros((32, 31), np.float32), letterbox)
    with pytest.raises(SettingsError):
        prepare(np.zeros((64, 64), np.float32), 0)
