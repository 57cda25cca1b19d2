"""A film scaled into a zero-padded square, with the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vertebrometer.errors import SettingsError
from vertebrometer.geometry import Letterbox
from vertebrometer.types import GrayImage


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessed:
    """A square image for a network, and how its points lie on the film."""

    image: GrayImage
    """Shape (side, side), 0 to 1; padding is 0."""
    letterbox: Letterbox

    def __post_init__(self) -> None:
        rows, cols = self.image.shape
        if rows != cols or self.image.dtype != np.float32:
            msg = f"a square float32 image is wanted, got {self.image.dtype} of shape {self.image.shape}"
            raise ValueError(msg)
        self.image.setflags(write=False)


def prepare(image: GrayImage, side_px: int = 512) -> Preprocessed:
    """Scale a film into a square, keeping its aspect, and pad it with zeros.

    Shrinking averages over areas, so that no thin cortex is stepped over;
    enlarging is linear. Pixels are taken as square.

    Parameters
    ----------
    image : GrayImage
        Shape (rows, cols), 0 to 1, not padded yet; CLAHE, if any, comes before.
    side_px : int
        Side of the square.

    Returns
    -------
    Preprocessed
        The square, and the letterbox that carries points there and back.
    """
    if side_px < 1 or image.ndim != 2 or image.size == 0:
        msg = f"one film and a side of at least 1 pixel are wanted, got shape {image.shape} and {side_px}"
        raise SettingsError(msg)
    letterbox = Letterbox.fit((image.shape[0], image.shape[1]), side_px)
    rows, cols = (
        round(length * scale) for length, scale in zip(image.shape, letterbox.scale_rc, strict=True)
    )
    way = cv2.INTER_AREA if max(letterbox.scale_rc) < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (cols, rows), interpolation=way)
    canvas = np.zeros((side_px, side_px), dtype=np.float32)
    top, left = (int(offset) for offset in letterbox.offset_rc)
    canvas[top : top + rows, left : left + cols] = scaled
    return Preprocessed(canvas, letterbox)
