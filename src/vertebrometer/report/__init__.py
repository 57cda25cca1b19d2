"""The report of one film: its values, how they are made, and their file form."""

from vertebrometer.report.form import (
    read_report,
    report_as_dict,
    report_as_json,
    report_from_dict,
    report_from_json,
)
from vertebrometer.report.measured import (
    SOFTWARE,
    SURE_FROM,
    SURE_WITHIN_POINTS,
    measured_report,
    refused_report,
)
from vertebrometer.report.values import (
    RESEARCH_USE,
    SCHEMA,
    BodyReport,
    Certainty,
    FilmFacts,
    FilmReport,
    ModelUsed,
    Quality,
    Side,
    Software,
)

__all__ = [
    "RESEARCH_USE",
    "SCHEMA",
    "SOFTWARE",
    "SURE_FROM",
    "SURE_WITHIN_POINTS",
    "BodyReport",
    "Certainty",
    "FilmFacts",
    "FilmReport",
    "ModelUsed",
    "Quality",
    "Side",
    "Software",
    "measured_report",
    "read_report",
    "refused_report",
    "report_as_dict",
    "report_as_json",
    "report_from_dict",
    "report_from_json",
]
