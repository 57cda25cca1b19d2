"""All DICOM results of one film, as objects and as files."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from vertebrometer.export.files import write_bytes
from vertebrometer.report import FilmReport
from vertebrometer.types import GrayImage


@dataclass(frozen=True, slots=True, eq=False)
class DicomResult:
    """One object, ready to be stored or sent."""

    kind: str
    """sr, seg or sc."""
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes
    """The whole file, with preamble and meta group."""


def dicom_results(
    source: Dataset, report: FilmReport, image: GrayImage | None, *, revision: str = ""
) -> list[DicomResult]:
    """Make the objects of one film: a report, and where there are bodies their outlines and the overlay.

    Parameters
    ----------
    source : Dataset
        As `read_source` or `source_of` gives it.
    report : FilmReport
        Its report.
    image : array, shape (rows, cols), optional
        The film as read; without it there is no overlay.
    revision : str
        Of a corrected report, so that its objects get UIDs of their own.
    """
    from vertebrometer.export.dicom.capture import overlay_capture  # noqa: PLC0415 (highdicom takes a second)
    from vertebrometer.export.dicom.outlines import segmentation  # noqa: PLC0415
    from vertebrometer.export.dicom.report_document import report_document  # noqa: PLC0415

    # Dates, names and numbers of the patient may break the rules; they are copied as they are.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects: list[tuple[str, Dataset]] = [("sr", report_document(source, report, revision=revision))]
        if report.vertebrae:
            objects.append(("seg", segmentation(source, report, revision=revision)))
            if image is not None:
                objects.append(("sc", overlay_capture(source, report, image, revision=revision)))
        return [
            DicomResult(kind, str(made.SOPClassUID), str(made.SOPInstanceUID), _encoded(made))
            for kind, made in objects
        ]


def write_dicom_results(folder: Path, name: str, results: list[DicomResult]) -> list[Path]:
    """Write the objects as ``<name>.<kind>.dcm``; one that is there under its UID stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for result in results:
        path = folder / f"{name}.{result.kind}.dcm"
        if sop_instance_uid_of(path) != result.sop_instance_uid:
            write_bytes(path, result.content)
        paths.append(path)
    return paths


def sop_instance_uid_of(path: Path) -> str | None:
    """Return the SOP Instance UID that a file's meta group states, or None."""
    from pydicom.filereader import read_file_meta_info  # noqa: PLC0415

    if not path.is_file():
        return None
    try:
        return str(UID(read_file_meta_info(path).MediaStorageSOPInstanceUID))
    except Exception:  # noqa: BLE001 (whatever lies there is not what we wrote)
        return None


def _encoded(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
