"""Lengths and angles of vertebral bodies from their six points."""

from vertebrometer.morphometry.angles import cobb_angle_deg, wedge_angle_deg
from vertebrometer.morphometry.discs import DiscHeights, disc_heights
from vertebrometer.morphometry.grade import (
    MILD_FROM,
    MODERATE_FROM,
    SEVERE_FROM,
    Deformity,
    GenantGrade,
    GenantLike,
    genant_grade,
    genant_like,
)
from vertebrometer.morphometry.heights import Heights, anterior_height_sd, heights, posterior_height_sd

__all__ = [
    "MILD_FROM",
    "MODERATE_FROM",
    "SEVERE_FROM",
    "Deformity",
    "DiscHeights",
    "GenantGrade",
    "GenantLike",
    "Heights",
    "anterior_height_sd",
    "cobb_angle_deg",
    "disc_heights",
    "genant_grade",
    "genant_like",
    "heights",
    "posterior_height_sd",
    "wedge_angle_deg",
]
