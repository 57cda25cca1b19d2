"""Facts about corners read from masks: the paper's figure 5, and our own between the pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertebrometer.anatomy import NotMeasured, Reason
from vertebrometer.compression.contour import figure_five, fine_outline, subpixel_points, vertices_of
from vertebrometer.morphometry import heights
from vertebrometer.training.bank import polygon_mask

SHAPE = (200, 120)


def corners(top, anterior, posterior, *, left=40.0, depth=34.0):
    """Front on the left; superior anterior, superior posterior, inferior posterior, inferior anterior."""
    return np.array(
        [[top, left], [top, left + depth], [top + posterior, left + depth], [top + anterior, left]]
    )


def turned(points, degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array(SHAPE) / 2
    return (points - middle) @ turn.T + middle


def spine(*anteriors, degrees=0.0):
    return [turned(corners(30 + 40 * n, h, 30.0), degrees) for n, h in enumerate(anteriors)]


def share(points):
    return polygon_mask(points, SHAPE)


def test_vertices_are_the_corners_of_a_body():
    found = vertices_of(share(corners(30, 24, 30)) >= 0.5)
    true = corners(30, 24, 30)
    for corner in true:
        assert np.linalg.norm(found.vertices_rc - corner, axis=1).min() < 1.5
    assert found.centre_rc == pytest.approx([43.5, 57.5], abs=1.5)


def test_figure_five_measures_the_body_in_the_middle():
    masks = [share(points) >= 0.5 for points in spine(30, 24, 30)]
    found = figure_five(masks)
    assert found.percent == pytest.approx(20.0, abs=3.0)
    assert (found.left_rc[..., 1] < 50).all()
    assert (found.right_rc[..., 1] > 60).all()
    assert found.heights_px == pytest.approx((29, 23, 29), abs=1.1)


def test_figure_five_follows_a_tilted_spine():
    masks = [share(points) >= 0.5 for points in spine(30, 21, 30, degrees=18)]
    assert figure_five(masks).percent == pytest.approx(30.0, abs=4.5)


def test_a_negative_compression_stays_negative():
    masks = [share(points) >= 0.5 for points in spine(24, 30, 24)]
    assert figure_five(masks).percent < -15


def test_a_body_of_a_few_pixels_has_no_corners():
    masks = [share(points) >= 0.5 for points in spine(30, 24, 30)]
    masks[1] = np.zeros(SHAPE, dtype=bool)
    masks[1][80:83, 50:53] = True
    assert figure_five(masks) == NotMeasured(Reason.CORNERS_NOT_FOUND)


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(-25, 25), anterior=st.floats(14, 32), shift=st.floats(0, 1))
def test_corners_are_found_between_the_pixels(degrees, anterior, shift):
    true = turned(corners(70, anterior, 30.0), degrees) + shift
    down = turned(np.array([[1.0, 0.0]]), degrees)[0] - turned(np.array([[0.0, 0.0]]), degrees)[0]
    found = subpixel_points(share(true), down)
    assert np.abs(found.corners_rc - true).max() < 1.5
    assert heights(found).anterior_px == pytest.approx(anterior, abs=1.3)


@settings(max_examples=15, deadline=None)
@given(degrees=st.floats(-20, 20), anterior=st.floats(15, 32))
def test_what_corners_lack_in_height_cancels_in_the_compression(degrees, anterior):
    down = turned(np.array([[1.0, 0.0]]), degrees)[0] - turned(np.array([[0.0, 0.0]]), degrees)[0]
    h1, h2, h3 = (
        heights(subpixel_points(share(points), down)).anterior_px
        for points in spine(30, anterior, 30, degrees=degrees)
    )
    assert 100 * (1 - h2 / ((h1 + h3) / 2)) == pytest.approx(100 * (1 - anterior / 30), abs=3.0)


def test_the_middle_of_a_concave_endplate_lies_inside():
    box = corners(60, 30, 30)
    dented = np.array([box[0], [66.0, 57.0], box[1], box[2], [84.0, 57.0], box[3]])
    found = subpixel_points(share(dented), np.array([1.0, 0.0]))
    assert heights(found).middle_px == pytest.approx(18, abs=1.0)
    assert heights(found).anterior_px == pytest.approx(30, abs=1.5)


def test_the_outline_of_a_soft_mask_lies_where_half_a_pixel_is_filled():
    outline = fine_outline(share(corners(60.25, 30, 30)))
    assert outline[:, 0].min() == pytest.approx(60.25, abs=0.2)


def test_nothing_has_no_corners():
    assert subpixel_points(np.zeros(SHAPE, np.float32), np.array([1.0, 0.0])) is None
