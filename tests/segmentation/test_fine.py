"""Facts about the fine stage: what a perfect network says of crops comes back exact in film pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.segmentation.maps import filled, maps_of
from vertebrometer.anatomy import LEVELS, Facing, Reason, SixPoints
from vertebrometer.evaluation.rasters import overlap
from vertebrometer.phantom import mirrored, phantom_of
from vertebrometer.segmentation import bodies, fine, segment
from vertebrometer.segmentation.bodies import plausible
from vertebrometer.segmentation.coarse import faced_alike, finding_of
from vertebrometer.segmentation.fine import FineLooks, outline_of, read_bodies
from vertebrometer.segmentation.frames import CROP_SIDE_PX, crop_of, normalised, pose_of


def ellipse(centre, axes, turn_deg, count=400):
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    a = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return np.array(centre) + np.column_stack([axes[0] * np.sin(t), axes[1] * np.cos(t)]) @ turn.T


def away_from(points, outline):
    """Distance of each point to a dense closed outline."""
    return np.linalg.norm(points[:, None] - outline[None], axis=2).min(axis=1)


@pytest.mark.parametrize("turn", [0, 20, 45])
@pytest.mark.parametrize("centre", [(63.5, 63.5), (60.2, 66.7)])
def test_outlines_of_soft_masks_are_right_to_a_fifth_of_a_pixel(centre, turn):
    true = ellipse(centre, (20, 28), turn)
    fine_side = CROP_SIDE_PX * 2
    mask = filled((true + 0.5) * 2 - 0.5, (fine_side, fine_side))
    mask = cv2.GaussianBlur(mask, (0, 0), 2.0)
    outline = outline_of(mask, six_in(20, 28))
    found = outline.contour_rc
    assert (outline.found, outline.broken, outline.merged) == (True, False, False)
    assert away_from(found, ellipse(centre, (20, 28), turn, 4000)).max() < 0.2
    assert away_from(true, found).max() < 2.5  # all the way round


def six_in(half_height, half_depth, centre=(63.5, 63.5)):
    """Six points of a box of about the area of an ellipse with these half axes."""
    h, d = 0.886 * half_height, 0.886 * half_depth
    return np.array([[-h, -d], [-h, 0], [-h, d], [h, d], [h, 0], [h, -d]]) + centre


def soft_mask(*ellipses):
    """Mask of ellipses given in crop pixels, twice as fine as the crop."""
    masks = [
        filled((ellipse(centre, axes, 0) + 0.5) * 2 - 0.5, (2 * CROP_SIDE_PX,) * 2)
        for centre, axes in ellipses
    ]
    return np.maximum.reduce(masks)


def test_a_speck_beside_the_body_does_not_matter():
    outline = outline_of(soft_mask(((63.5, 63.5), (18, 28)), ((110, 15), (4, 4))), six_in(18, 28))
    assert np.abs(outline.contour_rc.mean(axis=0) - 63.5).max() < 0.5
    assert not outline.broken


def test_a_mask_in_two_large_parts_is_a_broken_body():
    halves = soft_mask(((63.5, 48), (18, 12)), ((63.5, 79), (18, 12)))
    assert outline_of(halves, six_in(18, 28)).broken


def test_a_mask_over_two_bodies_is_merged():
    both = soft_mask(((63.5, 63.5), (18, 28)), ((95, 63.5), (18, 28)))
    outline = outline_of(both, six_in(18, 28))
    assert outline.merged
    assert not outline.broken


def test_without_a_mask_the_points_stand_for_the_outline():
    points = six_in(18, 28)
    outline = outline_of(np.zeros((256, 256), np.float32), points)
    assert np.array_equal(outline.contour_rc, points)
    assert not outline.found


class Oracle:
    """A point network that knows the truth, because it sees which crop is asked for."""

    def __init__(self, truth, *, noise_px=0.0, dim=()):
        self.truth, self.maps, self.noise_px, self.dim = truth, [], noise_px, dim
        self.rng = np.random.default_rng(0)

    def crop_of(self, image, to_crop, side_px=CROP_SIDE_PX):
        crop = crop_of(image, to_crop, side_px)
        self.maps.append((to_crop, crop))
        return crop

    def __call__(self, batch):
        maps, self.maps = self.maps[: len(batch)], self.maps[len(batch) :]
        out = [
            self.answer(to_crop) if np.allclose(shown[0], normalised(crop)) else self.upside_down(to_crop)
            for shown, (to_crop, crop) in zip(batch, maps, strict=True)
        ]
        return {name: np.stack([one[name] for one in out]).astype(np.float32) for name in out[0]}

    def upside_down(self, to_crop):
        """Where the crop was turned over, so are the points and the mask; of the level nothing is known."""
        out = self.answer(to_crop)
        points = out["points"][::-1].copy()
        points[:, 0] = CROP_SIDE_PX - 1 - points[:, 0]
        return out | {"points": points, "mask": out["mask"][:, ::-1], "level": np.roll(out["level"], 9)}

    def answer(self, to_crop):
        middle = to_crop.inverse()(np.full(2, (CROP_SIDE_PX - 1) / 2))
        pose = [pose_of(body.points) for body in self.truth.bodies]
        away = [np.linalg.norm(p.centre_rc - middle) / p.depth_px for p in pose]
        body = self.truth.bodies[int(np.argmin(away))]
        side = CROP_SIDE_PX // 2
        outline = (to_crop(body.contour_rc) + 0.5) / 2 - 0.5
        level = np.full(len(LEVELS), -3.0)
        level[LEVELS.index(body.level)] = 3.0
        return {
            "points": to_crop(body.points.points_rc) + self.rng.normal(0, self.noise_px, (6, 2)),
            "spread": np.full((6, 2), 7.0 if body.level in self.dim else -2.0),
            "mask": (filled(outline, (side, side))[None] - 0.5) * 12,
            "body": np.float32(5.0 if min(away) < 0.3 else -5.0),
            "level": level,
            "flags": np.array([-5.0, -5.0, -5.0 if body.whole else 5.0]),
        }


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(11, field="lumbar", pixel_mm=0.4)


@pytest.fixture
def oracle(phantom, monkeypatch):
    net = Oracle(phantom.truth)
    monkeypatch.setattr(fine, "crop_of", net.crop_of)
    return net


def test_points_seen_in_several_views_come_back_exact_from_a_wrong_start(phantom, oracle):
    whole = [body for body in phantom.truth.bodies if body.whole]
    starts = [pose_of(b.points).moved(shift=(0.1, -0.1), turn_deg=8, zoom=1.15) for b in whole]
    for body, reading in zip(whole, read_bodies(phantom.radiograph.image, starts, oracle), strict=True):
        assert np.abs(reading.points.points_rc - body.points.points_rc).max() < 0.01
        assert overlap(reading.contour_rc, body.contour_rc) > 0.96
        assert reading.is_body > 0.99
        assert int(np.argmax(reading.level_log_chance)) == LEVELS.index(body.level)


def test_views_that_disagree_widen_the_spread(phantom, monkeypatch):
    spreads = []
    body = phantom.truth.bodies[3]
    for noise in (0.0, 3.0):
        net = Oracle(phantom.truth, noise_px=noise)
        monkeypatch.setattr(fine, "crop_of", net.crop_of)
        (reading,) = read_bodies(phantom.radiograph.image, [pose_of(body.points)], net)
        spreads.append(reading.point_sd_px.mean())
    assert spreads[1] > 1.5 * spreads[0] > 0


def test_nothing_to_read_is_nothing_read(phantom, oracle):
    assert read_bodies(phantom.radiograph.image, [], oracle) == []


def test_no_pose_is_glanced_at_twice(phantom, oracle):
    seen = []

    def counted(batch):
        seen.append(len(batch))
        return oracle(batch)

    looks = FineLooks(phantom.radiograph.image, counted)
    poses = [pose_of(body.points) for body in phantom.truth.bodies[1:4]]
    first = looks.glances(poses[:2])
    assert looks.glances(poses)[:2] == first
    looks.readings(poses)
    # The glance counts as one of the views of a body, and two are spared where it is plain.
    assert seen == [2, 1, 3 * 3]


@pytest.mark.parametrize(
    ("off", "anew"), [({"shift": (0.05, 0.05)}, 0), ({"shift": (0.3, 0.0)}, 1), ({"zoom": 1.2}, 1)]
)
def test_a_body_is_looked_at_anew_where_the_glance_was_far_off(phantom, oracle, off, anew):
    seen = []

    def counted(batch):
        seen.append(len(batch))
        return oracle(batch)

    body = next(body for body in phantom.truth.bodies if body.whole)
    read_bodies(phantom.radiograph.image, [pose_of(body.points).moved(**off)], counted)
    assert seen == [1, 3 + anew]


def test_only_bodies_that_the_looks_doubt_or_differ_about_are_looked_at_six_times(phantom, monkeypatch):
    clear, dim = (body for body in phantom.truth.bodies[2:4])
    for net, bodies_seen, looks in (
        (Oracle(phantom.truth, dim=(dim.level,)), [clear, dim], [2, 2 * 3, 2]),
        (Oracle(phantom.truth, noise_px=6.0), [clear], [1, 3, 2]),
        (Oracle(phantom.truth), [clear, dim], [2, 2 * 3]),
    ):
        monkeypatch.setattr(fine, "crop_of", net.crop_of)
        seen = []

        def counted(batch, net=net, seen=seen):
            seen.append(len(batch))
            return net(batch)

        read_bodies(phantom.radiograph.image, [pose_of(body.points) for body in bodies_seen], counted)
        assert seen == looks


# The whole of segmentation, with both networks knowing the truth of whatever film they are shown.


def segmented(
    phantom, monkeypatch, *, image=None, truth=None, leave_out=(), twice=(), dim=(), sacrum_rc=None, **given
):
    truth = phantom.truth if truth is None else truth
    image = phantom.radiograph.image if image is None else image
    pixel_mm = phantom.radiograph.spacing.row_mm
    # The fine stage is always shown the film with its front on the left.
    net = Oracle(truth if truth.facing is Facing.LEFT else mirrored(truth), dim=dim)

    def perfect(looks, **_):
        shown = truth if np.array_equal(looks.even, image) else mirrored(truth)
        kept = tuple(body for n, body in enumerate(shown.bodies) if n not in leave_out)
        finding = faced_alike(finding_of(*maps_of(replace(shown, bodies=kept), pixel_mm)))
        parts = [finding.bodies[n] for n in twice]
        halves = [
            replace(b, pose=b.pose.moved(shift=(s, 0.0), zoom=1.3)) for b in parts for s in (-0.15, 0.15)
        ]
        whole = [body for n, body in enumerate(finding.bodies) if n not in twice]
        return replace(finding, bodies=(*whole, *halves), sacrum_rc=sacrum_rc, sacrum_score=0.8)

    monkeypatch.setattr(fine, "crop_of", net.crop_of)
    monkeypatch.setattr(bodies, "coarse_contrast", lambda film: film)
    monkeypatch.setattr(bodies, "find_bodies", perfect)
    monkeypatch.setattr(bodies, "first_impression", lambda looks, **_: perfect(looks))
    return segment(image, pixel_rc=(1.0, 1.0), pixel_mm=pixel_mm, coarse=net, points=net, **given)


def error_px(found, truth):
    out = []
    for body in truth.bodies:
        same = [v for v in found.vertebrae if np.linalg.norm(v.points.centre_rc - body.points.centre_rc) < 20]
        if body.whole:
            assert len(same) == 1, body.level
            out.append(np.abs(same[0].points.points_rc - body.points.points_rc).max())
    return max(out)


@pytest.mark.parametrize("mirror", [False, True])
def test_points_are_exact_on_the_film_and_on_its_mirror_image(phantom, monkeypatch, mirror):
    truth = mirrored(phantom.truth) if mirror else phantom.truth
    image = np.ascontiguousarray(phantom.radiograph.image[:, ::-1]) if mirror else phantom.radiograph.image
    found = segmented(phantom, monkeypatch, image=image, truth=truth)
    assert found.facing is truth.facing
    assert error_px(found, truth) < 0.05


def test_a_body_that_the_coarse_stage_missed_is_found_between_its_neighbours(phantom, monkeypatch):
    whole = [n for n, body in enumerate(phantom.truth.bodies) if body.whole]
    found = segmented(phantom, monkeypatch, leave_out=(whole[3],))
    assert error_px(found, phantom.truth) < 0.05
    rows = [v.points.centre_rc[0] for v in found.vertebrae]
    assert rows == sorted(rows)


def test_the_spine_is_followed_beyond_what_the_coarse_stage_found(phantom, monkeypatch):
    whole = [n for n, body in enumerate(phantom.truth.bodies) if body.whole]
    found = segmented(phantom, monkeypatch, leave_out=(*whole[:3], *whole[-2:]))
    assert error_px(found, phantom.truth) < 0.05


def test_a_body_that_the_coarse_stage_broke_in_two_is_one(phantom, monkeypatch):
    found = segmented(phantom, monkeypatch, twice=(3, 5))
    assert error_px(found, phantom.truth) < 0.05


def test_bodies_are_named_by_their_looks(phantom, monkeypatch):
    found = segmented(phantom, monkeypatch)
    true = {body.level: body.points.centre_rc for body in phantom.truth.bodies}
    for vertebra in found.vertebrae:
        assert np.linalg.norm(true[vertebra.level] - vertebra.points.centre_rc) < 20


def test_a_sacrum_is_believed_below_the_last_body_and_not_where_a_dim_body_lies(phantom, monkeypatch):
    truth = phantom.truth if phantom.truth.facing is Facing.LEFT else mirrored(phantom.truth)
    image = phantom.radiograph.image
    image = image if phantom.truth.facing is Facing.LEFT else np.ascontiguousarray(image[:, ::-1])
    last, lowest = truth.bodies[-1], len(truth.bodies) - 1
    below = last.points.centre_rc + (last.points.centre_rc - truth.bodies[-2].points.centre_rc)
    true = segmented(phantom, monkeypatch, image=image, truth=truth, sacrum_rc=below)
    assert true.sacrum_seen > 0.9
    dim = segmented(
        phantom,
        monkeypatch,
        image=image,
        truth=truth,
        leave_out=(lowest,),
        dim=(last.level,),
        sacrum_rc=last.points.centre_rc,
    )
    assert len(dim.vertebrae) == len(true.vertebrae) - 1
    assert dim.sacrum_seen == 0


def test_bodies_that_the_border_cuts_are_flagged(phantom, monkeypatch):
    found = segmented(phantom, monkeypatch)
    cut = [body for body in phantom.truth.bodies if not body.whole]
    for vertebra in found.vertebrae:
        near = any(np.linalg.norm(body.points.centre_rc - vertebra.points.centre_rc) < 20 for body in cut)
        assert (Reason.CUT_BY_BORDER in vertebra.reasons) == near


@pytest.mark.parametrize(
    ("anterior", "posterior", "sane"),
    [(30, 30, True), (8, 26, True), (30, 14, True), (3, 30, False), (30, 5, False), (80, 30, False)],
)
def test_even_crushed_bodies_are_plausible_but_not_everything(anterior, posterior, sane):
    corners = np.array([[-anterior, 0.0], [-posterior, 34.0], [0.0, 34.0], [0.0, 0.0]])
    assert plausible(SixPoints.from_corners(corners)) is sane


def test_a_bow_tie_is_no_body():
    assert not plausible(
        SixPoints.from_corners(np.array([[0.0, 0.0], [-20.0, 34.0], [0.0, 34.0], [-20.0, 0.0]]))
    )
