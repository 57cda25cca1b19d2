"""Films without their patient: the basic profile of PS3.15, annex E, as a library keeps it."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from vertebrometer.errors import MissingExtraError, UnreadableFileError

METHOD: Final = "PS3.15 basic profile"
CANNOT_KNOW: Final = (
    "What cannot be known: text that is burned into the image, such as names on films that were scanned or "
    "captured, and whatever the anatomy itself gives away. Look at each film before it leaves the house."
)


def anonymous(path: Path) -> bytes:
    """Return a DICOM film without names, identifiers, dates and private elements.

    UIDs are replaced, the same one by the same one within a process, so that
    films of one study stay together. Pixels are not touched.

    Raises
    ------
    MissingExtraError
        The library is not installed.
    UnreadableFileError
        The file is no DICOM object, or its header is damaged.
    """
    if find_spec("dicomanonymizer") is None:
        msg = "anonymising needs dicom-anonymizer: pip install 'vertebrometer[anonymise]'"
        raise MissingExtraError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            _clean(dataset)
            dataset.preamble = b"\0" * 128
            dataset.PatientIdentityRemoved = "YES"
            dataset.DeidentificationMethod = METHOD
            dataset.DeidentificationMethodCodeSequence = [_profile()]
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            buffer = io.BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            return buffer.getvalue()
    except Exception as error:  # noqa: BLE001 (a damaged header makes pydicom raise anything, with values quoted)
        msg = f"the file is no sound DICOM object and was not anonymised ({type(error).__name__})"
        raise UnreadableFileError(msg) from None


def _clean(dataset: Dataset) -> None:
    """Apply the profile to a data set and to all items in it; the library itself looks at the top only."""
    from dicomanonymizer.simpledicomanonymizer import (  # noqa: PLC0415 (an extra)
        anonymize_dataset,
        initialize_actions_2024b,
    )

    anonymize_dataset(dataset, base_rules_gen=initialize_actions_2024b, delete_private_tags=True)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _clean(item)


def _profile() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    return code
