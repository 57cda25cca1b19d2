"""The picture of a triplet that a regression network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vertebrometer.errors import SettingsError
from vertebrometer.geometry import Affine
from vertebrometer.triplets.dividing import Triplet
from vertebrometer.triplets.labelling import Labelled
from vertebrometer.types import GrayImage, LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class TripletView:
    """Crop, scale and canvas, which the paper leaves open.

    "Three VBs were then separated from the segmented VB images and used as
    input values for the VC measurement model."
    """

    frame: Literal["canvas", "centred"] = "centred"
    """canvas: the three bodies stay where they are on the padded film, as the paper's figure 3 shows them.
    centred: they are moved to the middle and scaled alike, so that only their shapes are left to learn."""
    side_px: int = 128
    """Rows and columns of the picture."""
    fill: float = 0.86
    """centred: longest side of the triplet over that of the picture."""
    values: Literal["binary", "share", "numbered"] = "binary"
    """binary: 1 inside a body. share: as sure as the map is, which keeps edges between the pixels. numbered:
    1/3, 2/3 and 1 in the three bodies, times the share."""

    def __post_init__(self) -> None:
        if self.side_px < 8 or not 0.1 <= self.fill <= 1.0:
            got = f"{self.side_px} and {self.fill}"
            msg = f"a picture of at least 8 pixels, filled by 0.1 to 1, is wanted; got {got}"
            raise SettingsError(msg)


def view_map(found: Labelled, triplet: Triplet, view: TripletView) -> Affine:
    """Map of points of the film's canvas to points of the picture; it only moves and scales."""
    rows, cols = found.labels.shape
    middle = np.full(2, (view.side_px - 1) / 2)
    if view.frame == "canvas":
        return Affine.about(np.array([rows - 1, cols - 1]) / 2, middle, zoom=view.side_px / max(rows, cols))
    at = np.argwhere(np.isin(found.labels, triplet.numbers))
    low, high = at.min(axis=0), at.max(axis=0)
    longest = float((high - low).max()) + 1
    return Affine.about((low + high) / 2, middle, zoom=view.fill * view.side_px / longest)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The three bodies of a triplet alone, cut out, and where they lie in its picture."""

    bodies: NDArray[np.uint8]
    """255 inside a body."""
    to_view: Affine
    """Map of points of the cut-out to points of the picture."""


def drawn(found: Labelled, triplet: Triplet, view: TripletView) -> Drawn:
    """Cut the three bodies of a triplet out of its film: the costly part of a picture."""
    own = np.isin(found.labels, triplet.numbers)
    at = np.argwhere(own)
    # Room for the soft rim, and a dark border that warping may read.
    low = np.maximum(at.min(axis=0) - 4, 0)
    high = np.minimum(at.max(axis=0) + 5, own.shape)
    cut = (slice(low[0], high[0]), slice(low[1], high[1]))
    alone = _bodies_alone(found.share[cut], found.labels[cut], triplet, view)
    moved = Affine(np.eye(2), np.asarray(low, dtype=np.float64))
    coded = np.asarray(np.round(alone * 255), dtype=np.uint8)
    return Drawn(coded, moved.then(view_map(found, triplet, view)))


def picture_of(cut: Drawn, view: TripletView, *, moved: Affine | None = None) -> GrayImage:
    """Bring a cut-out triplet into its picture; see `picture`."""
    return _warped(cut.bodies, cut.to_view if moved is None else cut.to_view.then(moved), view)


def picture(
    found: Labelled, triplet: Triplet, view: TripletView, *, moved: Affine | None = None
) -> GrayImage:
    """Draw the three bodies of a triplet alone, shape (side, side), 0 to 1.

    Parameters
    ----------
    moved : Affine, optional
        Applied to the picture after its view, as augmentation.
    """
    return picture_of(drawn(found, triplet, view), view, moved=moved)


def _bodies_alone(given: GrayImage, labels: LabelMap, triplet: Triplet, view: TripletView) -> GrayImage:
    own = np.isin(labels, triplet.numbers)
    if view.values == "binary":
        return np.asarray(own, dtype=np.float32)
    # The soft rim of an edge lies just outside the labels.
    rim = ndimage.binary_dilation(own, iterations=2) & (labels == 0)
    share = np.where(own, np.maximum(given, 0.5), np.where(rim, given, 0.0)).astype(np.float32)
    if view.values == "share":
        return share
    weights = np.zeros_like(share)
    for place, number in enumerate(triplet.numbers, 1):
        near = ndimage.binary_dilation(labels == number, iterations=2)
        weights = np.where(near & ((labels == 0) | (labels == number)), place / 3, weights)
    return np.asarray(share * weights, dtype=np.float32)


def _warped(bodies: NDArray[np.uint8], to_view: Affine, view: TripletView) -> GrayImage:
    zoom = float(np.sqrt(abs(np.linalg.det(to_view.matrix))))
    # Where it shrinks, pixels are averaged, so that edges keep their place.
    fine = int(np.clip(np.ceil(1.0 / zoom), 1, 4))
    grown = to_view.then(Affine(np.eye(2) * fine, np.full(2, 0.5 * (fine - 1))))
    side = view.side_px * fine
    out = cv2.warpAffine(
        bodies,
        grown.as_cv2(),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if fine > 1:
        out = cv2.resize(out, (view.side_px, view.side_px), interpolation=cv2.INTER_AREA)
    soft = np.asarray(out, dtype=np.float32) / np.float32(255)
    return np.asarray(soft >= 0.5, dtype=np.float32) if view.values == "binary" else soft
