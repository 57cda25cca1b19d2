"""The command line round a node, and anonymising."""

from __future__ import annotations

import json

import pydicom
import pytest

from tests.listener.harness import a_film, identity_in, until
from tests.radiographs.makers import item, save
from vertebrometer.cli import main


def run(*words, status=0) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == status


@pytest.fixture
def worked_off(make_node, pacs):
    """A node that measured one film and refused one, and was stopped."""
    node = make_node(more=pacs.destination()).start()
    node.send(a_film(), a_film(ViewPosition="AP"))
    until(lambda: node.deliveries() == {("pacs", "delivered"): 3} and "waiting" not in node.states())
    until(lambda: node.states() == {"measured": 1, "not_measured": 1})
    node.stop()
    return node


def test_jobs_are_listed_and_shown(worked_off, capsys):
    run("jobs", "list", "--config", worked_off.config, "--json")
    lines = json.loads(capsys.readouterr().out)
    assert [(line["job_id"], line["state"], line["reason"]) for line in lines] == [
        (2, "not_measured", "wrong_view"),
        (1, "measured", None),
    ]
    run("jobs", "list", "--config", worked_off.config)
    out = capsys.readouterr().out
    assert "1 measured" in out
    run("jobs", "show", 1, "--config", worked_off.config)
    shown = capsys.readouterr().out
    assert "sr to pacs: delivered" in shown
    assert "20.0" in shown
    run("jobs", "show", 1, "--config", worked_off.config, "--json")
    whole = json.loads(capsys.readouterr().out)
    assert [entry["event"] for entry in whole["audit"]][:2] == ["film_received", "measured"]
    assert identity_in(out + shown) == []


def test_jobs_are_retried_and_purged(worked_off, capsys):
    run("jobs", "retry", 2, "--config", worked_off.config)
    assert worked_off.states() == {"measured": 1, "waiting": 1}
    run("jobs", "purge", 2, "--config", worked_off.config, status=2)
    assert "has not ended yet" in capsys.readouterr().err
    run("jobs", "purge", "--older-than-days", 0, "--config", worked_off.config)
    assert list((worked_off.data / "results").rglob("*.dcm")) == []
    assert len(list((worked_off.data / "films").glob("*/*"))) == 1
    assert len(worked_off.audit("film_purged")) == 1


def test_wrong_calls_are_answered_in_words(worked_off, capsys):
    run("jobs", "show", 99, "--config", worked_off.config, status=2)
    assert "there is no job 99" in capsys.readouterr().err
    run("jobs", "retry", "--config", worked_off.config, status=2)
    assert "one of the two" in capsys.readouterr().err
    run("serve-dicom", "--check", "--config", worked_off.config)
    assert "is sound: node n1, listens as VCNODE" in capsys.readouterr().out


def test_anonymised_films_hold_nothing_of_the_patient(tmp_path, capsys):
    pytest.importorskip("dicomanonymizer")
    film = a_film(
        InstitutionName="Spinelli Hospital",
        OperatorsName="Quentina",
        AnatomicRegionSequence=[item(CodeValue="1", CodeMeaning="x", PatientName="Spinelli^Quentina")],
    )
    film.add_new(0x00091010, "LO", "Spinelli")
    folder = tmp_path / "in"
    folder.mkdir()
    save(film, folder / "Spinelli.dcm")
    other = a_film(StudyInstanceUID=film.StudyInstanceUID)
    save(other, folder / "b.dcm")
    (folder / "Quentina.txt").write_text("Spinelli")
    run("anonymise", folder, "--out", tmp_path / "out", status=1)
    said = capsys.readouterr()
    assert "burned into the image" in said.out
    assert identity_in(said.out + said.err) == []
    copies = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in copies] == ["film-0001.dcm", "film-0002.dcm"]
    for path in copies:
        content = path.read_bytes().lower()
        header = content[: content.rindex(b"\xe0\x7f\x10\x00")]
        assert identity_in(header.decode("latin-1")) == []
    first, second = (pydicom.dcmread(path) for path in copies)
    assert first.PatientIdentityRemoved == "YES"
    assert first.StudyInstanceUID == second.StudyInstanceUID != film.StudyInstanceUID
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID != second.SOPInstanceUID
    assert first.PixelData in (film.PixelData, other.PixelData)
