"""Facts about films kept for training: truth is scaled with the film."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from vertebrometer.anatomy import truth_as_dict
from vertebrometer.errors import TruthFileError
from vertebrometer.evaluation.rasters import polygon_mask as exact_mask
from vertebrometer.geometry import polygon_area
from vertebrometer.phantom import phantom_of
from vertebrometer.radiographs import PixelSpacing, Radiograph, SpacingSource
from vertebrometer.training.bank import (
    annotated_bank,
    bank_film,
    phantom_bank,
    polygon_mask,
    scaled_truth,
)
from vertebrometer.training.data import _kept, _Phantoms

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(8, field="lumbar", pixel_mm=0.6)


def test_a_film_is_never_made_finer_than_it_is(phantom):
    film = bank_film(phantom.radiograph, phantom.truth, pixel_mm=0.2, group="phantom")
    assert film.pixel_mm == 0.6
    assert film.image.shape == phantom.truth.shape


def test_a_coarser_copy_keeps_the_true_sizes_in_mm(phantom):
    film = bank_film(phantom.radiograph, phantom.truth, pixel_mm=1.2, group="phantom")
    assert film.truth.shape == film.image.shape == film.contrast.shape
    for small, large in zip(film.truth.bodies, phantom.truth.bodies, strict=True):
        areas = [polygon_area(b.contour_rc) * p**2 for b, p in ((small, 1.2), (large, 0.6))]
        assert areas[0] == pytest.approx(areas[1], rel=0.01)


def test_truth_lies_where_the_scaled_picture_has_it(phantom):
    body = phantom.truth.bodies[4]
    mask = exact_mask(body.contour_rc, phantom.truth.shape).astype(np.float32)
    rows, cols = (n // 2 for n in mask.shape)
    small = cv2.resize(mask, (cols, rows), interpolation=cv2.INTER_AREA)
    scale = (rows / mask.shape[0], cols / mask.shape[1])
    moved = scaled_truth(phantom.truth, scale, (rows, cols)).bodies[4]
    drawn = polygon_mask(moved.contour_rc, (rows, cols))
    assert np.abs(small - drawn).max() < 0.6
    assert small.sum() == pytest.approx(drawn.sum(), rel=0.03)


def test_pixels_that_are_not_square_become_square(phantom):
    squeezed = cv2.resize(phantom.radiograph.image, (phantom.truth.shape[1], phantom.truth.shape[0] // 2))
    flat = Radiograph(image=squeezed, spacing=PixelSpacing(1.2, 0.6, SpacingSource.USER))
    truth = scaled_truth(phantom.truth, (squeezed.shape[0] / phantom.truth.shape[0], 1.0), squeezed.shape)
    film = bank_film(flat, truth, pixel_mm=1.2, group="real")
    original = bank_film(phantom.radiograph, phantom.truth, pixel_mm=1.2, group="phantom")
    for one, other in zip(film.truth.bodies, original.truth.bodies, strict=True):
        assert np.abs(one.points.points_rc - other.points.points_rc).max() < 1.0


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, 0.7), (-9.0, -9.0), (300.0, 0.0)])
def test_soft_masks_have_the_area_and_the_place_of_their_polygon(shift):
    polygon = np.array([[20.0, 15.0], [22.0, 50.0], [44.0, 48.0], [41.0, 14.0]]) + shift
    mask = polygon_mask(polygon, (64, 64))
    exact = exact_mask(polygon, (64, 64))
    assert np.abs(mask - exact).max() <= 1.0
    assert mask.sum() == pytest.approx(exact.sum(), rel=0.05, abs=1)
    if exact.any():
        r, c = np.mgrid[:64, :64]
        for axis in (r, c):
            assert (mask * axis).sum() / mask.sum() == pytest.approx(
                (exact * axis).sum() / exact.sum(), abs=0.2
            )


def test_bank_seeds_name_films(tmp_path):
    (film,) = phantom_bank([1_000_003], pixel_mm=1.5)
    again = phantom_of(1_000_003, pixel_mm=1.5)
    assert film.group == "phantom"
    assert [b.level for b in film.truth.bodies] == [b.level for b in again.truth.bodies]


def test_a_bank_goes_on_where_it_was_killed(tmp_path):
    asked = []

    def make(first, end):
        asked.extend(range(first, end))
        return [f"film {number}" for number in range(first, end)]

    key = ("phantom", 1)
    assert list(_kept(tmp_path, key, make, 30, 1)) == [f"film {n}" for n in range(30)]
    assert asked == list(range(30))
    asked.clear()
    # The first 25 make one part; the second part is lost.
    parts = sorted(tmp_path.rglob("*.pickle"))
    parts[-1].unlink()
    assert list(_kept(tmp_path, key, make, 30, 1)) == [f"film {n}" for n in range(30)]
    assert asked == list(range(25, 30))


def test_phantoms_of_a_bank_do_not_depend_on_where_it_starts():
    _, second = _Phantoms(1_000_000, 2.0)(0, 2)
    (later,) = _Phantoms(1_000_000, 2.0)(1, 2)
    assert np.array_equal(second.image, later.image)


@pytest.mark.slow
def test_a_bank_is_the_same_however_many_processes_make_it(tmp_path):
    make = _Phantoms(1_000_000, 3.0)
    one, two = (list(_kept(tmp_path / str(n), ("phantom", 1), make, 30, n)) for n in (1, 2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, two, strict=True))


def annotated(folder, phantom, names):
    entries = truth_as_dict([phantom.truth])["films"][0]
    films = []
    for name in names:
        cv2.imwrite(str(folder / name), np.round(phantom.radiograph.image * 255).astype(np.uint8))
        films.append(entries | {"file": name})
    (folder / "truth.json").write_text(json.dumps({"films": films}))
    return folder / "truth.json"


def test_annotated_films_are_split_by_name(tmp_path, phantom):
    truth = annotated(tmp_path, phantom, ["a.png", "b.png", "c.png"])
    assert len(list(annotated_bank(truth, pixel_mm=1.0, leave_out=["b.png"]))) == 2
    assert len(list(annotated_bank(truth, pixel_mm=1.0, only=["b.png"]))) == 1
    with pytest.raises(TruthFileError, match=r"no film 'x\.png'"):
        list(annotated_bank(truth, pixel_mm=1.0, leave_out=["x.png"]))
    (tmp_path / "c.png").unlink()
    with pytest.raises(TruthFileError, match=r"c\.png"):
        list(annotated_bank(truth, pixel_mm=1.0))
