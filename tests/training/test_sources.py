"""Facts about training samples: what they teach is what the picture shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from vertebrometer.anatomy import LEVELS
from vertebrometer.errors import SettingsError
from vertebrometer.geometry import Affine, polygon_area
from vertebrometer.phantom import phantom_of
from vertebrometer.segmentation.coarse_view import COARSE_CHANNELS, SACRUM_SHARE
from vertebrometer.segmentation.frames import crop_map, crop_of, normalised, pose_of
from vertebrometer.segmentation.patches import PATCH_CHANNELS, PATCH_SIDE_PX, patches_of
from vertebrometer.training.bank import bank_film, polygon_mask
from vertebrometer.training.corner_source import CornerSource
from vertebrometer.training.sources import (
    BodySource,
    CanvasSource,
    CoarseSource,
    FilmChoice,
    coarse_targets,
    front_half,
    sacrum_outline,
)

pytestmark = pytest.mark.torch


def film_of(seed, field, **changes):
    phantom = phantom_of(seed, field=field, pixel_mm=0.6)
    return bank_film(phantom.radiograph, replace(phantom.truth, **changes), pixel_mm=0.6, group="phantom")


@pytest.fixture(scope="module")
def films():
    return [film_of(5, "lumbar"), film_of(6, "thoracic"), film_of(7, "dxa")]


@pytest.fixture(scope="module")
def choose(films):
    return FilmChoice(films, {"phantom": 1.0})


def samples(source, count, seed=0):
    rng = np.random.default_rng(seed)
    return [source.sample(rng) for _ in range(count)]


def test_groups_are_drawn_by_their_weights(films):
    real = [replace(films[0], group="real")]
    choice = FilmChoice([*films, *real], {"phantom": 0.25, "real": 0.75})
    rng = np.random.default_rng(0)
    drawn = [choice(rng).group for _ in range(600)]
    assert 0.68 < drawn.count("real") / 600 < 0.82


@pytest.mark.parametrize(
    "make", [lambda c: CoarseSource(c, side_px=96), lambda c: CanvasSource(c, side_px=96, channels=4)]
)
def test_coarse_samples_have_the_promised_shapes(choose, make):
    for sample in samples(make(choose), 8):
        assert sample["image"].shape == (1, 96, 96)
        assert sample["mask"].shape == (len(COARSE_CHANNELS), 96, 96)
        assert sample["mask_valid"].shape == (len(COARSE_CHANNELS), 1, 1)
        body, core, front, _ = sample["mask"]
        assert sample["mask"].min() >= 0
        assert sample["mask"].max() <= 1
        assert core.sum() < body.sum() or not body.any()
        assert front.sum() < body.sum() or not body.any()


def test_the_same_generator_gives_the_same_sample(choose):
    source = CoarseSource(choose, side_px=96)
    one, other = samples(source, 3), samples(source, 3)
    for first, second in zip(one, other, strict=True):
        assert all(np.array_equal(first[name], second[name]) for name in first)


def test_masks_of_a_coarse_view_lie_on_the_bodies(films):
    film = films[0]
    target, valid = coarse_targets(film, Affine(np.eye(2), np.zeros(2)), max(film.image.shape))
    assert valid.tolist() == [1, 1, 1, 1]
    for body in film.truth.bodies:
        if not body.whole:
            continue
        r, c = np.round(body.points.centre_rc).astype(int)
        assert target[0, r, c] == target[1, r, c] == 1
        ahead, behind = (
            np.round(
                body.points.centre_rc
                + 0.3 * sign * (body.points.corners_rc[[0, 3]].mean(0) - body.points.centre_rc)
            ).astype(int)
            for sign in (1, -1)
        )
        assert target[2][tuple(ahead)] == 1
        assert target[2][tuple(behind)] == 0


def test_the_front_half_is_half_of_the_body(films):
    for body in films[0].truth.bodies:
        share = polygon_area(front_half(body.points)) / polygon_area(body.points.points_rc)
        assert 0.4 < share < 0.6


@pytest.mark.parametrize("mirror", [False, True])
def test_the_sacrum_lies_below_its_endplate_whichever_way_the_film_faces(mirror):
    s1 = np.array([[100.0, 80.0], [115.0, 40.0]])
    if mirror:
        s1[:, 1] = 200 - s1[:, 1]
    outline = sacrum_outline(s1)
    assert outline[2:, 0].mean() > s1[:, 0].mean() + 10
    length = np.linalg.norm(s1[0] - s1[1])
    across = (s1[1] - s1[0]) / length
    down = (outline[2] - s1[1]) - ((outline[2] - s1[1]) @ across) * across
    assert np.linalg.norm(down) == pytest.approx(SACRUM_SHARE * length)


def test_an_unmarked_sacrum_teaches_nothing_on_other_films(films):
    bare = replace(films[0], truth=replace(films[0].truth, s1_endplate_rc=None))
    view = Affine(np.eye(2) * 0.4, np.zeros(2))
    assert coarse_targets(bare, view, 96)[1].tolist() == [1, 1, 1, 1]
    assert coarse_targets(replace(bare, group="real"), view, 96)[1].tolist() == [1, 1, 1, 0]


# Crops of one body.


def plain_source(choose, **settings):
    return BodySource(choose, **({"negatives": 0.0, "squash_rate": 0.0, "strength": 0.0} | settings))


def test_without_chance_a_sample_is_the_crop_that_measuring_sees(films):
    film = films[0]
    whole = [body for body in film.truth.bodies if body.whole]
    one = FilmChoice([replace(film, truth=replace(film.truth, bodies=(whole[2],)))], {})
    (sample,) = samples(plain_source(one), 1)
    to_crop = crop_map(pose_of(whole[2].points))
    assert sample["points"] == pytest.approx(to_crop(whole[2].points.points_rc), abs=1e-3)
    seen = normalised(crop_of(film.image.astype(np.float32) / 255, to_crop))
    assert np.corrcoef(sample["image"].ravel(), seen.ravel())[0, 1] > 0.99
    assert sample["level"] == LEVELS.index(whole[2].level)


def test_points_lie_on_the_outline_of_the_mask_under_all_chance(choose):
    for sample in samples(BodySource(choose, negatives=0.0), 40):
        mask, known = sample["mask"][0], sample["points_valid"] > 0
        if not known.any():
            continue
        edge = (mask > 0.02) & (mask < 0.98)
        edge |= np.abs(np.diff(mask, axis=0, prepend=0)) > 0.5
        places = np.argwhere(edge)
        for point in sample["points"][known]:
            assert np.linalg.norm(places - point, axis=1).min() < 2.0


def test_superior_stays_above_and_anterior_left_even_upside_down(choose):
    turned = 0
    for sample in samples(BodySource(choose, negatives=0.0), 80):
        sa, _, sp, ip, _, ia = sample["points"]
        assert sa[0] < ia[0]
        assert sp[0] < ip[0]
        assert (sa[1] + ia[1]) < (sp[1] + ip[1])
        turned += sample["level"] == -1
    assert 3 < turned < 30  # about 15 %


def test_upside_down_the_picture_is_turned_with_its_points(films):
    film = films[0]
    body = next(b for b in film.truth.bodies if b.whole)
    one = FilmChoice([replace(film, truth=replace(film.truth, bodies=(body,)))], {})
    for sample in samples(BodySource(one, negatives=0.0, squash_rate=0.0, strength=1.0), 40, seed=2):
        if sample["level"] == -1 and sample["points_valid"].all():
            six = polygon_mask(sample["points"].astype(float), (128, 128))
            both = (six * sample["mask"][0]).sum()
            assert 2 * both / (six.sum() + sample["mask"].sum()) > 0.9
            return
    pytest.fail("no sample was upside down")


def test_a_crop_of_no_body_teaches_no_points(choose):
    for sample in samples(BodySource(choose, negatives=1.0), 20):
        assert sample["body"] == 0
        assert not sample["points_valid"].any()
        assert not sample["mask_valid"].any()
        assert sample["level"] == -1
        assert not sample["flags_valid"].any()


def test_about_as_many_negatives_as_asked(choose):
    drawn = [float(sample["body"]) for sample in samples(BodySource(choose, negatives=0.3), 200)]
    assert 0.6 < np.mean(drawn) < 0.8


def test_a_film_without_bodies_gives_negatives_only(films):
    empty = replace(films[0], truth=replace(films[0].truth, bodies=()))
    for sample in samples(BodySource(FilmChoice([empty], {})), 5):
        assert sample["body"] == 0


def test_annotated_corners_teach_no_mid_endplate_points(films):
    film = replace(films[0], truth=replace(films[0].truth, has_six_points=False), group="real")
    for sample in samples(plain_source(FilmChoice([film], {})), 10):
        assert not sample["points_valid"][[1, 4]].any()
        assert sample["mask_valid"].max() < 0.5
        assert not sample["flags_valid"].any()


def test_what_the_border_cuts_is_flagged_and_teaches_no_points(films):
    film = films[0]
    cut = replace(
        film, truth=replace(film.truth, bodies=tuple(replace(b, whole=False) for b in film.truth.bodies))
    )
    source = plain_source(FilmChoice([cut], {}))
    for sample in [source._positive(cut, cut.truth.bodies[3], np.random.default_rng(n)) for n in range(4)]:
        assert sample["flags"].tolist() == [0, 0, 1]
        assert not sample["points_valid"].any()
        assert sample["body"] == 1


def test_squashed_bodies_are_lower_than_the_true_ones(films):
    film = films[0]
    body = next(b for b in film.truth.bodies if b.whole)
    one = FilmChoice([replace(film, truth=replace(film.truth, bodies=(body,)))], {})

    def ratios(rate):
        source = BodySource(one, negatives=0.0, squash_rate=rate, strength=1.0)
        six = np.array([sample["points"] for sample in samples(source, 60)])
        return (six[:, 5, 0] - six[:, 0, 0]) / (six[:, 2, 1] - six[:, 0, 1])

    assert ratios(1.0).mean() < 0.92 * ratios(0.0).mean()
    assert ratios(1.0).min() < 0.7 * ratios(0.0).mean()


# Patches of the points of one body.


def test_the_truth_of_a_patch_is_the_point_of_the_film(films):
    film = films[0]
    body = next(b for b in film.truth.bodies if b.whole)
    one = FilmChoice([replace(film, truth=replace(film.truth, bodies=(body,)))], {})
    source = CornerSource.of(plain_source(one))
    (sample,) = samples(source, 1)
    assert sample["image"].shape == (6 * PATCH_CHANNELS, PATCH_SIDE_PX, PATCH_SIDE_PX)
    # Without chance every patch is centred on its point, in the pose of the body.
    assert sample["points"] == pytest.approx(np.full((6, 2), (PATCH_SIDE_PX - 1) / 2), abs=1e-3)
    seen = patches_of(film.image.astype(np.float32) / 255, pose_of(body.points), body.points)
    for given, wanted in zip(sample["image"], seen, strict=True):
        assert np.corrcoef(given.ravel(), wanted.ravel())[0, 1] > 0.95


def test_patches_are_taken_about_points_that_are_wrong_by_chance(choose):
    drawn = samples(CornerSource.of(BodySource(choose)), 60)
    off = np.concatenate([s["points"][s["points_valid"] > 0] - (PATCH_SIDE_PX - 1) / 2 for s in drawn])
    assert 0.5 < np.abs(off).mean() < 6
    assert np.abs(off.mean(axis=0)).max() < 1.5
    for sample in drawn:
        known = sample["points"][sample["points_valid"] > 0]
        assert ((known > 0) & (known < PATCH_SIDE_PX - 1)).all()


def test_patches_of_annotated_corners_teach_no_mid_endplate_points(films):
    film = replace(films[0], truth=replace(films[0].truth, has_six_points=False), group="real")
    for sample in samples(CornerSource.of(plain_source(FilmChoice([film], {}))), 5):
        assert not sample["points_valid"][[1, 4]].any()
        assert sample["points_valid"][[0, 2, 3, 5]].all()


def test_patches_want_a_film_with_a_whole_body(films):
    empty = replace(films[0], truth=replace(films[0].truth, bodies=()))
    with pytest.raises(SettingsError, match="no training film shows a whole body"):
        CornerSource.of(BodySource(FilmChoice([empty], {})))
    kept = CornerSource.of(BodySource(FilmChoice([empty, films[0]], {})))
    assert len(samples(kept, 5)) == 5


@pytest.mark.parametrize("kind", [BodySource, CoarseSource])
def test_degraded_pictures_show_the_same_bodies(films, kind):
    choose = FilmChoice(films, {})
    plain, poor = (kind(choose, degraded=rate) for rate in (0.0, 1.0))
    for seed in range(6):
        one, other = (source.sample(np.random.default_rng(seed)) for source in (plain, poor))
        assert not np.array_equal(one["image"], other["image"])
        for name in one.keys() - {"image"}:
            assert np.array_equal(one[name], other[name])


def test_what_lies_over_a_body_comes_from_beside_a_spine_and_leaves_the_truth(films):
    plain, over = (BodySource(FilmChoice(films, {}), overlaid=rate) for rate in (0.0, 1.0))
    changed = 0
    for seed in range(6):
        one, other = (source.sample(np.random.default_rng(seed)) for source in (plain, over))
        changed += not np.array_equal(one["image"], other["image"])
        for name in one.keys() - {"image"}:
            assert np.array_equal(one[name], other[name])
    assert changed == 6


def test_a_film_that_is_all_spine_is_not_laid_over_a_body(films):
    # The middle body cut out so close that every place is near its centre.
    film = films[0]
    body = next(b for b in film.truth.bodies if b.whole)
    low = np.maximum(body.contour_rc.min(axis=0).astype(int), 0)
    high = body.contour_rc.max(axis=0).astype(int) + 1
    near = replace(
        film,
        image=film.image[low[0] : high[0], low[1] : high[1]],
        truth=replace(film.truth, bodies=(body,)),
    )
    moved = replace(body, points=type(body.points)(body.points.points_rc - low))
    near = replace(near, truth=replace(film.truth, bodies=(moved,)))
    source = BodySource(FilmChoice([near], {}), overlaid=1.0)
    crop = np.random.default_rng(0).random((source.side_px, source.side_px)).astype(np.float32)
    assert np.array_equal(source._overlaid(crop, np.random.default_rng(1)), crop)
