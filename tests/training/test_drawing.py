"""Facts about samples that a GPU draws: what they teach is what the picture shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vertebrometer.anatomy import LEVELS, SixPoints
from vertebrometer.phantom import phantom_of
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.segmentation.patches import patches_of
from vertebrometer.training.bank import bank_film, other_bank
from vertebrometer.training.crops import (
    CUT_SIDE_PX,
    FACTS,
    FINE_SIDE_PX,
    GROUPS,
    KINDS,
    MASK_SIDE_PX,
    Cuts,
    cuts_of,
)
from vertebrometer.training.drawing import (
    Chance,
    Chooser,
    DeviceCuts,
    Drawing,
    corners_batch,
    points_batch,
    squash_knots,
    squashed_points,
    thinned,
)

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
SIX = np.array([[118, 122], [122, 176], [119, 229], [231, 228], [227, 175], [233, 121]], np.float32)


def blobs(count):
    """Cuts with a bright spot at each of the six points and a mask between them."""
    rows, cols = np.mgrid[0:CUT_SIDE_PX, 0:CUT_SIDE_PX]
    spots = sum(np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * 3.0**2)) for r, c in SIX)
    image = np.round(255 * np.clip(spots, 0, 1)).astype(np.uint8)
    mask = np.zeros((MASK_SIDE_PX, MASK_SIDE_PX), np.uint8)
    mask[60:116, 60:116] = 255
    fact = {
        "group": 0,
        "kind": KINDS.index("whole"),
        "level": 20,
        "six": 1,
        "metal": 0,
        "cement": 0,
        "whole": 1,
    }
    facts = np.array([fact[name] for name in FACTS], np.int16)
    return Cuts(*(np.stack([each] * count) for each in (image, mask, SIX, facts)))


def held(cuts, capacity=None):
    device = DeviceCuts(capacity or len(cuts), CPU)
    device.add(cuts)
    return device


@pytest.fixture(scope="module")
def phantom_cuts():
    phantom = phantom_of(6, field="thoracolumbar", pixel_mm=0.6)
    films = [bank_film(phantom.radiograph, phantom.truth, pixel_mm=0.6, group="phantom")]
    return cuts_of([*films, *other_bank([1], pixel_mm=1.0)], 0, degraded=0.5), phantom.truth


def test_points_and_mask_move_with_the_picture():
    torch.manual_seed(0)
    drawing = Drawing(held(blobs(24)), Chance(squash_rate=0.8))
    image, mask, points = drawing.shaped(torch.arange(24))
    moved = np.abs(points.numpy() - (SIX - (CUT_SIDE_PX - FINE_SIDE_PX) / 2)).max(axis=(1, 2))
    assert np.median(moved) > 8
    errors = []
    for picture, six in zip(image[:, 0].numpy(), points.numpy(), strict=True):
        for r, c in six:
            if 12 < r < FINE_SIDE_PX - 13 and 12 < c < FINE_SIDE_PX - 13:
                low = round(r) - 6, round(c) - 6
                near = picture[low[0] : low[0] + 13, low[1] : low[1] + 13]
                at = np.mgrid[0:13, 0:13].reshape(2, -1) @ near.ravel() / near.sum()
                errors.append(np.abs(at + low - (r, c)).max())
    assert len(errors) > 120
    assert np.median(errors) < 0.4
    assert np.quantile(errors, 0.95) < 1.5
    # The middle of the mask stays between the corners.
    ruler = np.arange(mask.shape[2]) * 4 + 1.5
    for one, six in zip(mask[:, 0].numpy(), points.numpy(), strict=True):
        middle = np.array([one.sum(axis=1) @ ruler, one.sum(axis=0) @ ruler]) / one.sum()
        assert np.abs(middle - six[[0, 2, 3, 5]].mean(axis=0)).max() < 12


def test_squashed_bodies_lose_as_much_height_as_is_asked_for():
    torch.manual_seed(1)
    cuts = held(blobs(400))

    def ratios(**chance):
        points = Drawing(cuts, Chance(squash_gain=0.0, **chance)).shaped(torch.arange(400))[2]
        tall = (points[:, 5] - points[:, 0]).norm(dim=1)
        deep = (points[:, 2] - points[:, 0]).norm(dim=1)
        return (tall / deep / (115 / 107)).numpy()

    plain, squashed = ratios(squash_rate=0.0), ratios(squash_rate=1.0, squash_largest=0.5)
    assert abs(np.median(plain) - 1) < 0.02
    assert np.quantile(squashed, 0.03) < 0.62
    assert np.median(squashed) < 0.95


def test_neighbours_of_most_squashed_bodies_keep_their_shape():
    torch.manual_seed(3)
    points = torch.from_numpy(SIX - (CUT_SIDE_PX - FINE_SIDE_PX) / 2).float().repeat(300, 1, 1)
    wedge = torch.tensor([[0.3, 0.15, 0.0], [0.0, 0.0, 0.0]]).repeat(300, 1, 1)
    knots = squash_knots(points, wedge)
    height = float((SIX[5, 0] + SIX[3, 0] - SIX[0, 0] - SIX[2, 0]) / 2)
    beyond = points[:, [0, 2]] - torch.tensor([0.45 * height, 0.0])
    moves = (squashed_points(beyond, knots) - beyond)[..., 0]
    level = (moves[:, 0] - moves[:, 1]).abs() < 0.01 * height
    # How far the tissue reaches that takes up a loss is even on a scale of ratios, from 0.15 to 1.1 heights.
    expected = np.log(0.45 / 0.15) / np.log(1.1 / 0.15)
    assert abs(float(level.float().mean()) - expected) < 0.12
    body = squashed_points(points, knots) - points
    assert torch.allclose(body[:, 0, 0], torch.tensor(0.3 * height), atol=0.05 * height)
    assert torch.allclose(body[:, [3, 5], 0], torch.zeros(300, 2), atol=0.01 * height)


def test_upside_down_superior_and_inferior_change_places_and_no_level_is_told():
    torch.manual_seed(2)
    cuts = held(blobs(40))
    choose = Chooser(cuts, {"phantom": 1.0}, Chance(negatives=0.0))
    drawn = Drawing(cuts, Chance(upside_down=0.5))(choose(np.random.default_rng(0), 40))
    batch = points_batch(drawn)
    assert 8 < int(drawn.upside_down.sum()) < 32
    assert (batch["level"][drawn.upside_down] == -1).all()
    assert (batch["level"][~drawn.upside_down] == 20).all()
    # The superior points are always the upper ones.
    assert (batch["points"][:, 0, 0] < batch["points"][:, 5, 0]).all()
    assert torch.allclose(batch["image"].mean(dim=(1, 2, 3)), torch.zeros(40), atol=1e-3)
    # Points of a crop that is half as fine.
    assert torch.allclose(batch["points"] * 2 + 0.5, drawn.points, atol=1e-4)


def test_patches_are_those_that_the_close_look_cuts():
    torch.manual_seed(3)
    cuts = held(blobs(6))
    choose = Chooser(cuts, {"phantom": 1.0}, Chance(negatives=0.0))
    drawn = Drawing(cuts, Chance(upside_down=0.5))(choose(np.random.default_rng(0), 6))
    batch = corners_batch(drawn, [0.0], [1.0])
    for number in range(6):
        told = SixPoints(drawn.points[number].numpy().astype(float))
        wanted = patches_of(drawn.image[number, 0].numpy(), pose_of(told), told)
        given = batch["image"][number].numpy()
        close = np.abs(given[::2] - wanted[::2]).mean() / np.abs(wanted[::2]).mean()
        assert close < 0.1
        assert np.corrcoef(given[1::2].ravel(), wanted[1::2].ravel())[0, 1] > 0.99
    assert torch.allclose(batch["points"], torch.full((6, 6, 2), 23.5), atol=1e-3)


def test_wrong_points_are_put_right_in_the_patches():
    torch.manual_seed(4)
    cuts = held(blobs(64))
    choose = Chooser(cuts, {"phantom": 1.0}, Chance(negatives=0.0))
    drawn = Drawing(cuts, Chance())(choose(np.random.default_rng(0), 64))
    batch = corners_batch(drawn, [0.02], [1.0])
    away = (batch["points"] - 23.5).norm(dim=2)[batch["points_valid"] > 0]
    # 2 % of a depth of 112.6 px, down and along.
    assert 1.5 < float(away.median()) < 4.5


def test_cuts_know_what_the_truth_knows(phantom_cuts):
    cuts, truth = phantom_cuts
    kinds = cuts.facts[:, FACTS.index("kind")]
    bodies = kinds < KINDS.index("nothing")
    assert bodies.sum() == len(truth.bodies)
    assert [LEVELS[n] for n in cuts.facts[bodies, FACTS.index("level")]] == [b.level for b in truth.bodies]
    for points, mask in zip(cuts.points[bodies], cuts.masks[bodies], strict=True):
        front, back = points[[0, 5]].mean(axis=0), points[[2, 3]].mean(axis=0)
        assert np.abs((front + back) / 2 - (CUT_SIDE_PX - 1) / 2).max() < 8
        assert abs((back - front)[1] - 112.64) < 0.5
        assert mask[MASK_SIDE_PX // 2, MASK_SIDE_PX // 2] == 255
    assert (cuts.masks[~bodies] == 0).all()
    assert (kinds == KINDS.index("nothing")).sum() > 3
    assert (kinds == KINDS.index("beside")).sum() > 1


def test_a_batch_shows_bodies_first_and_asks_nothing_of_places_without_one(phantom_cuts):
    cuts = held(phantom_cuts[0])
    choose = Chooser(cuts, {"phantom": 0.9, "other": 0.1}, Chance(negatives=0.25))
    batch = points_batch(Drawing(cuts, Chance())(choose(np.random.default_rng(1), 32)))
    assert batch["body"].tolist() == [1.0] * 24 + [0.0] * 8
    assert (batch["points_valid"][24:] == 0).all()
    assert (batch["mask_valid"][24:] == 0).all()
    assert all(torch.isfinite(value.float()).all() for value in batch.values())


def test_a_source_that_is_thinned_is_seen_less_often_in_a_batch_of_the_same_size(phantom_cuts):
    # Half of the cuts shall be of real films.
    facts = phantom_cuts[0].facts.copy()
    facts[::2, FACTS.index("group")] = GROUPS.index("real")
    store = held(replace(phantom_cuts[0], facts=facts))
    chance = Chance()
    choose = Chooser(store, {"phantom": 1.0, "real": 1.0}, chance)
    drawn = Drawing(store, chance)(choose(np.random.default_rng(0), 64))
    real = int((drawn.fact("group") == GROUPS.index("real")).sum())
    torch.manual_seed(0)
    fewer = thinned(drawn, "real", 0.3)
    assert real > 16
    assert int((fewer.fact("group") == GROUPS.index("real")).sum()) < 0.75 * real
    assert len(fewer.facts) == 64
    assert bool(fewer.is_body[: fewer.bodies].all())
    assert not bool(fewer.is_body[fewer.bodies :].any())
    assert not bool((thinned(drawn, "real", 0.0).fact("group") == GROUPS.index("real")).any())
    assert thinned(drawn, "real", 1.0) is drawn


def test_later_cuts_take_the_places_of_the_oldest():
    device = held(blobs(5), capacity=8)
    more = blobs(6)
    more.facts[:, FACTS.index("level")] = 3
    device.add(more)
    assert len(device) == 8
    assert device.facts[:, FACTS.index("level")].tolist() == [3, 3, 3, 20, 20, 3, 3, 3]
    assert device.pool("phantom", "whole").tolist() == list(range(8))


def test_a_store_without_bodies_says_so():
    cuts = blobs(2)
    cuts.facts[:, FACTS.index("kind")] = KINDS.index("nothing")
    choose = Chooser(held(cuts), {"phantom": 1.0}, Chance(negatives=0.0))
    with pytest.raises(ValueError, match="no cut shows a body"):
        choose(np.random.default_rng(0), 1)
