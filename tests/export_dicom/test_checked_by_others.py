"""What other people's tools say of our objects."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytest.importorskip("highdicom")

from tests.export_dicom.makers import film, picture, report
from vertebrometer.export.dicom import dicom_results, source_of, write_dicom_results

pytestmark = [
    pytest.mark.pacs,
    pytest.mark.skipif(
        not (shutil.which("dciodvfy") and shutil.which("dsrdump")),
        reason="dciodvfy and dsrdump are missing: scripts/install-pacs-tools.sh",
    ),
]

ALLOWED = {
    # Type 2C: wanted of a paired part of the body, which the spine is not; dciodvfy cannot know.
    "Error - Missing attribute Type 2C Conditional Element=<Laterality> Module=<GeneralSeries>",
}


@pytest.fixture
def written(tmp_path):
    return write_dicom_results(tmp_path, "film", dicom_results(source_of(film()), report(), picture()))


def said(*command) -> str:
    ran = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, errors="replace"
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", ["sr", "seg", "sc"])
def test_dciodvfy_finds_no_error_beyond_the_allowed(written, kind):
    path = next(path for path in written if path.name == f"film.{kind}.dcm")
    errors = [line for line in said("dciodvfy", path).splitlines() if line.startswith("Error")]
    assert set(errors) <= ALLOWED


def test_dsrdump_prints_the_report(written):
    text = said("dsrdump", "+Pl", written[0])
    for words in (
        "Vertebral compression",
        "UNVERIFIED",
        "PRELIMINARY",
        "L2 vertebra",
        "Anterior height",
        "mm",
    ):
        assert words in text
