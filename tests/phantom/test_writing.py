"""Facts about phantoms as files: they come back, truth last, the same whatever the count."""

from __future__ import annotations

import json

import numpy as np
import pytest

import vertebrometer.phantom.writing as writing
from tests.phantom.conftest import QUICK_MM
from vertebrometer.anatomy import Facing, read_truth
from vertebrometer.errors import OutputError, SettingsError, UnknownNameError
from vertebrometer.phantom import make_phantom, write_phantoms
from vertebrometer.phantom.making import draw_phantom
from vertebrometer.radiographs import SpacingSource, read_radiograph


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Draw on coarse pixels; all else is as it is."""

    def draw(rng, **drawn):
        return draw_phantom(rng, **drawn, pixel_mm=QUICK_MM)

    monkeypatch.setattr("vertebrometer.phantom.making.draw_phantom", draw)


@pytest.fixture
def folder(tmp_path):
    write_phantoms(4, 5, tmp_path)
    return tmp_path


def test_films_and_truth_lie_where_they_are_expected(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"phantom-{n:04d}.dcm" for n in range(1, 5)),
        "truth.json",
    ]


def test_reading_a_film_gives_it_back_to_the_last_bit(folder):
    for number in range(1, 5):
        settings = writing.numbered_settings(5, number)
        made, read = make_phantom(settings), read_radiograph(folder / f"phantom-{number:04d}.dcm")
        assert np.abs(made.radiograph.image - read.image).max() < 1e-6
        assert read.spacing.source is SpacingSource.CALIBRATED
        assert read.spacing.rc == pytest.approx((QUICK_MM, QUICK_MM))
        wanted = "MONOCHROME1" if settings.imaging.monochrome1 else "MONOCHROME2"
        assert read.facts["photometric"] == wanted
        assert read.facts["view"] == "lateral"


def test_the_truth_file_reads_as_truth_of_the_films(folder):
    for film in read_truth(folder / "truth.json"):
        assert film.shape == read_radiograph(folder / film.file).image.shape
        assert film.has_six_points
        assert film.facing in (Facing.LEFT, Facing.RIGHT)
        made = make_phantom(writing.numbered_settings(5, int(film.file[8:12]))).truth
        whole = [body for body in made.bodies if body.whole]
        for read, true in zip(film.bodies, whole, strict=True):
            assert read.level == true.level
            assert np.abs(read.points.points_rc - true.points.points_rc).max() < 0.001


def test_the_truth_states_field_heights_and_compression(folder):
    films = json.loads((folder / "truth.json").read_text())["films"]
    for film in films:
        assert film["field"] in ("lumbar", "thoracolumbar", "thoracic", "whole-spine", "dxa")
        assert "compression_percent" not in film["vertebrae"][0]
        heights = [body["heights_mm"]["anterior"] for body in film["vertebrae"]]
        for n in range(1, len(heights) - 1):
            expected = (heights[n - 1] + heights[n + 1]) / 2
            percent = film["vertebrae"][n]["compression_percent"]
            assert percent == pytest.approx(100 * (1 - heights[n] / expected), abs=0.01)


def test_film_n_does_not_depend_on_how_many_there_are(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("two")
    write_phantoms(2, 5, other)
    for number in (1, 2):
        name = f"phantom-{number:04d}.dcm"
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_an_interrupted_run_leaves_no_truth_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    made = []

    def stop_after_two(path, *args):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path.name)
        return write(path, *args)

    write = writing._write_film
    monkeypatch.setattr(writing, "_write_film", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        write_phantoms(3, 1, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phantom-0001.dcm", "phantom-0002.dcm"]
    made.clear()
    write_phantoms(3, 1, tmp_path)
    assert made == ["phantom-0003.dcm"]
    made.clear()
    monkeypatch.setattr(writing, "_write_film", lambda path, *args: made.append(path.name))
    write_phantoms(3, 1, tmp_path)
    assert len(made) == 3  # a finished set is made anew


def test_films_of_another_seed_are_not_taken_for_ones_own(tmp_path):
    write_phantoms(1, 1, tmp_path)
    first = (tmp_path / "phantom-0001.dcm").read_bytes()
    (tmp_path / "truth.json").unlink()
    write_phantoms(1, 2, tmp_path)
    assert (tmp_path / "phantom-0001.dcm").read_bytes() != first


def test_only_fields_asked_for_are_drawn(tmp_path):
    write_phantoms(2, 0, tmp_path, ("thoracic",))
    films = json.loads((tmp_path / "truth.json").read_text())["films"]
    assert [film["field"] for film in films] == ["thoracic", "thoracic"]


def test_wrong_calls_are_refused_before_anything_is_written(tmp_path):
    for call, error in (
        ((1, 0, tmp_path / "x", ("knee",)), UnknownNameError),
        ((0, 0, tmp_path / "x"), SettingsError),
        ((1, -1, tmp_path / "x"), SettingsError),
    ):
        with pytest.raises(error):
            write_phantoms(*call)
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_phantoms(1, 0, tmp_path / "file" / "x")
