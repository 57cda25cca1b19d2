"""Facts about crops: every body lies in them alike, whatever film it is on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertebrometer.anatomy import SixPoints
from vertebrometer.phantom import mirrored, phantom_of
from vertebrometer.segmentation.frames import (
    CROP_SIDE_PX,
    DEPTH_SHARE,
    BodyPose,
    crop_map,
    crop_of,
    downward,
    normalised,
    pose_of,
)


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(11, field="lumbar", pixel_mm=0.5)


def box(turn_deg, *, facing_right, centre=(200.0, 150.0), depth=60.0, height=40.0):
    angle = np.deg2rad(turn_deg)
    down, right = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    front = right if facing_right else -right
    across, along = depth / 2 * front, height / 2 * down
    centre = np.array(centre)
    corners = [
        centre + across - along,
        centre - across - along,
        centre - across + along,
        centre + across + along,
    ]
    return SixPoints.from_corners(np.array(corners))


@settings(max_examples=60, deadline=None)
@given(turn=st.floats(-60, 60), right=st.booleans(), depth=st.floats(20, 400))
def test_in_a_crop_the_body_lies_level_with_its_front_on_the_left(turn, right, depth):
    points = box(turn, facing_right=right, depth=depth, height=0.7 * depth)
    crop = crop_map(pose_of(points))(points.points_rc)
    middle = (CROP_SIDE_PX - 1) / 2
    half = DEPTH_SHARE * CROP_SIDE_PX / 2
    sa, _, sp, ip, _, ia = crop
    assert crop.mean(axis=0) == pytest.approx([middle, middle])
    assert [sa[1], ia[1]] == pytest.approx([middle - half] * 2)
    assert [sp[1], ip[1]] == pytest.approx([middle + half] * 2)
    assert [sa[0], sp[0]] == pytest.approx([middle - 0.7 * half] * 2)
    assert [ia[0], ip[0]] == pytest.approx([middle + 0.7 * half] * 2)


@settings(max_examples=60, deadline=None)
@given(angle=st.floats(-75, 75), right=st.booleans())
def test_downward_is_across_the_depth_and_down_the_film(angle, right):
    back = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle)) * (1 if right else -1)])
    down = downward(back)
    assert down @ back == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(down) == pytest.approx(1)
    assert down[0] > 0


def test_a_film_and_its_mirror_image_give_the_same_crops(phantom):
    turned = mirrored(phantom.truth)
    image = phantom.radiograph.image
    for one, other in zip(phantom.truth.bodies, turned.bodies, strict=True):
        first = crop_of(image, crop_map(pose_of(one.points)))
        second = crop_of(np.ascontiguousarray(image[:, ::-1]), crop_map(pose_of(other.points)))
        # OpenCV places samples to 1/32 pixel, which is all that may differ.
        assert np.abs(first - second).mean() < 0.004


def test_points_of_a_crop_lie_where_the_picture_has_them():
    film = np.zeros((300, 300), np.float32)
    film[140:171, 100:201] = 1.0
    points = SixPoints.from_corners(np.array([[139.5, 99.5], [139.5, 200.5], [170.5, 200.5], [170.5, 99.5]]))
    to_crop = crop_map(pose_of(points))
    crop = crop_of(film, to_crop)
    found = to_crop(points.corners_rc)
    top, left = found[0]
    bottom, right = found[2]
    row, col = crop[:, 64], crop[64]
    # Where the picture crosses one half, between the centres of two pixels.
    edges = [np.interp(0.5, row[20:64], np.arange(20, 64)), np.interp(0.5, col[10:64], np.arange(10, 64))]
    assert edges == pytest.approx([top, left], abs=0.1)
    assert np.interp(0.5, row[64:110][::-1], np.arange(64, 110)[::-1]) == pytest.approx(bottom, abs=0.1)
    assert np.interp(0.5, col[64:120][::-1], np.arange(64, 120)[::-1]) == pytest.approx(right, abs=0.1)


def test_another_look_is_shifted_turned_and_zoomed_as_asked():
    pose = pose_of(box(10, facing_right=False))
    moved = pose.moved(shift=(0.5, 0.25), turn_deg=15.0, zoom=2.0)
    step = (moved.centre_rc - pose.centre_rc) / pose.depth_px
    assert step @ downward(pose.backward_rc) == pytest.approx(0.5)
    assert step @ pose.backward_rc == pytest.approx(0.25)
    assert moved.backward_rc @ pose.backward_rc == pytest.approx(np.cos(np.deg2rad(15)))
    assert moved.depth_px == pytest.approx(pose.depth_px / 2)


def test_normalised_crops_have_mean_0_and_sd_1(phantom):
    pose = BodyPose(np.array([200.0, 150.0]), np.array([0.0, 1.0]), 80.0)
    crop = normalised(crop_of(phantom.radiograph.image, crop_map(pose)))
    assert crop.mean() == pytest.approx(0, abs=1e-4)
    assert crop.std() == pytest.approx(1, abs=0.01)
    assert np.abs(normalised(np.full((8, 8), 0.3, np.float32))).max() < 0.01
