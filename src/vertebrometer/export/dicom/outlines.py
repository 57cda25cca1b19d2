"""The bodies of a report as a binary DICOM segmentation, one segment each."""

from __future__ import annotations

from typing import Final

import cv2
import highdicom as hd
import numpy as np
from highdicom import seg
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from vertebrometer.errors import DamagedImageError
from vertebrometer.export.dicom import codes
from vertebrometer.export.dicom.codes import Term
from vertebrometer.export.dicom.report_document import directions, outline_xy, tracking_name, weights_serial
from vertebrometer.export.dicom.uids import result_uid
from vertebrometer.export.overlay import band_colour
from vertebrometer.report import BodyReport, FilmReport

SERIES_NUMBER: Final = 9702
_GREY: Final = (170, 170, 170)


def segmentation(source: Dataset, report: FilmReport, *, revision: str = "") -> seg.Segmentation:
    """Write the outlines of a film's bodies as a segmentation of the same study.

    A pixel belongs to a body where its centre lies within the outline; bodies
    may overlap. Colours are those of the overlay.

    Parameters
    ----------
    source : Dataset
        As `source_of` gives it.
    report : FilmReport
        With at least one body.
    """
    shape = (int(source.get("Rows") or 0), int(source.get("Columns") or 0))
    if min(shape) < 1:
        msg = (
            "the film's header states no size, so no segmentation can be laid over it; export the film again"
        )
        raise DamagedImageError(msg)
    film_uid = str(source.SOPInstanceUID)
    masks = np.stack([body_mask(body, shape) for body in report.vertebrae], axis=-1)
    made = seg.Segmentation(
        source_images=[source],
        pixel_array=masks[None],
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(number, body, source, report, revision)
            for number, body in enumerate(report.vertebrae, start=1)
        ],
        series_instance_uid=result_uid(film_uid, report, "seg series", revision=revision),
        series_number=SERIES_NUMBER,
        series_description="Vertebral bodies (vertebrometer)",
        sop_instance_uid=result_uid(film_uid, report, "seg", revision=revision),
        instance_number=1,
        manufacturer=report.software.name,
        manufacturer_model_name=report.software.name,
        software_versions=report.software.version,
        device_serial_number=weights_serial(report.models),
        content_label="VERTEBRAE",
        content_description="Vertebral bodies, found by a program, not verified",
        omit_empty_frames=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    # A projection has no orientation in space, so the directions of the film stand for it.
    made.PatientOrientation = list(directions(report) or ()) or source.get("PatientOrientation")
    return made


def body_mask(body: BodyReport, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Fill the outline of a body: 1 inside, shape (rows, cols)."""
    mask = np.zeros(shape, dtype=np.uint8)
    cv2.fillPoly(mask, [np.round(outline_xy(body) * 16).astype(np.int32)], 1, shift=4)
    return mask


def _segment(
    number: int, body: BodyReport, source: Dataset, report: FilmReport, revision: str
) -> seg.SegmentDescription:
    colour = _GREY if body.percent is None else band_colour(body.percent)
    weights = {model.name: f"{model.version} sha256:{model.sha256}" for model in report.models}
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=tracking_name(body),
        segmented_property_category=_concept(codes.ANATOMY),
        segmented_property_type=_concept(codes.LEVEL_TERMS[body.level] if body.level else codes.VERTEBRA),
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=report.software.name,
            family=_concept(codes.ARTIFICIAL_INTELLIGENCE),
            version=report.software.version,
            parameters=weights or None,
        ),
        tracking_uid=result_uid(str(source.SOPInstanceUID), report, f"body {body.index}", revision=revision),
        tracking_id=tracking_name(body),
        display_color=hd.color.CIELabColor.from_rgb(*colour),
    )


def _concept(term: Term) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(value=term.value, scheme_designator=term.scheme, meaning=term.meaning)
