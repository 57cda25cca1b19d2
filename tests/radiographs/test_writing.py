"""Facts about films that are written: valid, deterministic, and read back as they were."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from vertebrometer.anatomy import Facing
from vertebrometer.errors import OutputError, SettingsError
from vertebrometer.radiographs import PixelSpacing, SpacingSource, read_radiograph, write_radiograph_dicom
from vertebrometer.radiographs.writing import holds_instance

SPACING = PixelSpacing(0.2, 0.21, SpacingSource.CALIBRATED)


@pytest.fixture
def film():
    r, c = np.mgrid[:120, :90].astype(np.float32)
    return np.clip(0.1 + 0.6 * np.exp(-(((c - 45) / 25) ** 2)) + 0.2 * np.sin(r / 6), 0, 1).astype(np.float32)


@pytest.mark.parametrize("monochrome1", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("modality", ["DX", "CR", "BMD", "OT"])
def test_a_film_comes_back_to_half_a_grey_level(tmp_path, film, modality, bits, monochrome1):
    path = tmp_path / "film.dcm"
    write_radiograph_dicom(
        path, film, uid_seed="a", bits=bits, monochrome1=monochrome1, spacing=SPACING, modality=modality
    )
    read = read_radiograph(path)
    assert np.abs(read.image - film).max() <= 0.501 / (2**bits - 1)
    assert read.spacing == SPACING
    assert read.facts["photometric"] == ("MONOCHROME1" if monochrome1 else "MONOCHROME2")


@pytest.mark.parametrize("source", [SpacingSource.CALIBRATED, SpacingSource.DETECTOR])
def test_what_the_spacing_refers_to_travels_with_it(tmp_path, film, source):
    write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", spacing=PixelSpacing(0.15, 0.15, source))
    assert read_radiograph(tmp_path / "a").spacing == PixelSpacing(0.15, 0.15, source)


def test_without_spacing_none_is_made_up(tmp_path, film):
    write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", modality="CR")
    assert read_radiograph(tmp_path / "a").spacing is None
    with pytest.raises(SettingsError, match="modality CR"):
        write_radiograph_dicom(tmp_path / "b", film, uid_seed="a", modality="DX")


@pytest.mark.parametrize(("facing", "towards"), [(Facing.LEFT, "P"), (Facing.RIGHT, "A")])
def test_the_header_says_which_way_the_patient_faces(tmp_path, film, facing, towards):
    write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", spacing=SPACING, facing=facing)
    assert list(pydicom.dcmread(tmp_path / "a").PatientOrientation) == [towards, "F"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_object(tmp_path, film):
    for name, seed in (("a", "x"), ("b", "x"), ("c", "y")):
        write_radiograph_dicom(tmp_path / name, film, uid_seed=seed, spacing=SPACING)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    headers = [pydicom.dcmread(tmp_path / name) for name in "ac"]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID"):
        assert len({header[keyword].value for header in headers}) == 2
    assert holds_instance(tmp_path / "a", "x")
    assert not holds_instance(tmp_path / "c", "x")
    assert not holds_instance(tmp_path / "missing", "x")


def test_the_header_says_that_it_is_no_patient(tmp_path, film):
    write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", spacing=SPACING)
    header = pydicom.dcmread(tmp_path / "a")
    assert str(header.PatientName).startswith("PHANTOM^")
    assert header.QualityControlImage == "YES"
    assert "no patient" in header.ImageComments
    assert header.PatientBirthDate == ""
    assert all(
        len(header[k].value) <= 64 for k in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    )


def test_what_a_dx_image_must_state_is_there(tmp_path, film):
    write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", spacing=SPACING, monochrome1=True)
    header = pydicom.dcmread(tmp_path / "a")
    assert header.PresentationIntentType == "FOR PRESENTATION"
    assert header.PresentationLUTShape == "INVERSE"
    assert header.PixelIntensityRelationshipSign == 1
    for keyword in ("ImagerPixelSpacing", "ImageLaterality", "AnatomicRegionSequence", "DetectorType"):
        assert keyword in header


@pytest.mark.parametrize("wrong", [{"bits": 7}, {"bits": 17}, {"modality": "CT"}])
def test_impossible_requests_are_refused(tmp_path, film, wrong):
    with pytest.raises(SettingsError):
        write_radiograph_dicom(tmp_path / "a", film, uid_seed="a", **{"spacing": SPACING} | wrong)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_what_was_there(tmp_path, film):
    with pytest.raises(OutputError):
        write_radiograph_dicom(tmp_path / "missing" / "a", film, uid_seed="a", spacing=SPACING)
    assert not list(tmp_path.iterdir())
