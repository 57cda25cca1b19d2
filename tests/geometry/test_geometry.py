"""Facts about changes of coordinates: there and back, and where the centre of a pixel is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from vertebrometer.geometry import Affine, Letterbox, angle_deg, distance, polygon_area

shapes = st.tuples(st.integers(1, 6000), st.integers(1, 6000))
points = hnp.arrays(float, (6, 2), elements=st.floats(-50, 6000))
affines = st.builds(
    lambda centre, to, turn, zoom, mirror: Affine.about(
        np.array(centre), np.array(to), turn_deg=turn, zoom=zoom, mirror=mirror
    ),
    st.tuples(st.floats(0, 4000), st.floats(0, 4000)),
    st.tuples(st.floats(0, 600), st.floats(0, 600)),
    st.floats(-180, 180),
    st.floats(0.05, 20),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(shape=shapes, side=st.integers(8, 2048), points_rc=points)
def test_a_letterbox_carries_points_there_and_back(shape, side, points_rc):
    box = Letterbox.fit(shape, side)
    assert np.abs(box.to_image(box.to_canvas(points_rc)) - points_rc).max() < 0.01


@settings(max_examples=200, deadline=None)
@given(shape=shapes, side=st.integers(8, 2048))
def test_the_whole_image_lies_inside_the_square_and_touches_it(shape, side):
    box = Letterbox.fit(shape, side)
    ends = box.to_canvas(np.array([[-0.5, -0.5], [shape[0] - 0.5, shape[1] - 0.5]]))
    assert ends.min() >= -0.5 - 1e-6
    assert ends.max() <= side - 0.5 + 1e-6
    assert (ends[1] - ends[0]).max() == pytest.approx(side)
    # Whole pixels of padding, so that the image is pasted and not shifted.
    assert box.offset_rc == tuple(np.round(box.offset_rc))


@settings(max_examples=100, deadline=None)
@given(shape=st.tuples(st.integers(100, 6000), st.integers(100, 6000)), side=st.integers(256, 1024))
def test_the_aspect_is_kept_to_a_pixel(shape, side):
    box = Letterbox.fit(shape, side)
    lengths = np.array(shape) * box.scale_rc
    assert np.abs(lengths - np.array(shape) * side / max(shape)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("shape", "side"), [((480, 310), 128), ((300, 420), 512), ((777, 333), 200)])
def test_the_half_pixel_is_that_of_the_resize(shape, side):
    true = np.array([0.37 * shape[0], 0.61 * shape[1]])
    r, c = np.mgrid[: shape[0], : shape[1]]
    width = 0.02 * max(shape)
    blob = np.exp(-((r - true[0]) ** 2 + (c - true[1]) ** 2) / (2 * width**2)).astype(np.float32)
    box = Letterbox.fit(shape, side)
    rows, cols = (round(n * s) for n, s in zip(shape, box.scale_rc, strict=True))
    how = cv2.INTER_AREA if side < max(shape) else cv2.INTER_LINEAR
    canvas = np.zeros((side, side), np.float32)
    top, left = map(int, box.offset_rc)
    canvas[top : top + rows, left : left + cols] = cv2.resize(blob, (cols, rows), interpolation=how)
    seen = np.array(ndimage.center_of_mass(canvas))
    assert np.abs(box.to_canvas(true[None])[0] - seen).max() < 0.02


@settings(max_examples=100, deadline=None)
@given(move=affines, points_rc=points)
def test_an_affine_map_knows_the_way_back(move, points_rc):
    assert np.abs(move.inverse()(move(points_rc)) - points_rc).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(first=affines, second=affines, points_rc=points)
def test_one_map_then_another_is_one_map(first, second, points_rc):
    assert np.allclose(first.then(second)(points_rc), second(first(points_rc)), rtol=1e-9, atol=1e-6)


def test_a_turn_takes_down_towards_right():
    turn = Affine.about(np.zeros(2), np.zeros(2), turn_deg=90.0)
    assert turn(np.array([1.0, 0.0])) == pytest.approx([0.0, 1.0])


def test_a_mirror_swaps_left_and_right_about_its_centre():
    mirror = Affine.about(np.array([5.0, 7.0]), np.array([5.0, 7.0]), mirror=True)
    assert mirror(np.array([[3.0, 6.0]])) == pytest.approx(np.array([[3.0, 8.0]]))


def test_opencv_moves_a_picture_as_the_map_moves_points():
    picture = np.zeros((80, 100), np.float32)
    picture[30, 40] = 1.0
    picture = cv2.GaussianBlur(picture, (0, 0), 2.0)
    move = Affine.about(np.array([40.0, 50.0]), np.array([45.0, 42.0]), turn_deg=20.0, zoom=1.3)
    moved = cv2.warpAffine(picture, move.as_cv2(), (100, 80))
    assert np.abs(np.array(ndimage.center_of_mass(moved)) - move(np.array([30.0, 40.0]))).max() < 0.05


def test_a_map_without_a_way_back_is_refused():
    with pytest.raises(ValueError, match="way back"):
        Affine(np.zeros((2, 2)), np.zeros(2))


def test_lengths_areas_and_angles():
    square = np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 4.0], [3.0, 0.0]])
    assert polygon_area(square) == polygon_area(square[::-1]) == pytest.approx(12)
    assert distance(square[0], square[2]) == pytest.approx(5)
    assert distance(square[0], square[2], (2.0, 1.0)) == pytest.approx(np.hypot(6, 4))
    assert angle_deg(np.array([1.0, 1.0])) == pytest.approx(45)
