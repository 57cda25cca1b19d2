import dataclasses

import numpy as np
import pytest

from tests.projection.conftest import BODY_MM
from vertebrometer.anatomy import Facing
from vertebrometer.projection import Crush, ProjectionSettings, draw_projection, project, projected_films

PLAIN = ProjectionSettings(
    shape=(500, 420),
    pixel_mm=0.3,
    centre_mm=(73.0, 65.0),
    clutter=0.0,
    photons=1e7,
    scatter=0.0,
    gamma=1.0,
    sharpen=0.0,
)


def _edges(image, truth, level, at):
    """Return rows of the two endplates of a body as the film shows them, at a part `at` of its depth."""
    body = next(b for b in truth.bodies if b.level == level)
    sa, sp, ip, ia = body.points.corners_rc
    upper, lower = sa + at * (sp - sa), ia + at * (ip - ia)
    found = []
    for point, sign in ((upper, 1), (lower, -1)):
        rows = np.arange(int(point[0]) - 15, int(point[0]) + 16)
        profile = image[rows[0] : rows[-1] + 1, round(point[1]) - 2 : round(point[1]) + 3].mean(axis=1)
        slope = np.clip(sign * np.gradient(profile), 0, None)
        found.append(float((slope**2 * rows).sum() / (slope**2).sum()))
    return found


def test_a_film_shows_the_endplates_of_a_box_where_the_truth_has_them(box):
    radiograph, truth = project(box, PLAIN)
    upper, lower = _edges(radiograph.image, truth, "L2", 0.5)
    body = next(b for b in truth.bodies if b.level == "L2")
    assert upper == pytest.approx(body.points.point("superior_middle")[0], abs=1.0)
    assert lower == pytest.approx(body.points.point("inferior_middle")[0], abs=1.0)
    assert (lower - upper) * 0.3 == pytest.approx(BODY_MM[0], abs=0.4)


def test_moved_sides_change_what_the_film_shows_but_neither_its_truth_nor_its_mean(box):
    plain, truth = project(box, PLAIN)
    body = next(b for b in truth.bodies if b.level == "L2")
    offs = []
    for seed in range(8):
        settings = dataclasses.replace(PLAIN, seed=seed, sides_mm=1.0)
        moved, same_truth = project(box, settings)
        for one, other in zip(truth.bodies, same_truth.bodies, strict=True):
            assert np.array_equal(one.points.points_rc, other.points.points_rc)
        upper, lower = _edges(moved.image, truth, "L2", 0.5)
        offs.append((upper - body.points.points_rc[1, 0], lower - body.points.points_rc[4, 0]))
    assert np.abs(np.mean(offs)) < 1.0
    assert np.std(offs) > 0.2
    still = project(box, dataclasses.replace(PLAIN, sides_mm=0.0))[0]
    assert np.array_equal(still.image, plain.image)


def test_films_of_many_are_other_films_with_moved_sides_and_the_same_spines(box):
    still, moved = (list(projected_films([box], 2, 5, sides_mm=mm)) for mm in (0.0, 1.3))
    for (one, true), (other, same) in zip(still, moved, strict=True):
        assert one.image.shape == other.image.shape
        assert not np.array_equal(one.image, other.image)
        assert [b.level for b in true.bodies] == [b.level for b in same.bodies]
        assert np.array_equal(true.bodies[0].points.points_rc, same.bodies[0].points.points_rc)


def test_a_wedge_of_40_percent_is_one_in_the_truth_and_on_the_film(box):
    wedge = Crush(level="L2", kind="wedge", anterior=0.4, middle=0.2, posterior=0.0, kyphosis_share=0.0)
    radiograph, truth = project(box, dataclasses.replace(PLAIN, crushes=(wedge,)))
    heights = {b.level: np.ptp(b.points.corners_rc[[0, 3], 0]) for b in truth.bodies}
    assert 1 - heights["L2"] / ((heights["L1"] + heights["L3"]) / 2) == pytest.approx(0.4, abs=0.01)
    upper, lower = _edges(radiograph.image, truth, "L2", 0.5)
    assert (lower - upper) * 0.3 == pytest.approx(BODY_MM[0] * 0.8, abs=0.8)
    assert [b.fracture for b in truth.bodies] == ["none", "wedge", "none"]


def test_a_mirrored_film_faces_the_other_way(box):
    _, left = project(box, PLAIN)
    _, right = project(box, dataclasses.replace(PLAIN, mirror=True))
    assert (left.facing, right.facing) == (Facing.LEFT, Facing.RIGHT)
    for one, other in zip(left.bodies, right.bodies, strict=True):
        flipped = other.points.points_rc * [1, -1] + [0, PLAIN.shape[1] - 1]
        assert flipped == pytest.approx(one.points.points_rc, abs=1e-6)


def test_the_same_settings_give_the_same_film(box):
    settings = draw_projection(np.random.default_rng(3), box)
    first, second = (project(box, settings)[0].image for _ in range(2))
    assert np.array_equal(first, second)


def test_film_n_does_not_depend_on_how_many_are_made(box):
    many = [radiograph.image for radiograph, _ in projected_films([box], 3, seed=5)]
    one = [radiograph.image for radiograph, _ in projected_films([box], 1, seed=5)]
    assert np.array_equal(many[0], one[0])
    assert many[0].shape != many[1].shape or not np.array_equal(many[0], many[1])


def test_a_film_is_a_radiograph_of_the_stated_shape_and_magnified_spacing(box):
    radiograph, truth = project(box, PLAIN)
    assert radiograph.image.shape == truth.shape == PLAIN.shape
    assert 0.0 <= radiograph.image.min() < radiograph.image.max() <= 1.0
    assert radiograph.spacing is not None
    assert radiograph.spacing.row_mm == pytest.approx(0.3 * 1350 / 1100)


def test_a_body_that_the_border_of_the_film_cuts_is_not_whole(box):
    _, truth = project(box, dataclasses.replace(PLAIN, shape=(250, 420)))
    assert [b.whole for b in truth.bodies] == [False, True, False]


def test_bodies_out_of_the_middle_are_magnified_by_their_own_distance(box):
    near = dataclasses.replace(
        box, bodies=tuple(dataclasses.replace(b, slice_mm=b.slice_mm) for b in box.bodies)
    )
    _, narrow = project(near, dataclasses.replace(PLAIN, source_mm=1e6))
    _, wide = project(near, dataclasses.replace(PLAIN, source_mm=700.0))
    # In the mid-sagittal plane the pixel size holds whatever the distance of the focus.
    assert wide.bodies[1].points.points_rc == pytest.approx(narrow.bodies[1].points.points_rc, abs=0.6)
