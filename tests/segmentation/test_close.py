"""Facts about the close look: patches lie where they should, and what they show comes back exact."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vertebrometer.anatomy import SixPoints
from vertebrometer.phantom import phantom_of
from vertebrometer.segmentation.close import look_closely
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.segmentation.patches import (
    INFERIOR,
    PATCH_CHANNELS,
    PATCH_SIDE_PX,
    PATCHES_PER_DEPTH,
    patch_map,
    patches_of,
    points_in_patches,
    points_of_patches,
)

MIDDLE = (PATCH_SIDE_PX - 1) / 2


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(11, field="lumbar", pixel_mm=0.4)


@pytest.fixture(scope="module")
def whole(phantom):
    return [body.points for body in phantom.truth.bodies if body.whole]


def test_a_patch_is_centred_on_its_point_and_level_with_its_body(whole):
    six = whole[2]
    pose = pose_of(six)
    for number, point in enumerate(six.points_rc):
        to_patch = patch_map(pose, point, number)
        assert to_patch(point[None])[0] == pytest.approx([MIDDLE, MIDDLE])
        back = to_patch((point + pose.backward_rc)[None])[0] - MIDDLE
        assert back[0] == pytest.approx(0.0, abs=1e-9)
        assert back[1] > 0


def test_in_every_patch_the_disc_lies_above_and_the_body_below(whole):
    six = whole[2]
    pose = pose_of(six)
    for number, point in enumerate(six.points_rc):
        centre = patch_map(pose, point, number)(six.centre_rc[None])[0]
        assert centre[0] > MIDDLE, INFERIOR[number]


def test_patches_of_bodies_of_any_size_show_the_same_share_of_them(whole):
    small = SixPoints(whole[1].points_rc * 0.5)
    for six in (whole[1], small):
        pose = pose_of(six)
        lengths = [
            np.linalg.det(patch_map(pose, point, n).matrix) * pose.depth_px**2
            for n, point in enumerate(six.points_rc)
        ]
        assert np.abs(lengths) == pytest.approx([np.abs(lengths[0])] * 6)
        # 48 pixels are about two fifths of the depth.
        assert 0.35 < PATCH_SIDE_PX / np.sqrt(abs(lengths[0])) < 0.5


def test_the_wide_patch_shows_the_close_one_in_its_middle(phantom, whole):
    patches = patches_of(phantom.radiograph.image, pose_of(whole[2]), whole[2])
    assert patches.shape == (6 * PATCH_CHANNELS, PATCH_SIDE_PX, PATCH_SIDE_PX)
    for close, wide in zip(patches[::2], patches[1::2], strict=True):
        # 40 close pixels are 16 wide ones.
        shrunk = cv2.resize(close[4:44, 4:44], (16, 16), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shrunk.ravel(), wide[16:32, 16:32].ravel())[0, 1] > 0.9


def reading_of(points, sd_px=2.0):
    return FineReading(
        points=points,
        point_sd_px=np.full((6, 2), sd_px),
        contour_rc=points.points_rc,
        corners_found=True,
        broken=False,
        merged=False,
        is_body=1.0,
        level_log_chance=np.zeros(27),
        turned_log_chance=np.zeros(27),
        metal=0.0,
        cement=0.0,
        cut=0.0,
        pose=pose_of(points),
    )


def test_what_a_perfect_network_sees_in_patches_comes_back_exact(phantom, whole):
    rng = np.random.default_rng(1)
    told = [SixPoints(six.points_rc + rng.normal(0, 2.0, (6, 2))) for six in whole]
    pairs = zip(told, whole, strict=True)
    true = np.stack([points_in_patches(six.points_rc, pose_of(wrong), wrong) for wrong, six in pairs])
    seen = []

    def perfect(batch):
        first = sum(seen)
        seen.append(len(batch))
        return {"points": true[first : first + len(batch)]}

    found = look_closely(phantom.radiograph.image, [reading_of(six) for six in told], perfect)
    for reading, six in zip(found, whole, strict=True):
        assert np.abs(reading.points.points_rc - six.points_rc).max() < 0.01


def test_a_point_that_is_moved_far_is_less_sure(phantom, whole):
    def moved_down(batch):
        points = np.full((len(batch), 6, 2), MIDDLE)
        points[:, 0, 0] += 10.0
        return {"points": points}

    (found,) = look_closely(phantom.radiograph.image, [reading_of(whole[1])], moved_down)
    moved_px = 10.0 * pose_of(whole[1]).depth_px / PATCHES_PER_DEPTH
    assert np.linalg.norm(found.points.points_rc[0] - whole[1].points_rc[0]) == pytest.approx(moved_px)
    assert found.point_sd_px[0] == pytest.approx(np.full(2, np.sqrt(2.0**2 + moved_px**2 / 8)))
    assert found.point_sd_px[1:] == pytest.approx(np.full((5, 2), 2.0))


def test_the_outline_follows_its_points_and_most_where_they_are_near(phantom, whole):
    def front_moved_down(batch):
        points = np.full((len(batch), 6, 2), MIDDLE)
        points[:, 0, 0] += 5.0
        points[:, 5, 0] -= 5.0  # stands upside down
        return {"points": points}

    told = reading_of(whole[1])
    (found,) = look_closely(phantom.radiograph.image, [told], front_moved_down)
    moves = np.linalg.norm(found.contour_rc - told.contour_rc, axis=1)
    moved_px = 5.0 * pose_of(whole[1]).depth_px / PATCHES_PER_DEPTH
    assert moves[[0, 5]] == pytest.approx([moved_px] * 2, rel=0.02)
    assert (moves[[2, 3]] < 0.02 * moved_px).all()
    # Half-way up the front edge the outline goes with both.
    middle = told.points.points_rc[[0, 5]].mean(axis=0)
    (found,) = look_closely(
        phantom.radiograph.image, [replace(told, contour_rc=middle[None])], front_moved_down
    )
    assert 0.6 * moved_px < np.linalg.norm(found.contour_rc[0] - middle) < moved_px


def test_points_of_patches_that_are_in_their_middle_stay(whole):
    six = whole[0]
    stayed = points_of_patches(np.full((6, 2), MIDDLE), pose_of(six), six)
    assert stayed.points_rc == pytest.approx(six.points_rc)


def test_no_bodies_are_no_patches(phantom):
    assert look_closely(phantom.radiograph.image, [], lambda batch: {}) == []
