"""Films into DICOM files, for films that are no patient's: phantoms and projections."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from vertebrometer.anatomy import Facing
from vertebrometer.errors import OutputError, SettingsError
from vertebrometer.radiographs.limits import check_size
from vertebrometer.radiographs.radiograph import PixelSpacing, SpacingSource
from vertebrometer.types import GrayImage

FilmModality = Literal["DX", "CR", "BMD", "OT"]

# A densitometer's picture comes as CR or as a capture; as CR, its word on what is bright counts.
_SOP_CLASSES: Final[dict[str, UID]] = {
    "DX": DigitalXRayImageStorageForPresentation,
    "CR": ComputedRadiographyImageStorage,
    "BMD": ComputedRadiographyImageStorage,
    "OT": SecondaryCaptureImageStorage,
}
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "vertebrometer.radiographs.writing")
_SYNTHETIC: Final = "Synthetic film made by vertebrometer; it shows no patient"


def write_radiograph_dicom(
    path: Path,
    image: GrayImage,
    *,
    uid_seed: str,
    bits: int = 12,
    monochrome1: bool = False,
    spacing: PixelSpacing | None = None,
    modality: FilmModality = "DX",
    facing: Facing = Facing.UNKNOWN,
) -> None:
    """Write a synthetic film as a DICOM file of a synthetic patient.

    Parameters
    ----------
    path : Path
        A file there is replaced in one step; a kill leaves the old one or the new one.
    image : GrayImage
        0 air-dark to 1 bone-bright. `read_radiograph` gives it back, to a step of `bits`.
    uid_seed : str
        All identifiers follow from it, so that the same film is the same object again.
    bits : int
        Bits of a grey level, 8 to 16.
    monochrome1 : bool
        Whether small numbers are bright.
    spacing : PixelSpacing, optional
        Size of a pixel; a DX image has to state one.
    modality : {"DX", "CR", "BMD", "OT"}
        BMD, a densitometer's picture, is stored as CR; OT is a secondary capture.
    facing : Facing
        Side of the film on which the front of the spine is; stated where it is known.

    Raises
    ------
    SettingsError
        The bits, the modality or the lack of a spacing do not go together.
    OutputError
        The file cannot be written.
    """
    if not 8 <= bits <= 16:
        msg = f"a grey level has 8 to 16 bits, got {bits}"
        raise SettingsError(msg)
    if modality not in _SOP_CLASSES:
        msg = f"a film's modality is one of {', '.join(_SOP_CLASSES)}, got {modality!r}"
        raise SettingsError(msg)
    if modality == "DX" and spacing is None:
        msg = "a DX image has to state the size of its pixels; give a spacing, or modality CR"
        raise SettingsError(msg)
    check_size(*image.shape)
    film = Dataset()
    film.file_meta = FileMetaDataset()
    _add_identity(film, uid_seed, _SOP_CLASSES[modality], modality)
    _add_picture(film, image, bits=bits, monochrome1=monochrome1)
    if modality == "DX":
        _add_digital_x_ray(film, monochrome1=monochrome1)
    if modality == "OT":
        film.ConversionType = "SYN"
    else:
        film.ViewPosition = "LL"
    _add_spacing(film, spacing, capture=modality == "OT")
    if facing is not Facing.UNKNOWN:
        # Towards higher columns lies the back of a spine that faces left.
        film.PatientOrientation = ["P" if facing is Facing.LEFT else "A", "F"]
    _save(film, path)


def instance_uid(uid_seed: str) -> UID:
    """Return the SOP Instance UID of a film written with `uid_seed`."""
    return _uid(f"{uid_seed}/instance")


def holds_instance(path: Path, uid_seed: str) -> bool:
    """Whether the file at `path` is the film that was written with `uid_seed`; False where there is none."""
    try:
        found = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError):
        return False
    return str(found.get("SOPInstanceUID", "")) == instance_uid(uid_seed)


def _uid(name: str) -> UID:
    # PS3.5, B.2: a UUID as one whole number below 2.25.
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def _add_identity(film: Dataset, uid_seed: str, sop_class: UID, modality: str) -> None:
    film.SOPClassUID, film.SOPInstanceUID = sop_class, instance_uid(uid_seed)
    film.StudyInstanceUID, film.SeriesInstanceUID = _uid(f"{uid_seed}/study"), _uid(f"{uid_seed}/series")
    film.SpecificCharacterSet = "ISO_IR 100"
    film.PatientName, film.PatientID = "PHANTOM^VERTEBROMETER", f"PHANTOM-{_uid(uid_seed)[-12:]}"
    for empty in (
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ReferringPhysicianName",
        "ContentDate",
        "ContentTime",
        "PatientOrientation",
    ):
        setattr(film, empty, "")
    film.StudyID, film.SeriesNumber, film.InstanceNumber = "1", "1", "1"
    film.Modality, film.BodyPartExamined = modality, "SPINE"
    film.Manufacturer, film.ManufacturerModelName = "vertebrometer", "phantom"
    film.StudyDescription = film.SeriesDescription = "Synthetic lateral spine, no patient"
    film.ImageComments = _SYNTHETIC
    film.ImageType = ["DERIVED", "PRIMARY"]
    film.DerivationDescription = _SYNTHETIC
    film.QualityControlImage = "YES"  # PS3.3, C.7.6.1: a quality control or phantom image
    film.BurnedInAnnotation = "NO"
    film.LossyImageCompression = "00"
    meta = film.file_meta
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, film.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = _uid("implementation"), "VERTEBROMETER"


def _add_picture(film: Dataset, image: GrayImage, *, bits: int, monochrome1: bool) -> None:
    most = 2**bits - 1
    levels = np.rint(np.clip(np.asarray(image, dtype=np.float64), 0, 1) * most)
    stored = (most - levels if monochrome1 else levels).astype("<u1" if bits == 8 else "<u2")
    film.Rows, film.Columns = stored.shape
    film.SamplesPerPixel = 1
    film.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 8 * stored.itemsize, bits, bits - 1
    film.PixelRepresentation = 0
    # The window from the least number to the largest, as PS3.3, C.11.2.1.2.1 counts it.
    film.WindowCenter, film.WindowWidth = str(2 ** (bits - 1)), str(2**bits)
    film.WindowCenterWidthExplanation = "ALL"
    film.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    film["PixelData"].VR = "OB" if bits == 8 else "OW"


def _add_digital_x_ray(film: Dataset, *, monochrome1: bool) -> None:
    """Add what PS3.3, A.26 asks of a digital X-ray image beyond a CR one."""
    film.PresentationIntentType = "FOR PRESENTATION"
    film.ImageLaterality = "U"
    film.PixelIntensityRelationship = "LOG"
    # 1: smaller numbers mean less radiation, as where bone is small; -1: the other way round.
    film.PixelIntensityRelationshipSign = 1 if monochrome1 else -1
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = "0", "1", "US"
    film.PresentationLUTShape = "INVERSE" if monochrome1 else "IDENTITY"
    film.DetectorType = ""
    film.PositionerType = "NONE"
    film.AcquisitionContextSequence = []
    film.ViewCodeSequence = [_code("399067008", "lateral projection")]
    film.ViewCodeSequence[0].ViewModifierCodeSequence = []
    film.AnatomicRegionSequence = [_code("421060004", "Vertebral column")]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _add_spacing(film: Dataset, spacing: PixelSpacing | None, *, capture: bool) -> None:
    if spacing is None:
        return
    pair = [f"{value:.10g}" for value in spacing.rc]
    if spacing.source is SpacingSource.DETECTOR and not capture:
        film.ImagerPixelSpacing = pair
        return
    film.PixelSpacing = pair
    if not capture:
        film.ImagerPixelSpacing = pair
    if spacing.source is SpacingSource.CALIBRATED:
        film.PixelSpacingCalibrationType = "GEOMETRY"
        film.PixelSpacingCalibrationDescription = "Size in the plane of the spine, known by construction"


def _save(film: Dataset, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.vertebrometer-part")
    try:
        film.save_as(part, enforce_file_format=True)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        msg = f"the film cannot be written: {error.strerror or type(error).__name__}"
        raise OutputError(msg) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
