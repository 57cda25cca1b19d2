"""Facts about the part of a film that shows something."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vertebrometer.segmentation.field import OpenField, open_field


@pytest.fixture(scope="module")
def film():
    """A film whose lines all have many greys."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(size=(600, 400)), (0, 0), 8)
    return np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)


def sides_of(image):
    field = open_field(image)
    beyond = np.array(image.shape) - 1 - field.high_rc
    return tuple(int(side) for pair in zip(field.low_rc, beyond, strict=True) for side in pair)


@pytest.mark.parametrize("grey", [0.0, 1.0])
@pytest.mark.parametrize("sides", [(30, 0, 0, 0), (0, 45, 0, 0), (20, 31, 12, 50)])
def test_what_a_collimator_or_padding_covers_is_no_part_of_the_field(film, sides, grey):
    top, bottom, left, right = sides
    padded = np.pad(film, ((top, bottom), (left, right)), constant_values=grey)
    assert sides_of(padded) == sides


def test_letters_over_a_covered_part_do_not_open_it(film):
    ink = np.zeros((80, 400), np.uint8)
    cv2.putText(ink, "L", (300, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 3)
    assert sides_of(np.vstack([ink.astype(np.float32) / 255, film])) == (80, 0, 0, 0)


def test_a_covered_part_that_was_compressed_with_losses_is_found(film):
    padded = np.pad(film, ((80, 0), (0, 0)))
    _, stored = cv2.imencode(".jpg", np.round(padded * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])
    read = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    # The last block of pixels rings.
    assert 70 <= sides_of(read)[0] <= 80


@pytest.mark.parametrize("grey", [0.0, 0.4])
def test_a_film_of_one_grey_is_open_everywhere(grey):
    field = open_field(np.full((40, 30), grey, np.float32))
    np.testing.assert_array_equal(field.low_rc, [0, 0])
    np.testing.assert_array_equal(field.high_rc, [39, 29])


def test_how_far_points_lie_inside():
    field = OpenField(np.array([10.0, 20.0]), np.array([100.0, 60.0]))
    assert field.inside_px(np.array([[50.0, 30.0], [95.0, 40.0]])) == 5.0
    assert field.inside_px(np.array([50.0, 63.0])) == -3.0
