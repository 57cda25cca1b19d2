"""Facts about films on their canvas: truth and picture stay together, whatever is done to them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch

from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, SixPoints, truth_as_dict
from vertebrometer.errors import SettingsError, TruthFileError
from vertebrometer.experiment.films import film_of_truth, hash_of, load_film, save_film
from vertebrometer.experiment.folder import check_folder, read_folder
from vertebrometer.experiment.regressing import values_of
from vertebrometer.experiment.segmenting import CanvasSource
from vertebrometer.experiment.settings import (
    DataSettings,
    FilmAugmentation,
    FilmFolder,
    PhantomFilms,
    Regressor,
    SplitSettings,
    TripletAugmentation,
)
from vertebrometer.experiment.split import make_split
from vertebrometer.experiment.triplet_data import (
    Targets,
    TripletSource,
    subpixel_value,
    true_triplets_of,
)
from vertebrometer.networks import NetworkConfig
from vertebrometer.radiographs import Radiograph
from vertebrometer.training.bank import polygon_mask
from vertebrometer.triplets import TripletView

pytestmark = pytest.mark.torch

DATA = DataSettings(phantoms=PhantomFilms(count=1), canvas_px=160)
LEVELS = ("T12", "L1", "L2", "L3")


def toy(anteriors=(30.0, 24.0, 30.0, 30.0), *, front_right=False, stretch=1.0, shape=(240, 140)):
    """A film of four bodies and its truth; `stretch` stores more rows for the same length."""
    bodies = []
    for n, (level, height) in enumerate(zip(LEVELS, anteriors, strict=True)):
        top, front, back = 20.3 + 45 * n, 50.3, 95.3
        if front_right:
            front, back = back, front
        corners = np.array([[top, front], [top, back], [top + 30, back], [top + height, front]])
        corners = corners * (stretch, 1.0)
        bodies.append(BodyTruth(level=level, points=SixPoints.from_corners(corners), contour_rc=corners))
    size = (round(shape[0] * stretch), shape[1])
    image = np.max([polygon_mask(body.contour_rc, size) for body in bodies], axis=0)
    facing = Facing.RIGHT if front_right else Facing.LEFT
    truth = FilmTruth(file="toy.png", shape=size, bodies=tuple(bodies), facing=facing)
    return Radiograph(image=image.astype(np.float32), aspect=1 / stretch), truth


def prepared(name="toy", patient="one", **more):
    radiograph, truth = toy(**more)
    return film_of_truth(radiograph, truth, DATA, name=name, patient=patient, group="phantom")


@pytest.mark.parametrize("more", [{}, {"front_right": True}, {"stretch": 2.0}])
def test_the_truth_lies_on_the_picture(more):
    film = prepared(**more)
    own = film.within()
    picture, truth = (each[own] / 255 for each in (film.plain, film.share))
    for axis in (0, 1):
        along = (
            np.arange(picture.shape[axis])
            @ np.stack([p.sum(axis=1 - axis) / p.sum() for p in (picture, truth)]).T
        )
        # Masks are drawn on a grid of quarter pixels; a lost half pixel would show.
        assert along[0] == pytest.approx(along[1], abs=0.2)
    assert np.abs(picture - truth).mean() < 0.01
    assert film.share[own].sum() == film.share.sum()


@pytest.mark.parametrize("more", [{}, {"front_right": True}, {"stretch": 2.0}])
def test_values_and_heights_do_not_depend_on_how_the_film_was_stored(more):
    film = prepared(**more)
    assert [body.percent for body in film.bodies] == [
        None,
        pytest.approx(20.0, abs=0.01),
        pytest.approx(-100 * (30 - 27) / 27, abs=0.01),
        None,
    ]
    assert film.bodies[0].anterior_px == pytest.approx(30 * 160 / 240, abs=0.1)


def test_films_that_face_right_come_out_as_those_that_face_left():
    left, right = prepared(), prepared(front_right=True)
    # The toy's front is low; on the canvas it lies on the left in both.
    for film in (left, right):
        body = np.argwhere(film.labels == 2)
        front, back = (body[body[:, 1] < np.median(body[:, 1])], body[body[:, 1] > np.median(body[:, 1])])
        assert front[:, 0].max() < back[:, 0].max()


def test_a_kept_film_is_the_film(tmp_path):
    film = prepared()
    save_film(tmp_path / "film.npz", film)
    again = load_film(tmp_path / "film.npz")
    assert hash_of([again]) == hash_of([film])
    assert again.bodies == film.bodies
    assert again.inside == film.inside


def source_of(film, **more):
    regressor = Regressor(
        name="r",
        network=NetworkConfig(name="mrdn", out_channels=4 if more.get("targets") == "heights" else 1),
        **more,
    )
    items = true_triplets_of(film).items
    return TripletSource(items, Targets.of(regressor, 20.0, TripletView(side_px=64)), TripletAugmentation())


def test_heights_are_measured_in_the_picture():
    source = source_of(prepared(), targets="heights")
    sample = source.plain(0)
    h1, h2, h3, value = sample["values"]
    assert 100 * (1 - h2 / ((h1 + h3) / 2)) == pytest.approx(20.0, abs=0.1)
    assert value == pytest.approx(1.0, abs=0.01)
    rows = np.flatnonzero(sample["image"][0, :, 20:30].any(axis=1))
    assert h1 < (rows[-1] - rows[0] + 1) / 64


def test_heights_grow_with_the_picture_and_the_compression_does_not():
    source = source_of(prepared(), targets="heights")
    for seed in range(5):
        h1, h2, h3, value = source.sample(np.random.default_rng(seed))["values"]
        assert 20 * value == pytest.approx(100 * (1 - h2 / ((h1 + h3) / 2)), abs=0.1)


def test_a_residual_is_what_geometry_is_wrong_by():
    film = prepared()
    source = source_of(film, targets="residual")
    item = source.items[0]
    sample = source.plain(0)
    assert sample["values"][0] * 20 == pytest.approx(20.0 - subpixel_value(item), abs=0.01)
    outputs = np.array([[sample["values"][0]]], np.float32)
    assert source.targets.percent(outputs, np.array([sample["base"]])) == pytest.approx(20.0, abs=0.01)


def test_upside_down_the_neighbours_change_places_and_the_compression_stays():
    source = source_of(prepared(), targets="heights")
    still = TripletAugmentation(turn_deg=0.0, shift=0.0, zoom=0.0, upside_down=1.0)
    turned = replace(source, chance=still, cuts=[], wanted=[]).sample(np.random.default_rng(0))
    number = next(n for n in range(len(source.items)) if source.plain(n)["values"][3] == turned["values"][3])
    plain = source.plain(number)
    assert np.array_equal(turned["image"][0], plain["image"][0][::-1])
    assert turned["values"].tolist() == plain["values"][[2, 1, 0, 3]].tolist()


class Brightness(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, image):
        return self.weight * image[:, :, :20].mean(dim=(2, 3))


def test_the_answers_to_several_looks_are_averaged():
    source, network = source_of(prepared()), Brightness()
    each = [
        [network(torch.from_numpy(source.look(n, which)["image"])[None]).item() * 20 for which in range(3)]
        for n in range(len(source.items))
    ]
    assert values_of(network, source, 1) == pytest.approx([looks[0] for looks in each], rel=1e-5)
    assert values_of(network, source, 3) == pytest.approx(np.mean(each, axis=1), rel=1e-5)
    assert np.std(each, axis=1).min() > 0


def test_a_triplet_is_looked_at_at_least_once():
    with pytest.raises(SettingsError, match="at least one look"):
        Regressor(name="r", network=NetworkConfig(name="mrdn"), looks=0)


def many(count, per_patient=2):
    film = prepared()
    return [replace(film, name=f"film-{n}", patient=f"patient-{n // per_patient}") for n in range(count)]


def test_a_split_keeps_the_films_of_a_patient_together():
    films = many(24)
    split = make_split(films, SplitSettings(folds=3))
    counts = split.counts(films)
    assert counts["test"] == {"patients": 2, "films": 4}
    assert sum(part["films"] for part in counts.values()) == 24
    assert set(split.fold.values()) == {0, 1, 2}
    assert set(split.fold) == {p for p, part in split.part.items() if part != "test"}


def test_a_split_is_the_same_in_whatever_order_films_come():
    films = many(16)
    assert make_split(films, SplitSettings()) == make_split(films[::-1], SplitSettings())
    assert make_split(films, SplitSettings()) != make_split(films, SplitSettings(seed=2))


def test_two_patients_cannot_be_split_in_three():
    with pytest.raises(SettingsError, match="no patient is left"):
        make_split(many(4), SplitSettings())


def write_corners(base: Path):
    folder = base / "films"
    folder.mkdir()
    radiograph, truth = toy()
    Image.fromarray((radiograph.image * 255).astype(np.uint8)).save(folder / "toy.png")
    (folder / "truth.json").write_text(json.dumps(truth_as_dict([truth])))
    (folder / "films.csv").write_text("film,patient,body,vc\ntoy.png,p1,L1,17.5\n")
    return folder


def test_corners_give_values_and_a_table_overrules_them(tmp_path):
    write_corners(tmp_path)
    for vc, expected in (("", 20.0), ("vc", 17.5)):
        settings = FilmFolder(folder=Path("films"), masks="", corners="truth.json", vc=vc)
        film = read_folder(check_folder(settings, tmp_path), 0, DATA)
        assert film.bodies[1].percent == pytest.approx(expected, abs=0.01)
        assert film.bodies[1].level == "L1"


def test_a_film_without_corners_is_named(tmp_path):
    folder = write_corners(tmp_path)
    (folder / "films.csv").write_text("film,patient,body,vc\nother.png,p1,L1,17.5\n")
    settings = FilmFolder(folder=Path("films"), masks="", corners="truth.json")
    with pytest.raises(TruthFileError, match=r"no corners of other\.png"):
        check_folder(settings, tmp_path)


# Windows that segmenters are trained on


def windows(film, window_px, count=40):
    still = FilmAugmentation(turn_deg=0, shift=0, zoom=0, grey=0, window_px=window_px)
    source = CanvasSource([film], still)
    return [source.sample(np.random.default_rng(n)) for n in range(count)]


def test_a_window_larger_than_the_film_shows_all_of_it_and_a_smaller_one_no_padding():
    film = prepared()  # 240 x 140 on 160 x 160: full height, 93 columns
    for sample in windows(film, (160, 128)):
        assert sample["image"].shape == sample["mask"].shape == (1, 160, 128)
        assert sample["mask"].sum() == pytest.approx(film.share.sum() / 255, rel=1e-3)
    _, _, left, right = film.inside
    ruler = replace(film, canvas=np.tile(np.arange(160, dtype=np.uint8), (160, 1)))
    columns = [(sample["image"][0, 0] * 0.25 + 0.5) * 255 for sample in windows(ruler, (96, 64))]
    assert min(seen[0] for seen in columns) >= left - 0.5
    assert max(seen[-1] for seen in columns) <= right - 0.5
    assert len({round(float(seen[0])) for seen in columns}) > 5


def test_a_window_shows_picture_and_mask_alike():
    for sample in windows(prepared(), (96, 64), count=10):
        image = sample["image"][0]
        bright = image > np.percentile(image, 50)
        if 0.2 < sample["mask"].mean() < 0.8:
            assert np.corrcoef(bright.ravel(), sample["mask"][0].ravel())[0, 1] > 0.5


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_fracture_rate_is_a_fraction_of_spines(rate):
    with pytest.raises(SettingsError, match="fracture_rate is a fraction"):
        PhantomFilms(count=1, fracture_rate=rate)


@pytest.mark.parametrize("window_px", [(64, 0), (-16, 64)])
def test_a_window_has_rows_and_columns(window_px):
    with pytest.raises(SettingsError, match="rows and columns above 0"):
        FilmAugmentation(window_px=window_px)
