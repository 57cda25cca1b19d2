"""Results as DICOM: a structured report, a segmentation and a secondary capture in the film's own study.

Writing needs the extra ``dicom``; reading a report back does not.
"""

from vertebrometer.export.dicom.document_reading import read_report_document, report_of_document
from vertebrometer.export.dicom.needs import require_extra
from vertebrometer.export.dicom.source import read_source, source_of
from vertebrometer.export.dicom.writing import DicomResult, dicom_results, write_dicom_results

__all__ = [
    "DicomResult",
    "dicom_results",
    "read_report_document",
    "read_source",
    "report_of_document",
    "require_extra",
    "source_of",
    "write_dicom_results",
]
