"""Coded words of our DICOM objects: SNOMED CT, DCM and UCUM where they have one, else our own scheme.

The private scheme is documented in docs/reference/dicom-conformance.md; a code
keeps the meaning that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vertebrometer.anatomy import Facing, Reason
from vertebrometer.compression import Definition
from vertebrometer.morphometry import Deformity, GenantGrade
from vertebrometer.report import Certainty

SCHEME: Final = "99VERTEBROMETER"


@dataclass(frozen=True, slots=True)
class Term:
    """A code value, the scheme it is from, and what it means."""

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        if len(self.value) > 16 or len(self.scheme) > 16 or len(self.meaning) > 64:
            msg = f"a code of at most 16, 16 and 64 characters is wanted, got {self}"
            raise ValueError(msg)


def _own(value: str, meaning: str) -> Term:
    return Term(value, SCHEME, meaning)


def _sct(value: str, meaning: str) -> Term:
    return Term(value, "SCT", meaning)


def _ucum(value: str, meaning: str) -> Term:
    return Term(value, "UCUM", meaning)


# Words of the standard

VERTEBRA: Final = _sct("51282000", "Vertebra")
SPINE: Final = _sct("421060004", "Spine")
ANATOMY: Final = _sct("123037004", "Anatomical Structure")
TITLE: Final = Term("126000", "DCM", "Imaging Measurement Report")
RADIOGRAPHY_OF_SPINE: Final = _sct("44179006", "X-ray of spine")
ARTIFICIAL_INTELLIGENCE: Final = Term("123110", "DCM", "Artificial Intelligence")

MILLIMETRE: Final = _ucum("mm", "millimeter")
PIXELS: Final = _ucum("{pixels}", "pixels")
PERCENT: Final = _ucum("%", "percent")
NO_UNIT: Final = _ucum("1", "no units")

# Levels: PS3.16, CID 7602 and its fellows; none of them names the variants and the first sacral body.
LEVEL_TERMS: Final[dict[str, Term]] = {
    "C1": _sct("14806007", "C1 vertebra"),
    "C2": _sct("39976000", "C2 vertebra"),
    "C3": _sct("113205007", "C3 vertebra"),
    "C4": _sct("5329002", "C4 vertebra"),
    "C5": _sct("36978003", "C5 vertebra"),
    "C6": _sct("36054005", "C6 vertebra"),
    "C7": _sct("87391001", "C7 vertebra"),
    "T1": _sct("64864005", "T1 vertebra"),
    "T2": _sct("53733008", "T2 vertebra"),
    "T3": _sct("1626008", "T3 vertebra"),
    "T4": _sct("73071006", "T4 vertebra"),
    "T5": _sct("56401006", "T5 vertebra"),
    "T6": _sct("45296009", "T6 vertebra"),
    "T7": _sct("62487009", "T7 vertebra"),
    "T8": _sct("11068009", "T8 vertebra"),
    "T9": _sct("82687006", "T9 vertebra"),
    "T10": _sct("7610001", "T10 vertebra"),
    "T11": _sct("12989004", "T11 vertebra"),
    "T12": _sct("23215003", "T12 vertebra"),
    "T13": _own("LEV-T13", "T13 vertebra (supernumerary)"),
    "L1": _sct("66794005", "L1 vertebra"),
    "L2": _sct("14293000", "L2 vertebra"),
    "L3": _sct("36470004", "L3 vertebra"),
    "L4": _sct("11994002", "L4 vertebra"),
    "L5": _sct("49668003", "L5 vertebra"),
    "L6": _own("LEV-L6", "L6 vertebra (supernumerary)"),
    "S1": _own("LEV-S1", "First sacral vertebra"),
}

# Concepts of our own: names of what is measured

ANTERIOR_HEIGHT: Final = _own("HGT-ANT", "Anterior height of vertebral body")
MIDDLE_HEIGHT: Final = _own("HGT-MID", "Middle height of vertebral body")
POSTERIOR_HEIGHT: Final = _own("HGT-POST", "Posterior height of vertebral body")
COMPRESSION: Final = _own("VC", "Vertebral compression")
GENANT_LOSS: Final = _own("GEN-LOSS", "Height loss that the Genant-like grade rests on")
GENANT_GRADE: Final = _own("GEN-GRADE", "Genant-like grade (from measured heights)")
DEFORMITY: Final = _own("GEN-SHAPE", "Shape of the deformity")
BODY_CONFIDENCE: Final = _own("CONF-BODY", "Confidence that this is a vertebral body, rightly outlined")
LEVEL_CONFIDENCE: Final = _own("CONF-LEVEL", "Confidence in the level")
FACING_CONFIDENCE: Final = _own("CONF-FACING", "Confidence in the anterior side")
CERTAINTY: Final = _own("CERTAINTY", "Certainty of the numbers of this body")
BODY_REASON: Final = _own("WHY-BODY", "Speaks against measuring this body")
POINT_SPREAD: Final = _own("POINT-SD", "Standard deviation of the six points (x y, pixels)")
ROW_SPACING: Final = _own("PX-HEIGHT", "Height of a pixel")
COLUMN_SPACING: Final = _own("PX-WIDTH", "Width of a pixel")
SPACING_SOURCE: Final = _own("PX-SOURCE", "What the pixel size refers to")
ASPECT: Final = _own("PX-ASPECT", "Height over width of a pixel")
ROWS: Final = _own("PX-ROWS", "Rows of the film")
COLUMNS: Final = _own("PX-COLS", "Columns of the film")
FACING: Final = _own("FACING", "Side of the film on which the front of the spine lies")
HEADLINE: Final = _own("VC-HEADLINE", "Definition of compression that was asked for")
USABLE: Final = _own("USABLE", "Whether the film as a whole could be measured")
FILM_REASON: Final = _own("WHY-FILM", "Speaks against measuring this film")
OVERRULED: Final = _own("OVERRULED", "Ignored because a user asked for it")
MESSAGE: Final = _own("MESSAGE", "Message about the film")
FILE_NAME: Final = _own("FILE", "Name of the file that was measured")
FILE_HASH: Final = _own("FILE-SHA256", "SHA-256 of the file that was measured")
FILE_FACTS: Final = _own("FILE-FACTS", "What the file states of itself (JSON)")
SETTINGS: Final = _own("SETTINGS", "Settings of the measurement (JSON)")
COVERAGE: Final = _own("VC-COVERAGE", "Share of cases that an uncertainty range covers")
FILM: Final = _own("FILM", "Film as a whole")
RESEARCH: Final = _own("RESEARCH", "Intended use")

# PS3.16, TID 310
UPPER_UNCERTAINTY: Final = Term("371886008", "SCT", "+, range of upper measurement uncertainty")
LOWER_UNCERTAINTY: Final = Term("371885007", "SCT", "-, range of lower measurement uncertainty")

DEFINITION_TERMS: Final[dict[Definition, Term]] = {
    Definition.ADJACENT_MEAN: _own("VC-ADJACENT", "Anterior height against mean of the two neighbours"),
    Definition.NEAREST_INTACT: _own("VC-INTACT", "Anterior height against nearest intact bodies"),
    Definition.SAME_BODY: _own("VC-SAME", "Anterior against posterior height of the body"),
}
NOT_MEASURED_TERMS: Final[dict[Definition, Term]] = {
    Definition.ADJACENT_MEAN: _own("NOVC-ADJACENT", "Not measured against neighbours, because"),
    Definition.NEAREST_INTACT: _own("NOVC-INTACT", "Not measured against nearest intact bodies, because"),
    Definition.SAME_BODY: _own("NOVC-SAME", "Not measured against own posterior height, because"),
}
COMPARISON_TERMS: Final[dict[Definition, Term]] = {
    Definition.ADJACENT_MEAN: _own("HOW-ADJACENT", "How the compression against neighbours was found"),
    Definition.NEAREST_INTACT: _own("HOW-INTACT", "How the compression against intact bodies was found"),
    Definition.SAME_BODY: _own("HOW-SAME", "How the compression within the body was found"),
}
GRADE_TERMS: Final[dict[GenantGrade, Term]] = {
    GenantGrade.NORMAL: _own("GEN-0", "Genant-like grade 0, normal"),
    GenantGrade.MILD: _own("GEN-1", "Genant-like grade 1, mild"),
    GenantGrade.MODERATE: _own("GEN-2", "Genant-like grade 2, moderate"),
    GenantGrade.SEVERE: _own("GEN-3", "Genant-like grade 3, severe"),
}
DEFORMITY_TERMS: Final[dict[Deformity, Term]] = {
    Deformity.NONE: _own("SHP-NONE", "No deformity"),
    Deformity.WEDGE: _own("SHP-WEDGE", "Wedge deformity"),
    Deformity.BICONCAVE: _own("SHP-BICONCAVE", "Biconcave deformity"),
    Deformity.CRUSH: _own("SHP-CRUSH", "Crush deformity"),
}
CERTAINTY_TERMS: Final[dict[Certainty, Term]] = {
    Certainty.SURE: _own("CRT-SURE", "Sure"),
    Certainty.DOUBTFUL: _own("CRT-DOUBTFUL", "Doubtful"),
}
FACING_TERMS: Final[dict[Facing, Term]] = {
    Facing.LEFT: _own("FCG-LEFT", "Left side of the film as stored"),
    Facing.RIGHT: _own("FCG-RIGHT", "Right side of the film as stored"),
    Facing.UNKNOWN: _own("FCG-UNKNOWN", "Not known"),
}
SPACING_TERMS: Final[dict[str, Term]] = {
    "calibrated": _own("SPC-CALIBRATED", "Calibrated to the patient"),
    "detector": _own("SPC-DETECTOR", "Measured at the detector, magnified"),
    "user": _own("SPC-USER", "Given by the user"),
    "none": _own("SPC-NONE", "Not stated"),
}
USABLE_TERMS: Final[dict[bool, Term]] = {
    True: _own("USE-YES", "Usable"),
    False: _own("USE-NO", "Not usable"),
}
RESEARCH_ONLY: Final = _own("RES-ONLY", "Research use only, not a medical device")

_REASON_MEANINGS: Final[dict[Reason, str]] = {
    Reason.NO_NEIGHBOUR_ABOVE: "No body above it to compare with",
    Reason.NO_NEIGHBOUR_BELOW: "No body below it to compare with",
    Reason.NEIGHBOURS_NOT_ADJACENT: "A body between it and its neighbour was not found",
    Reason.NO_INTACT_NEIGHBOUR: "No intact body near enough to compare with",
    Reason.MERGED_BODIES: "Could not be told from the body next to it",
    Reason.BROKEN_BODY: "Outline fell into several parts",
    Reason.CORNERS_NOT_FOUND: "Corners could not be found",
    Reason.CUT_BY_BORDER: "Cut by the border of the film",
    Reason.NEIGHBOUR_UNUSABLE: "A neighbour could not be measured",
    Reason.LOW_CONFIDENCE: "Can hardly be seen",
    Reason.IMPLAUSIBLE_SHAPE: "Outline does not look like a vertebral body",
    Reason.METALWORK: "Metalwork lies over it",
    Reason.CEMENT: "Holds cement",
    Reason.FACING_UNSURE: "Anterior side not sure",
    Reason.NO_BODIES_FOUND: "No vertebral body was found",
    Reason.TOO_FEW_BODIES: "Fewer than three bodies were found",
    Reason.NOT_A_LATERAL_SPINE: "Does not look like a lateral film of the spine",
    Reason.NO_SPACING: "The film states no pixel spacing",
    Reason.EXCLUDED_BY_READER: "Taken out by a reader",
    Reason.INTERVAL_TOO_WIDE: "Interval of compression too wide",
    Reason.NOT_SEEN: "Not seen, expected from neighbours",
    Reason.LIES_ON_ITS_SIDE: "The film lies on its side",
    Reason.CERVICAL_SPINE: "Shows the cervical spine",
    Reason.FACING_CONTRADICTED: "Faces the other way than a reader said",
    Reason.IMPLAUSIBLE_SPACING: "Pixel spacing gives no human size",
}
# Numbered in the order in which the reasons came to be, so that none changes its code.
REASON_TERMS: Final[dict[str, Term]] = {
    reason.value: _own(f"WHY-{number:02d}", meaning)
    for number, (reason, meaning) in enumerate(_REASON_MEANINGS.items(), start=1)
}
