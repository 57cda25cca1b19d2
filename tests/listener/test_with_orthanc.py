"""Round trips through a real archive."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from tests.listener.fake_node import measure_film
from tests.listener.harness import a_film, send, until
from tests.listener.orthanc import running_orthanc
from tests.radiographs.makers import save
from vertebrometer.export.dicom import report_of_document
from vertebrometer.report import report_as_dict

pytestmark = pytest.mark.pacs


def objects_of_study(orthanc, film) -> dict[str, pydicom.Dataset]:
    """What QIDO finds in a study, by modality."""
    client = DICOMwebClient(url=orthanc.web)
    found = client.search_for_instances(study_instance_uid=film.StudyInstanceUID)
    return {
        dataset.Modality: dataset
        for dataset in (
            client.retrieve_instance(
                film.StudyInstanceUID, line["0020000E"]["Value"][0], line["00080018"]["Value"][0]
            )
            for line in found
        )
    }


def values(report) -> list[dict]:
    return report_as_dict(report)["vertebrae"]


@pytest.mark.parametrize("back", ["dicom", "stow"])
def test_orthanc_forwards_a_film_and_finds_results_in_its_study(make_node, tmp_path, back):
    node = make_node()
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder, node_port=node.port, forwards=True) as orthanc:
        node.write(more=orthanc.destination(kind=back))
        node.start()
        film = a_film()
        assert send(orthanc.dicom, film, calling="CR1", called="ORTHANC") == [0]
        until(lambda: node.deliveries() == {("orthanc", "delivered"): 3}, seconds=40)
        objects = objects_of_study(orthanc, film)
        assert set(objects) == {"CR", "SR", "SEG", "OT"}
        expected = measure_film(save(film, tmp_path / "film.dcm")).report
        assert values(report_of_document(objects["SR"])) == values(expected)
        assert objects["SEG"].pixel_array.shape == (3, film.Rows, film.Columns)
        assert objects["OT"].pixel_array.shape[2] == 3
        assert objects["CR"].PixelData == film.PixelData
        assert node.states() == {"measured": 1}


def test_an_archive_is_asked_for_new_films_by_rules(make_node, tmp_path):
    node = make_node()
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder, node_port=node.port, forwards=False) as orthanc:
        rule = f'[[archives]]\nname = "house"\nurl = "{orthanc.web}"\nevery_s = 0.5\nmodalities = ["CR"]\n'
        node.write(more=rule + 'body_part = "SPINE"\n' + orthanc.destination(kind="stow"))
        node.start()
        today = f"{date.today():%Y%m%d}"
        wanted = a_film(StudyDate=today, BodyPartExamined="LSPINE")
        others = [
            a_film(StudyDate=today, BodyPartExamined="HAND"),
            a_film(StudyDate="20200101", BodyPartExamined="LSPINE"),
            a_film(StudyDate=today, BodyPartExamined="LSPINE", Modality="DX"),
        ]
        assert send(orthanc.dicom, wanted, *others, calling="CR1", called="ORTHANC") == [0] * 4
        until(lambda: node.deliveries() == {("orthanc", "delivered"): 3}, seconds=40)
        assert set(objects_of_study(orthanc, wanted)) == {"CR", "SR", "SEG", "OT"}
        assert node.states() == {"measured": 1}


def test_storescu_findscu_and_movescu_work_with_it(make_node, tmp_path):
    if not all(shutil.which(program) for program in ("storescu", "findscu", "movescu", "echoscu")):
        pytest.skip("dcmtk is missing: scripts/install-pacs-tools.sh")
    node = make_node()
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder, node_port=node.port, forwards=False) as orthanc:
        node.write(more=orthanc.destination())
        node.start()
        film = a_film()
        path = save(film, tmp_path / "film.dcm")
        run("echoscu", "-aec", "VCNODE", "127.0.0.1", node.port)
        run("storescu", "-aec", "ORTHANC", "127.0.0.1", orthanc.dicom, path)
        # The archive is told to move the film to the node, as a radiographer would from a viewer.
        run("movescu", "-S", "-aec", "ORTHANC", "-aem", "VCNODE", "127.0.0.1", orthanc.dicom,
            "-k", "0008,0052=STUDY", "-k", f"0020,000D={film.StudyInstanceUID}")  # fmt: skip
        until(lambda: node.deliveries() == {("orthanc", "delivered"): 3}, seconds=40)
        answer = run("findscu", "-S", "-aec", "ORTHANC", "127.0.0.1", orthanc.dicom, "-k", "0008,0052=SERIES",
                     "-k", f"0020,000D={film.StudyInstanceUID}", "-k", "0008,0060")  # fmt: skip
        assert all(f"[{modality}" in answer for modality in ("SR", "SEG", "OT"))
        run("storescu", "-aec", "VCNODE", "127.0.0.1", node.port, path)
        assert node.states() == {"measured": 1}


def run(*words: object) -> str:
    done = subprocess.run(
        list(map(str, words)), check=False, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout + done.stderr
