from __future__ import annotations

import os

from PIL import Image

from vertebrometer.radiographs import find_films

from . import makers


def study(folder):
    """Write an exported study: films without extension, and what lies beside them."""
    for name in ("A/IM0001", "A/IM0002", "B/IM0001"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        makers.save(makers.dataset(), path)
    Image.fromarray(makers.spine(bits=8)).save(folder / "scan.tif")
    Image.fromarray(makers.spine(bits=8)).save(folder / "IM0001.overlay.png")
    makers.save(makers.dataset(), folder / "DICOMDIR")
    makers.save(makers.dataset(), folder / ".hidden")
    makers.save(
        makers.dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", PixelData=None),
        folder / "SR0001",
    )
    (folder / "film.json").write_text("{}")
    (folder / "measurements.csv").write_text("film\n")
    (folder / "empty").touch()
    return folder


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_films_are_found_by_what_they_contain(tmp_path):
    found = find_films([study(tmp_path)])
    assert names(found, tmp_path) == ["A/IM0001", "A/IM0002", "B/IM0001", "scan.tif"]


def test_a_named_file_is_always_kept(tmp_path):
    study(tmp_path)
    named = [tmp_path / "film.json", tmp_path / "nothing here", tmp_path / "IM0001.overlay.png"]
    assert set(find_films(named)) == set(named)


def test_a_film_given_twice_comes_once(tmp_path):
    study(tmp_path)
    twice = [tmp_path / "A", tmp_path / "A" / "IM0001", tmp_path / "B" / ".." / "A"]
    assert len(find_films(twice)) == 2


def test_links_that_lead_in_a_circle_end(tmp_path):
    study(tmp_path)
    (tmp_path / "A" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "A" / "IM0001")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert len(find_films([tmp_path])) == 4


def test_a_film_without_preamble_is_found(tmp_path):
    whole = makers.save(makers.dataset(), tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(whole[whole.index(b"\x08\x00\x16\x00") :])
    (tmp_path / "not").write_bytes(b"\x08\x00 is how this sentence starts, and it goes on")
    assert names(find_films([tmp_path]), tmp_path) == ["x"]


def test_a_folder_that_may_not_be_opened_is_not_passed_over(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refuse(path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_films([tmp_path]) == [closed]
