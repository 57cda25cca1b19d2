"""The film that results belong to: what its header must say, and what may be filled in."""

from __future__ import annotations

import copy
import re
import warnings
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from vertebrometer.errors import NoStudyError, UnreadableFileError

# Type 2 attributes of the patient and study modules: they must be there, and may be empty.
_MAY_BE_EMPTY: Final = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_COPIED: Final = (
    *_MAY_BE_EMPTY,
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "StudyDescription", "IssuerOfPatientID", "OtherPatientIDs", "PatientAge", "PatientSize", "PatientWeight",
    "PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified",
    "Modality", "Rows", "Columns", "PatientOrientation", "Laterality", "ImageLaterality", "BodyPartExamined",
    "ImagerPixelSpacing", "PixelSpacing", "PixelAspectRatio", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "BurnedInAnnotation",
)  # fmt: skip
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_SEXES: Final = ("M", "F", "O", "")


def read_source(path: Path) -> Dataset:
    """Read the header of a DICOM film, without its pixels.

    Raises
    ------
    NoStudyError
        The file is no DICOM object, or states no study.
    UnreadableFileError
        The header is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            return source_of(header)
    except (NoStudyError, UnreadableFileError):
        raise
    except Exception:  # noqa: BLE001 (a damaged header makes pydicom raise anything, with values quoted)
        msg = "the DICOM header is damaged and cannot be read; export the film again"
        raise UnreadableFileError(msg) from None


def source_of(dataset: Dataset) -> Dataset:
    """Return what results copy from a film's header; the film itself is not touched.

    Raises
    ------
    NoStudyError
        A UID that ties results to the film's study is missing or no UID.
    """
    source = Dataset()
    for keyword in _COPIED:
        if keyword in dataset:
            source[keyword] = copy.deepcopy(dataset[keyword])
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        uid = str(source.get(keyword) or "")
        if not _UID.fullmatch(uid) or len(uid) > 64:
            msg = f"the film states no valid {keyword}, so it has no study that DICOM results could join"
            raise NoStudyError(msg)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in source or source[keyword].is_empty:
            setattr(source, keyword, None if keyword.endswith(("Date", "Time")) else "")
    if str(source.PatientSex) not in _SEXES:
        source.PatientSex = ""
    if not source.get("SOPClassUID"):
        source.SOPClassUID = SecondaryCaptureImageStorage
    source.SOPClassUID = UID(str(source.SOPClassUID))
    source.file_meta = pydicom.dataset.FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return source
