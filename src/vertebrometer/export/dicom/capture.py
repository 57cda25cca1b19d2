"""The overlay as a secondary capture, which every viewer shows."""

from __future__ import annotations

from typing import Final

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from vertebrometer.export.dicom.report_document import shown_directions, weights_serial
from vertebrometer.export.dicom.uids import result_uid
from vertebrometer.export.overlay import draw_overlay
from vertebrometer.report import FilmReport
from vertebrometer.types import GrayImage

SERIES_NUMBER: Final = 9703


def overlay_capture(
    source: Dataset, report: FilmReport, image: GrayImage, *, revision: str = ""
) -> hd.sc.SCImage:
    """Write the overlay picture of a film as a colour image of the same study.

    Parameters
    ----------
    source : Dataset
        As `source_of` gives it.
    image : array, shape (rows, cols)
        The film as read; 0 is dark.
    """
    film_uid = str(source.SOPInstanceUID)
    capture = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=draw_overlay(image, report),
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=shown_directions(report) or ("A", "F"),
        series_instance_uid=result_uid(film_uid, report, "sc series", revision=revision),
        series_number=SERIES_NUMBER,
        series_description="Vertebral compression overlay",
        sop_instance_uid=result_uid(film_uid, report, "sc", revision=revision),
        instance_number=1,
        manufacturer=report.software.name,
        manufacturer_model_name=report.software.name,
        software_versions=report.software.version,
        device_serial_number=weights_serial(report.models),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    if shown_directions(report) is None:
        capture.PatientOrientation = source.get("PatientOrientation")
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = str(source.get("BurnedInAnnotation") or "NO")
    capture.DerivationDescription = (
        "Outlines and compressions drawn over the film. Research use only, not verified."
    )
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, film_uid
    capture.SourceImageSequence = [reference]
    return capture
