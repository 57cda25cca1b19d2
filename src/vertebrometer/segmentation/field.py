"""The part of a film that shows something: not what a collimator, padding or a frame covers."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from vertebrometer.types import FloatArray, GrayImage, PointsRC

_EVEN_SHARE: Final = 0.9
"""Share of a line's pixels, at least, that have one grey where it is covered; letters may stand in it."""
_EVEN_GREYS: Final = 3 / 255
"""Greys this near count as one: a covered part that was compressed with losses is not quite even."""
_STRIDE: Final = 3
"""Every so many pixels of a line are looked at."""


class OpenField(NamedTuple):
    """An upright part of a film."""

    low_rc: FloatArray
    """Its first row and column."""
    high_rc: FloatArray
    """Its last."""

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> OpenField:
        """Return all of a film of this shape."""
        return cls(np.zeros(2), np.array(shape[:2]) - 1.0)

    def inside_px(self, points_rc: PointsRC) -> float:
        """How far the outermost of some points lies inside; below 0 where it lies outside."""
        return float(min((points_rc - self.low_rc).min(), (self.high_rc - points_rc).min()))


def open_field(image: GrayImage) -> OpenField:
    """Find the part of a film inside all lines, from its borders inwards, that have one grey.

    A film that has one grey everywhere is open everywhere.
    """
    rows = _open_lines(image[:, ::_STRIDE])
    if rows.start == len(image):
        return OpenField.whole(image.shape)
    cols = _open_lines(image[rows].T[:, ::_STRIDE])
    return OpenField(
        np.array([rows.start, cols.start], dtype=float), np.array([rows.stop, cols.stop], dtype=float) - 1.0
    )


def _open_lines(lines: GrayImage) -> slice:
    return slice(_covered(lines), len(lines) - _covered(lines[::-1]))


def _covered(lines: GrayImage) -> int:
    """How many lines from the first on have one grey, all the same."""
    grey = float(np.median(lines[0]))
    for count, line in enumerate(lines):
        if float((np.abs(line - grey) <= _EVEN_GREYS).mean()) < _EVEN_SHARE:
            return count
    return len(lines)
