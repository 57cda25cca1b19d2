"""Facts about the coarse stage: with perfect maps every body is found once, in order, facing its way."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from tests.segmentation.maps import box_maps, maps_of, matched
from vertebrometer.anatomy import Facing
from vertebrometer.phantom import draw_phantom, mirrored, truth_of
from vertebrometer.segmentation import coarse
from vertebrometer.segmentation.coarse import (
    CoarseFinding,
    CoarseLooks,
    FoundBody,
    chain,
    faced_alike,
    find_bodies,
    finding_of,
    first_impression,
    probability_maps,
    scale_fitness,
)
from vertebrometer.segmentation.frames import BodyPose, pose_of

PIXEL_MM = 0.6


def truths(count, **drawn):
    return [
        truth_of(draw_phantom(np.random.default_rng([n, 31]), pixel_mm=PIXEL_MM, **drawn))
        for n in range(count)
    ]


@pytest.mark.parametrize("blur_px", [0.0, 0.8])
def test_every_whole_body_of_every_field_is_found_once(blur_px):
    found, true, false = 0, 0, 0
    for truth in truths(20):
        finding = finding_of(*maps_of(truth, PIXEL_MM, blur_px=blur_px))
        places = matched(finding.bodies, truth)
        whole = [place for place, body in zip(places, truth.bodies, strict=True) if body.whole]
        found += sum(place is not None for place in whole)
        true += len(whole)
        named = [place for place in places if place is not None]
        assert len(named) == len(set(named))
        false += len(finding.bodies) - len(named)
    assert found == true
    assert false == 0


def test_bodies_come_from_the_top_with_their_poses():
    for truth in truths(8):
        finding = finding_of(*maps_of(truth, PIXEL_MM))
        rows = [body.pose.centre_rc[0] for body in finding.bodies]
        assert rows == sorted(rows)
        for place, body in zip(matched(finding.bodies, truth), truth.bodies, strict=True):
            if place is None or not body.whole:
                continue
            pose, seen = pose_of(body.points), finding.bodies[place].pose
            assert seen.backward_rc @ pose.backward_rc > np.cos(np.deg2rad(20))
            assert 0.75 < seen.depth_px / pose.depth_px < 1.3


def test_the_side_of_the_front_is_seen_and_turns_with_the_film():
    for truth in truths(8):
        sign = 1 if truth.facing is Facing.RIGHT else -1
        for one, wanted in ((truth, sign), (mirrored(truth), -sign)):
            finding = finding_of(*maps_of(one, PIXEL_MM))
            assert finding.front_right * wanted > 0.9


def test_the_sacrum_is_seen_where_it_is():
    truth = next(t for t in truths(20, field="lumbar") if t.s1_endplate_rc is not None)
    finding = finding_of(*maps_of(truth, PIXEL_MM))
    assert finding.sacrum_score > 0.8
    away = np.linalg.norm(finding.sacrum_rc - truth.s1_endplate_rc.mean(axis=0)) * PIXEL_MM
    assert away < 25
    without = finding_of(*maps_of(replace(truth, s1_endplate_rc=None), PIXEL_MM))
    assert without.sacrum_rc is None
    assert without.sacrum_score == 0


def test_two_bodies_that_touch_are_told_apart():
    finding = finding_of(*box_maps([(30, 40, 18, 22), (48, 40, 18, 22), (66, 40, 18, 22)]))
    assert [round(float(b.pose.centre_rc[0])) for b in finding.bodies] == [30, 48, 66]
    assert [b.height_px for b in finding.bodies] == pytest.approx([18] * 3, abs=1.5)


def test_two_bodies_whose_cores_are_joined_by_a_weak_bridge_are_told_apart():
    maps, view = box_maps([(30, 40, 18, 22), (50, 40, 18, 22)])
    maps[1, 34:47, 38:43] = np.maximum(maps[1, 34:47, 38:43], 0.55)
    assert len(finding_of(maps, view).bodies) == 2


def test_a_body_whose_core_is_dented_stays_one():
    maps, view = box_maps([(30, 40, 18, 22), (52, 40, 18, 22)])
    maps[1, :, 40] = np.minimum(maps[1, :, 40], 0.7)
    assert len(finding_of(maps, view).bodies) == 2


def test_a_speck_is_no_body():
    maps, view = box_maps([(30, 40, 18, 22), (52, 40, 18, 22)])
    maps[:3, 90:92, 10:11] = 1.0
    assert len(finding_of(maps, view).bodies) == 2


def test_empty_maps_hold_nothing():
    finding = finding_of(*box_maps([]))
    assert finding.bodies == ()
    assert finding.front_right == 0
    assert finding.sacrum_rc is None


def found_at(row, col, *, score=0.9, depth=20.0):
    pose = BodyPose(np.array([float(row), float(col)]), np.array([0.0, 1.0]), depth)
    return FoundBody(pose=pose, height_px=16.0, score=score, touches_border=False)


def test_what_stands_beside_the_spine_is_left_out_of_the_chain():
    column = [found_at(20 + 24 * n, 50 + 2 * n) for n in range(6)]
    beside = found_at(70, 110, score=0.8)
    kept = chain([beside, *column])
    assert [body.pose.centre_rc[0] for body in kept] == [body.pose.centre_rc[0] for body in column]


def test_a_gap_in_the_column_does_not_break_the_chain():
    column = [found_at(20 + 24 * n, 50) for n in (0, 1, 3, 4)]
    assert len(chain(column)) == 4


def test_one_body_that_seems_to_face_the_other_way_is_turned():
    maps, view = box_maps([(30, 40, 18, 22), (52, 40, 18, 22), (74, 40, 18, 22)])
    maps[2, 43:62] = maps[0, 43:62] * (np.arange(80) > 40)
    finding = faced_alike(finding_of(maps, view))
    assert len(finding.bodies) == 3
    assert all(body.pose.backward_rc[1] > 0 for body in finding.bodies)


def test_maps_are_padded_for_the_network_and_cut_back():
    seen = {}

    def network(batch):
        seen["shape"] = batch.shape
        return {"mask": np.repeat(batch, 4, axis=1)}

    maps = probability_maps(np.full((50, 37), 0.5, np.float32), network)
    assert seen["shape"] == (1, 1, 64, 48)
    assert maps.shape == (4, 50, 37)
    assert maps == pytest.approx(0.5)


def test_a_network_says_what_multiples_its_sides_must_have():
    class Network:
        multiple_of_px = 32
        shape = ()

        def __call__(self, batch):
            self.shape = batch.shape
            return {"mask": np.repeat(batch, 4, axis=1)}

    network = Network()
    assert probability_maps(np.zeros((50, 37), np.float32), network).shape == (4, 50, 37)
    assert network.shape == (1, 1, 64, 64)


def oracle(truth):
    """A network that answers with the truth, at whatever size it is asked."""

    def network(batch):
        rows, cols = batch.shape[2:]
        # The padding hides the true size; the scale follows from the longer side of the film.
        content = np.argwhere(batch[0, 0] != -2.0).max(axis=0) + 1
        scale = content[0] / truth.shape[0]
        maps, _ = maps_of(truth, scale * 1.5)
        out = np.zeros((4, rows, cols), np.float32)
        r, c = min(rows, maps.shape[1]), min(cols, maps.shape[2])
        out[:, :r, :c] = maps[:, :r, :c]
        return {"mask": ((out - 0.5) * 12)[None]}

    return network


@pytest.mark.parametrize("pixel_mm", [PIXEL_MM, None, 1.6])
def test_bodies_are_found_with_a_true_spacing_with_none_and_with_a_wrong_one(pixel_mm):
    truth = truths(1, field="dxa")[0]
    film = np.full(truth.shape, 0.5, np.float32)
    finding = find_bodies(CoarseLooks(film, oracle(truth)), pixel_mm=pixel_mm, coarse_mm=1.5)
    places = matched(finding.bodies, truth)
    assert all(place is not None for place, body in zip(places, truth.bodies, strict=True) if body.whole)


def counted(network):
    def look(batch):
        look.sizes.append(batch.shape[2:])
        return network(batch)

    look.sizes = []
    return look


def test_the_side_of_the_front_is_seen_without_a_look_at_every_scale():
    truth = truths(1, field="lumbar")[0]
    for own in (truth, mirrored(truth)):
        network = counted(oracle(own))
        looks = CoarseLooks(np.full(own.shape, 0.5, np.float32), network)
        seen = first_impression(looks, pixel_mm=None, coarse_mm=1.5)
        assert (seen.front_right > 0) == (own.facing is Facing.RIGHT)
        quick = len(network.sizes)
        find_bodies(looks, pixel_mm=None, coarse_mm=1.5)
        # What was looked at before is not looked at again.
        assert len(network.sizes) == len(set(network.sizes)) > quick


def test_where_little_is_found_at_first_sight_every_scale_is_looked_at():
    truth = truths(1, field="lumbar")[0]
    network = counted(oracle(replace(truth, bodies=())))
    looks = CoarseLooks(np.full(truth.shape, 0.5, np.float32), network)
    assert first_impression(looks, pixel_mm=None, coarse_mm=1.5).bodies == ()
    assert len(network.sizes) == 6


def row_of(depths, steps):
    """Bodies one below the other, the centres `steps` apart."""
    rows = np.cumsum([20.0, *steps])
    bodies = [
        FoundBody(
            pose=BodyPose(np.array([row, 60.0]), np.array([0.0, 1.0]), float(depth)),
            height_px=0.8 * depth,
            score=0.9,
            touches_border=False,
        )
        for row, depth in zip(rows, depths, strict=True)
    ]
    return CoarseFinding(bodies=tuple(bodies), front_right=-1.0, sacrum_rc=None, sacrum_score=0.0, scale=1.0)


def test_a_row_of_one_size_in_even_steps_suits_better_than_more_bodies_without_order():
    even = row_of([16, 17, 17, 18, 18, 19], [18, 18, 19, 20, 20])
    crushed = row_of([16, 17, 17, 18, 18, 19], [18, 15, 15, 20, 20])
    astray = row_of([12, 22, 15, 26, 14, 24, 13, 21], [9, 31, 12, 34, 9, 30, 11])
    assert scale_fitness(even) > 4.5
    assert scale_fitness(crushed) > 0.9 * scale_fitness(even)
    assert scale_fitness(astray) < 0.6 * scale_fitness(even)


def test_each_pixel_goes_to_its_nearest_seed_as_scipy_tells_it():
    for n in range(10):
        noise = np.random.default_rng(n).normal(size=(120, 90)).astype(np.float32)
        core = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 1, cv2.NORM_MINMAX)
        seeds = coarse._seeds(core)
        rows, cols = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        regions = coarse._regions(core + 0.1, seeds)
        assert (regions[seeds > 0] == seeds[seeds > 0]).all()
        assert (regions == seeds[rows, cols])[regions > 0].all()
        assert (regions > 0).sum() > (seeds > 0).sum()


def test_another_scale_is_taken_only_where_the_judge_finds_it_clearly_worth_more():
    likely = [row_of([16] * count, [18] * (count - 1)) for count in (4, 5, 6)]
    told = []

    def judge_by(*worth):
        def judge(finding, least):
            told.append(least)
            return worth[len(finding.bodies) - 4]

        return judge

    assert coarse._chosen(likely, judge_by(2.0, 2.9, 3.0)) is likely[0]
    assert told == [0.0, 3.0, 3.0]
    assert coarse._chosen(likely, judge_by(2.0, 3.1, 3.0)) is likely[1]
    assert coarse._chosen(likely, judge_by(2.0, 3.1, 3.2)) is likely[2]
