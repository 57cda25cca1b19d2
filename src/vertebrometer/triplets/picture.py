"""The picture of a triplet that a regression network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage

from vertebrometer.errors import SettingsError
from vertebrometer.geometry import Affine
from vertebrometer.triplets.dividing import Triplet
from vertebrometer.triplets.labelling import Labelled
from vertebrometer.types import GrayImage


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


def picture(
    found: Labelled, triplet: Triplet, view: TripletView, *, moved: Affine | None = None
) -> GrayImage:
    """Draw the three bodies of a triplet alone, shape (side, side), 0 to 1.

    Parameters
    ----------
    moved : Affine, optional
        Applied to the picture after its view, as augmentation.
    """
    to_view = view_map(found, triplet, view)
    drawn = _bodies_alone(found, triplet, view)
    return _warped(drawn, to_view if moved is None else to_view.then(moved), view)


def _bodies_alone(found: Labelled, triplet: Triplet, view: TripletView) -> GrayImage:
    own = np.isin(found.labels, triplet.numbers)
    if view.values == "binary":
        return np.asarray(own, dtype=np.float32)
    # The soft rim of an edge lies just outside the labels.
    rim = ndimage.binary_dilation(own, iterations=2) & (found.labels == 0)
    share = np.where(own, np.maximum(found.share, 0.5), np.where(rim, found.share, 0.0)).astype(np.float32)
    if view.values == "share":
        return share
    weights = np.zeros_like(share)
    for place, number in enumerate(triplet.numbers, 1):
        near = ndimage.binary_dilation(found.labels == number, iterations=2)
        weights = np.where(near & ((found.labels == 0) | (found.labels == number)), place / 3, weights)
    return np.asarray(share * weights, dtype=np.float32)


def _warped(drawn: GrayImage, to_view: Affine, view: TripletView) -> GrayImage:
    zoom = float(np.sqrt(abs(np.linalg.det(to_view.matrix))))
    # Where it shrinks, pixels are averaged, so that edges keep their place.
    fine = int(np.clip(np.ceil(1.0 / zoom), 1, 4))
    grown = to_view.then(Affine(np.eye(2) * fine, np.full(2, 0.5 * (fine - 1))))
    side = view.side_px * fine
    out = cv2.warpAffine(
        drawn,
        grown.as_cv2(),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if fine > 1:
        out = cv2.resize(out, (view.side_px, view.side_px), interpolation=cv2.INTER_AREA)
    soft = np.asarray(out, dtype=np.float32)
    return np.asarray(soft >= 0.5, dtype=np.float32) if view.values == "binary" else soft
