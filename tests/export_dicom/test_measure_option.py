"""``measure --dicom-out`` and ``read-report``, end to end with a measurer without weights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("highdicom")

from tests.cli.fakes import measure_with_fakes
from tests.export_dicom.makers import film
from tests.radiographs.makers import save
from vertebrometer.cli import main
from vertebrometer.export.dicom import needs
from vertebrometer.report import report_as_dict, report_from_json


@pytest.fixture(autouse=True)
def pipeline(monkeypatch):
    measure_with_fakes(monkeypatch)


def run(*words, status=0):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == status


def test_the_dicom_report_says_what_the_json_report_says(tmp_path, capsys):
    path = save(film(), tmp_path / "film.dcm")
    out, dicom = tmp_path / "out", tmp_path / "dicom"
    run("measure", path, "--out", out, "--dicom-out", dicom, "--quiet")
    assert sorted(p.name for p in dicom.iterdir()) == ["film.sc.dcm", "film.seg.dcm", "film.sr.dcm"]
    capsys.readouterr()
    run("read-report", dicom / "film.sr.dcm", "--json")
    back = report_from_json(capsys.readouterr().out)
    there = report_from_json((out / "film.json").read_text())
    assert report_as_dict(back) == report_as_dict(replace(there, elapsed_s=0.0))
    before = {p: p.read_bytes() for p in dicom.iterdir()}
    run("measure", path, "--dicom-out", dicom, "--quiet")
    assert {p: p.read_bytes() for p in dicom.iterdir()} == before
    run("read-report", dicom / "film.sr.dcm")
    assert "20.0" in capsys.readouterr().out


def test_films_of_the_same_name_get_results_of_their_own(tmp_path):
    for study in ("a", "b"):
        (tmp_path / study).mkdir()
        save(film(), tmp_path / study / "IM1.dcm")
    run("measure", tmp_path / "a", tmp_path / "b", "--dicom-out", tmp_path / "dicom", "--quiet")
    assert sorted(p.name for p in (tmp_path / "dicom").glob("*.sr.dcm")) == ["a__IM1.sr.dcm", "b__IM1.sr.dcm"]


def test_a_film_without_a_study_is_named(tmp_path, capsys):
    import cv2
    import numpy as np

    path = tmp_path / "film.png"
    cv2.imwrite(str(path), np.tile(np.linspace(0, 60000, 300, dtype=np.uint16), (400, 1)))
    run("measure", path, "--dicom-out", tmp_path / "dicom", "--quiet", status=1)
    assert "no DICOM results for film.png" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    path = save(film(), tmp_path / "film.dcm")
    run("measure", path, "--dicom-out", tmp_path / "dicom", status=2)
    assert "pip install 'vertebrometer[dicom]'" in capsys.readouterr().err


def test_what_was_written_is_valid_json_when_printed(tmp_path, capsys):
    path = save(film(), tmp_path / "film.dcm")
    run("measure", path, "--dicom-out", tmp_path / "dicom", "--quiet")
    capsys.readouterr()
    run("read-report", tmp_path / "dicom" / "film.sr.dcm", "--json")
    assert json.loads(capsys.readouterr().out)["schema"] == "vertebrometer.report/1"
