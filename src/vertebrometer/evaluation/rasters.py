"""Polygons to pixels, and the counts that segmentation measures rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vertebrometer.types import BoolMask, PointsRC

_IOU_SIDE_PX: Final = 160


def polygon_mask(polygon_rc: PointsRC, shape: tuple[int, int]) -> BoolMask:
    """Return the pixels whose centre lies inside a closed polygon (even-odd rule).

    Parameters
    ----------
    polygon_rc : array, shape (n, 2)
        The last point is joined to the first; parts outside are cut off.
    shape : tuple of int
        Rows and columns of the mask.
    """
    rows, cols = shape
    # Every edge toggles all pixels to the right of where it crosses a row of centres.
    toggles = np.zeros((rows, cols + 1), dtype=np.int32)
    start = np.asarray(polygon_rc, dtype=np.float64).reshape(-1, 2)
    for (r0, c0), (r1, c1) in zip(start, np.roll(start, -1, axis=0), strict=True):
        first, last = max(0, int(np.ceil(min(r0, r1)))), min(rows, int(np.ceil(max(r0, r1))))
        if first >= last:
            continue
        at = np.arange(first, last)
        crossing = c0 + (at - r0) * (c1 - c0) / (r1 - r0)
        np.add.at(toggles, (at, np.clip(np.ceil(crossing), 0, cols).astype(np.int64)), 1)
    inside: BoolMask = np.cumsum(toggles, axis=1)[:, :cols] % 2 == 1
    return inside


def polygons_mask(polygons_rc: Sequence[PointsRC], shape: tuple[int, int], scale: float = 1.0) -> BoolMask:
    """Return the union of polygons on an image of `shape`, made `scale` times as large."""
    size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    union = np.zeros(size, dtype=np.bool_)
    for polygon in polygons_rc:
        # Pixel n covers [n - 0.5, n + 0.5), so sizes scale about the corner at -0.5.
        union |= polygon_mask((np.asarray(polygon) + 0.5) * scale - 0.5, size)
    return union


def overlap(first_rc: PointsRC, second_rc: PointsRC) -> float:
    """Intersection over union of two closed polygons, 0 to 1."""
    low = np.minimum(first_rc.min(axis=0), second_rc.min(axis=0))
    high = np.maximum(first_rc.max(axis=0), second_rc.max(axis=0))
    if (first_rc.max(axis=0) < second_rc.min(axis=0)).any() or (
        second_rc.max(axis=0) < first_rc.min(axis=0)
    ).any():
        return 0.0
    # Fine enough that the pixels of the masks do not show: a small body is enlarged.
    scale = _IOU_SIDE_PX / max(float((high - low).max()), 1e-9)
    shape = (_IOU_SIDE_PX + 2, _IOU_SIDE_PX + 2)
    a, b = (polygon_mask((polygon - low) * scale, shape) for polygon in (first_rc, second_rc))
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 0.0


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of pixels: found and true, found but not true, and so on."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, found: BoolMask, true: BoolMask) -> Confusion:
        """Count the pixels of two masks of one shape."""
        if found.shape != true.shape:
            msg = f"masks of one shape are wanted, got {found.shape} and {true.shape}"
            raise ValueError(msg)
        return cls(
            true_positive=int((found & true).sum()),
            false_positive=int((found & ~true).sum()),
            false_negative=int((~found & true).sum()),
            true_negative=int((~found & ~true).sum()),
        )

    @property
    def sensitivity(self) -> float | None:
        """Equation 2: share of the true pixels that were found; None where nothing is true."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float | None:
        """Equation 3: share of the background that was left alone; None where there is none."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def accuracy(self) -> float | None:
        """Equation 4: share of all pixels that are right; None for an empty image."""
        total = self.true_positive + self.false_positive + self.false_negative + self.true_negative
        return _share(self.true_positive + self.true_negative, total)

    @property
    def dice(self) -> float | None:
        """Equation 5: Dice similarity coefficient; None where nothing is true and nothing was found."""
        doubled = 2 * self.true_positive
        return _share(doubled, doubled + self.false_positive + self.false_negative)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
