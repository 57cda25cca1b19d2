"""Angles between endplates; positive where the spine bends forward."""

from __future__ import annotations

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.types import FloatArray


def wedge_angle_deg(points: SixPoints, *, aspect: float = 1.0) -> float:
    """Angle between the two endplates of one body, in degrees.

    Positive where the body is lower in front (wedged as by a compression
    fracture), negative where it is lower behind, as L5 normally is.

    Examples
    --------
    >>> import numpy as np
    >>> wedge = SixPoints.from_corners(np.array([[10.0, 30.0], [0.0, 0.0], [30.0, 0.0], [20.0, 30.0]]))
    >>> round(wedge_angle_deg(wedge), 2)
    36.87
    """
    return cobb_angle_deg(points, points, aspect=aspect)


def cobb_angle_deg(upper: SixPoints, lower: SixPoints, *, aspect: float = 1.0) -> float:
    """Angle between the superior endplate of `upper` and the inferior one of `lower`, in degrees.

    Cobb JR, Instr Course Lect 1948;5:261-75, applied in the sagittal plane.
    Positive is kyphosis, negative lordosis, whichever way the film faces.
    Endplates are the straight lines through their corners.
    """
    scale = np.array([aspect, 1.0])
    superior = (upper.point("superior_anterior") - upper.point("superior_posterior")) * scale
    inferior = (lower.point("inferior_anterior") - lower.point("inferior_posterior")) * scale
    forward = superior / np.linalg.norm(superior) + inferior / np.linalg.norm(inferior)
    # Down the spine; mirrored films mirror it too, so the sign does not depend on the facing.
    down = _down(upper, scale) + _down(lower, scale)
    side = np.sign(_cross(forward, down))
    turn = np.arctan2(_cross(superior, inferior), float(np.dot(superior, inferior)))
    return float(-side * np.rad2deg(turn))


def _down(points: SixPoints, scale: FloatArray) -> FloatArray:
    sa, sp, ip, ia = points.corners_rc
    along: FloatArray = ((ip + ia) - (sp + sa)) * scale
    return along


def _cross(first: FloatArray, second: FloatArray) -> float:
    return float(first[0] * second[1] - first[1] * second[0])
