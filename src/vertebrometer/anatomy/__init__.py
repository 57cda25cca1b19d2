"""Words and values of anatomy: levels, six points, vertebrae, reasons."""

from vertebrometer.anatomy.levels import LEVELS, is_just_above, level_number, level_rank
from vertebrometer.anatomy.reasons import OVERRULABLE, NotMeasured, Reason, explain
from vertebrometer.anatomy.truth import BodyTruth, FilmTruth, facing_of, read_truth, truth_as_dict
from vertebrometer.anatomy.vertebra import CORNER_NAMES, POINT_NAMES, Facing, SixPoints, Vertebra

__all__ = [
    "CORNER_NAMES",
    "LEVELS",
    "OVERRULABLE",
    "POINT_NAMES",
    "BodyTruth",
    "Facing",
    "FilmTruth",
    "NotMeasured",
    "Reason",
    "SixPoints",
    "Vertebra",
    "explain",
    "facing_of",
    "is_just_above",
    "level_number",
    "level_rank",
    "read_truth",
    "truth_as_dict",
]
