"""Heights of a vertebral body from its six points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.geometry import distance
from vertebrometer.types import FloatArray, PointsRC


@dataclass(frozen=True, slots=True)
class Heights:
    """The three heights of six-point morphometry.

    `_px` counts in widths of a pixel (columns), along any direction: where
    pixels are not square, a length along the rows is converted by the aspect.
    """

    anterior_px: float
    middle_px: float
    posterior_px: float
    mm_per_px: float | None = None
    """Width of a pixel in mm, where the film states one."""

    @property
    def anterior_mm(self) -> float | None:
        """Anterior height in mm, or None without a spacing."""
        return self._in_mm(self.anterior_px)

    @property
    def middle_mm(self) -> float | None:
        """Middle height in mm, or None without a spacing."""
        return self._in_mm(self.middle_px)

    @property
    def posterior_mm(self) -> float | None:
        """Posterior height in mm, or None without a spacing."""
        return self._in_mm(self.posterior_px)

    def _in_mm(self, length_px: float) -> float | None:
        return None if self.mm_per_px is None else length_px * self.mm_per_px


def heights(points: SixPoints, *, aspect: float = 1.0, mm_per_px: float | None = None) -> Heights:
    """Measure the anterior, middle and posterior height of one body.

    Each is the straight distance between the point on the superior endplate
    and its fellow on the inferior one, as in six-point morphometry
    (Hurxthal LM, AJR 1968;103:635-44; Genant HK et al., J Bone Miner Res
    1993;8:1137-48).

    Parameters
    ----------
    points : SixPoints
        In pixels of the film as stored.
    aspect : float
        Height over width of one pixel; 1 for square pixels.
    mm_per_px : float, optional
        Width of one pixel in mm.

    Examples
    --------
    >>> import numpy as np
    >>> box = SixPoints.from_corners(np.array([[0.0, 30.0], [0.0, 0.0], [20.0, 0.0], [20.0, 30.0]]))
    >>> heights(box).anterior_px, heights(box, aspect=1.5).anterior_px
    (20.0, 30.0)
    """
    anterior, middle, posterior = (
        distance(points.point(f"superior_{place}"), points.point(f"inferior_{place}"), (aspect, 1.0))
        for place in ("anterior", "middle", "posterior")
    )
    return Heights(anterior, middle, posterior, mm_per_px)


def anterior_height_sd(points: SixPoints, point_sd_px: PointsRC, *, aspect: float = 1.0) -> float:
    """Spread of the anterior height, in pixel widths, from the spread of its two points.

    First order, both points and both axes taken as independent: only the
    spread along the height counts.
    """
    return _height_sd(points, point_sd_px, upper=0, lower=5, aspect=aspect)


def posterior_height_sd(points: SixPoints, point_sd_px: PointsRC, *, aspect: float = 1.0) -> float:
    """Spread of the posterior height, in pixel widths; see `anterior_height_sd`."""
    return _height_sd(points, point_sd_px, upper=2, lower=3, aspect=aspect)


def _height_sd(points: SixPoints, point_sd_px: FloatArray, *, upper: int, lower: int, aspect: float) -> float:
    scale = np.array([aspect, 1.0])
    along = (points.points_rc[lower] - points.points_rc[upper]) * scale
    length = float(np.linalg.norm(along))
    if length == 0.0:
        return float(np.linalg.norm(point_sd_px[[upper, lower]] * scale))
    return float(np.linalg.norm(point_sd_px[[upper, lower]] * scale * along / length))
