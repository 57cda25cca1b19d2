"""A segmentation map to numbered bodies.

"We labeled each VB in the segmented VB image from top to bottom."
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vertebrometer.errors import SettingsError
from vertebrometer.types import BoolMask, GrayImage, LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """How a map of chances becomes bodies."""

    threshold: float = 0.5
    """A pixel belongs to a body from this chance on. The paper does not state its threshold."""
    seed_threshold: float = 0.5
    """Bodies are first told apart at this chance, then grown down to `threshold`. At the threshold itself
    bodies are plain connected parts, as the paper has them; higher, those that touch come apart."""
    least_share: float = 0.15
    """Parts smaller than this share of the film's median body are specks, no bodies."""
    largest_doubt: float | None = None
    """A triplet is left out where the front edge of a body is less sure than this (see `edge_doubt`); None
    keeps it, as the paper does, whose three conditions do not tell a wrong mask from a right one."""

    def __post_init__(self) -> None:
        if self.largest_doubt is not None and self.largest_doubt <= 0:
            msg = (
                f"largest_doubt must be above 0, got {self.largest_doubt}; leave it out to keep every triplet"
            )
            raise SettingsError(msg)
        if not 0.0 < self.threshold <= self.seed_threshold < 1.0:
            got = f"{self.threshold} and {self.seed_threshold}"
            msg = f"thresholds between 0 and 1 are wanted, the seed threshold not below the other; got {got}"
            raise SettingsError(msg)
        if not 0.0 <= self.least_share < 1.0:
            msg = f"least_share is a share from 0 to below 1, got {self.least_share}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A segmentation map with its bodies numbered."""

    share: GrayImage
    """Shape (rows, cols), 0 to 1: how sure it is that a pixel lies in a body, or how much of it does."""
    labels: LabelMap
    """0 is background, n the n-th body from the top."""
    specks: int
    """Parts that were too small to be bodies."""

    @property
    def count(self) -> int:
        """Bodies."""
        return int(self.labels.max(initial=0))

    def body(self, number: int) -> BoolMask:
        """Pixels of one body, counted from 1."""
        mask: BoolMask = self.labels == number
        return mask


def label_bodies(share: GrayImage, settings: LabelSettings | None = None) -> Labelled:
    """Give the bodies of a segmentation map their numbers, from the top to the bottom.

    Parameters
    ----------
    share : GrayImage
        Chances of a network, or a true mask.
    settings : LabelSettings, optional
        By default plain connected parts (edges touch) of what reaches one half.
    """
    settings = settings or LabelSettings()
    inside = share >= settings.threshold
    if settings.seed_threshold > settings.threshold:
        parts, count = ndimage.label(share >= settings.seed_threshold)
        parts = _grown(parts, inside)
    else:
        parts, count = ndimage.label(inside)
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, range(1, count + 1))
    kept = _no_specks(np.asarray(sizes, dtype=np.float64), settings.least_share)
    return Labelled(share, _numbered(parts, kept), count - len(kept))


def labelled_truth(share: GrayImage, labels: LabelMap) -> Labelled:
    """Take a label map as it is, its numbers changed so that they count the bodies from the top."""
    numbers = [int(n) for n in np.unique(labels) if n > 0]
    return Labelled(share, _numbered(labels, numbers), 0)


def _grown(seeds: LabelMap, inside: BoolMask) -> LabelMap:
    """Give each pixel of the mask to the nearest seed of its own connected part."""
    parts, _ = ndimage.label(inside)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    owner = seeds[tuple(nearest)]
    own_part = parts[tuple(nearest)] == parts
    return np.asarray(np.where(inside & own_part, owner, 0), dtype=np.int32)


def _no_specks(sizes: np.ndarray[tuple[int], np.dtype[np.float64]], least_share: float) -> list[int]:
    if not sizes.size:
        return []
    # The median of the larger half: a map full of specks must not lower what counts as one.
    usual = float(np.median(np.sort(sizes)[len(sizes) // 2 :]))
    return [number for number, size in enumerate(sizes, 1) if size >= max(1.0, least_share * usual)]


def _numbered(parts: LabelMap, kept: list[int]) -> LabelMap:
    numbers = np.zeros(int(parts.max(initial=0)) + 1, dtype=np.int32)
    if kept:
        rows = [centre[0] for centre in ndimage.center_of_mass(parts > 0, parts, kept)]
        for number, place in enumerate(np.argsort(rows, kind="stable"), 1):
            numbers[kept[int(place)]] = number
    labels: LabelMap = numbers[parts]
    return labels
