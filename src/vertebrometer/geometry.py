"""Plane geometry in (row, col) pixels: changes of coordinates that know the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vertebrometer.types import FloatArray, PointsRC


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How an image was scaled and zero-padded into a canvas, and the way back.

    `scale_rc` is canvas pixels per image pixel along rows and columns,
    `offset_rc` the padding before the image, in canvas pixels.
    """

    scale_rc: tuple[float, float]
    offset_rc: tuple[float, float]

    @classmethod
    def fit(cls, shape: tuple[int, int], side_px: int) -> Self:
        """Fit an image of `shape` into a square, keeping its aspect, centred."""
        scale = side_px / max(shape)
        rows, cols = (max(1, round(length * scale)) for length in shape)
        # The scale is what whole pixels allow, so that the way back is exact.
        return cls(
            scale_rc=(rows / shape[0], cols / shape[1]),
            offset_rc=(float((side_px - rows) // 2), float((side_px - cols) // 2)),
        )

    def to_canvas(self, points_rc: PointsRC) -> PointsRC:
        """Carry points of the image, shape (n, 2), to the canvas."""
        # Pixel n covers [n - 0.5, n + 0.5), so sizes scale about the corner at -0.5.
        return (np.asarray(points_rc, dtype=np.float64) + 0.5) * self.scale_rc - 0.5 + self.offset_rc

    def to_image(self, points_rc: PointsRC) -> PointsRC:
        """Carry points of the canvas, shape (n, 2), back to the image."""
        return (np.asarray(points_rc, dtype=np.float64) - self.offset_rc + 0.5) / self.scale_rc - 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A plane map, `points @ matrix.T + shift`, in (row, col)."""

    matrix: FloatArray
    """Shape (2, 2)."""
    shift: FloatArray
    """Shape (2,)."""

    def __post_init__(self) -> None:
        (a, b), (c, d) = self.matrix.tolist()
        if abs(a * d - b * c) < 1e-12:
            msg = "a change of coordinates must have a way back; this matrix is singular"
            raise ValueError(msg)

    @classmethod
    def identity(cls) -> Self:
        """Return the map that leaves every point where it is."""
        return cls(np.eye(2), np.zeros(2))

    @classmethod
    def about(
        cls,
        centre_rc: FloatArray,
        to_rc: FloatArray,
        *,
        turn_deg: float = 0.0,
        zoom: float = 1.0,
        mirror: bool = False,
    ) -> Self:
        """Carry `centre_rc` to `to_rc`, zoomed and turned; `mirror` swaps left and right first.

        A positive turn takes the row axis (down) towards the column axis (right).
        """
        angle = np.deg2rad(turn_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        flip = np.diag([1.0, -1.0 if mirror else 1.0])
        matrix = zoom * turn @ flip
        target, centre = (np.asarray(point, dtype=np.float64) for point in (to_rc, centre_rc))
        return cls(matrix, target - matrix @ centre)

    def __call__(self, points_rc: PointsRC) -> PointsRC:
        """Carry points, shape (n, 2) or (2,)."""
        return np.asarray(points_rc, dtype=np.float64) @ self.matrix.T + self.shift

    def inverse(self) -> Affine:
        """Return the way back."""
        back: FloatArray = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        return Affine(back, -back @ self.shift)

    def then(self, other: Affine) -> Affine:
        """Return the map that applies this one first and `other` after it."""
        return Affine(other.matrix @ self.matrix, other.matrix @ self.shift + other.shift)

    def as_cv2(self) -> FloatArray:
        """Return the 2 x 3 matrix that OpenCV wants, which speaks (x, y)."""
        swap = np.array([[0.0, 1.0], [1.0, 0.0]])
        return np.hstack([swap @ self.matrix @ swap, (swap @ self.shift)[:, None]])


def distance(first_rc: PointsRC, second_rc: PointsRC, spacing_rc: tuple[float, float] = (1.0, 1.0)) -> float:
    """Length of the line between two points, in the unit of `spacing_rc` per pixel."""
    return float(np.linalg.norm((np.asarray(first_rc) - np.asarray(second_rc)) * np.asarray(spacing_rc)))


def polygon_area(points_rc: PointsRC) -> float:
    """Area inside a closed polygon, shape (n, 2), in square pixels; never negative."""
    r, c = np.asarray(points_rc, dtype=np.float64).T
    return float(abs(np.dot(r, np.roll(c, 1)) - np.dot(c, np.roll(r, 1))) / 2)


def angle_deg(direction_rc: FloatArray) -> float:
    """Angle of a direction against the column axis (to the right), in degrees, clockwise positive as seen."""
    return float(np.rad2deg(np.arctan2(direction_rc[0], direction_rc[1])))
