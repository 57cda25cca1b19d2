"""Facts about a user's own films: what is wrong with them is told before anything is trained."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from tests.experiment.toys import SHAPE, write_config, write_folder
from vertebrometer.errors import MissingFileError, SettingsError, TruthFileError
from vertebrometer.experiment import run_experiment
from vertebrometer.experiment.folder import check_folder, read_folder
from vertebrometer.experiment.settings import DataSettings, FilmFolder

pytestmark = pytest.mark.torch


def folder_of(**more):
    return FilmFolder(folder=Path("films"), **more)


@pytest.fixture
def films(tmp_path):
    return write_folder(tmp_path, 4)


def rewrite(films, change):
    """Change the rows of the table, the heads among them."""
    path = films / "films.csv"
    with path.open(newline="") as file:
        rows = [list(row) for row in csv.reader(file)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(change(rows))


def test_a_folder_is_read_with_its_masks_and_values(tmp_path, films):
    settings = folder_of()
    checked = check_folder(settings, tmp_path)
    film = read_folder(checked, 0, DataSettings(folders=(settings,), canvas_px=160))
    assert len(checked.films) == 4
    assert [body.percent is not None for body in film.bodies] == [False, True, True, False]
    assert film.inside == (0, 160, 32, 128)
    assert int(film.labels.max()) == 4
    assert film.patient == "patient-0"


def test_a_film_that_faces_right_is_mirrored_to_the_left(tmp_path, films):
    rewrite(films, lambda rows: [[*rows[0], "side"], *([*row, "right"] for row in rows[1:])])
    settings = folder_of(facing="side")
    checked = check_folder(settings, tmp_path)
    data = DataSettings(folders=(settings,), canvas_px=160)
    as_is = read_folder(check_folder(folder_of(), tmp_path), 0, data)
    mirrored = read_folder(checked, 0, data)
    assert np.array_equal(mirrored.labels, as_is.labels[:, ::-1])
    assert np.array_equal(mirrored.canvas, as_is.canvas[:, ::-1])


def test_a_wrong_column_is_named_with_those_there_are(tmp_path, films):
    with pytest.raises(
        SettingsError, match=r"no column 'compression'.*its columns are film, patient, body, vc"
    ):
        check_folder(folder_of(vc="compression"), tmp_path)


def test_a_value_that_is_no_percentage_is_told_by_its_line(tmp_path, films):
    rewrite(films, lambda rows: [rows[0], [*rows[1][:3], "much"], *rows[2:]])
    with pytest.raises(SettingsError, match="line 2: the column 'vc' wants a percentage, got 'much'"):
        check_folder(folder_of(), tmp_path)


def test_a_missing_film_is_named(tmp_path, films):
    (films / "film-02.png").unlink()
    with pytest.raises(MissingFileError, match=r"film-02\.png"):
        check_folder(folder_of(), tmp_path)


def test_a_missing_mask_is_named(tmp_path, films):
    (films / "masks" / "film-01.png").unlink()
    with pytest.raises(MissingFileError, match=r"film-01\.png has no mask"):
        check_folder(folder_of(), tmp_path)


def test_a_patient_in_two_splits_is_refused_without_naming_the_patient(tmp_path, films):
    parts = {"film-00.png": "train", "film-01.png": "test"}
    rewrite(
        films, lambda rows: [[*rows[0], "part"], *([*row, parts.get(row[0], "train")] for row in rows[1:])]
    )
    with pytest.raises(SettingsError, match="a patient is in two splits") as told:
        check_folder(folder_of(split="part"), tmp_path)
    assert "patient-0" not in str(told.value)


def test_a_value_for_a_body_that_is_not_there_is_refused(tmp_path, films):
    rewrite(films, lambda rows: [*rows, [rows[1][0], rows[1][1], "9", "5"]])
    checked = check_folder(folder_of(), tmp_path)
    with pytest.raises(SettingsError, match=r"body 9 of film-00\.png, which has 4 bodies"):
        read_folder(checked, 0, DataSettings(folders=(folder_of(),), canvas_px=160))


def test_a_mask_of_another_size_is_refused(tmp_path, films):
    Image.fromarray(np.ones((SHAPE[0] // 2, SHAPE[1]), np.uint8)).save(films / "masks" / "film-00.png")
    checked = check_folder(folder_of(), tmp_path)
    with pytest.raises(TruthFileError, match="80 x 96 pixels, the film has 160 x 96"):
        read_folder(checked, 0, DataSettings(folders=(folder_of(),), canvas_px=160))


def test_a_mask_of_one_value_is_divided_into_bodies(tmp_path, films):
    path = films / "masks" / "film-00.png"
    with Image.open(path) as mask:
        labels = np.asarray(mask)
    Image.fromarray(((labels > 0) * 255).astype(np.uint8)).save(path)
    film = read_folder(
        check_folder(folder_of(), tmp_path), 0, DataSettings(folders=(folder_of(),), canvas_px=160)
    )
    assert int(film.labels.max()) == 4


def test_nothing_is_trained_where_a_table_is_wrong(tmp_path, films):
    (films / "film-02.png").unlink()
    config = write_config(tmp_path)
    with pytest.raises(MissingFileError):
        run_experiment(config, tell=lambda _: None)
    assert not (tmp_path / "out" / "segmentation").exists()


def test_films_without_corners_cannot_teach_heights(tmp_path):
    write_folder(tmp_path)
    config = write_config(tmp_path)
    config.write_text(
        config.read_text()
        .replace('targets = "residual"', 'targets = "heights"')
        .replace('name = "residual"\nnetwork = {', 'name = "residual"\nnetwork = { out_channels = 4,')
    )
    with pytest.raises(SettingsError, match="learns heights, but the films have masks only"):
        run_experiment(config, tell=lambda _: None)
    assert not (tmp_path / "out" / "segmentation").exists()


def test_masks_and_corners_at_once_are_refused():
    with pytest.raises(SettingsError, match="either masks or corners"):
        folder_of(corners="truth.json")
