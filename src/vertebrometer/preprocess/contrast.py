"""Contrast-limited adaptive histogram equalisation (CLAHE)."""

from __future__ import annotations

import cv2
import numpy as np

from vertebrometer.errors import SettingsError
from vertebrometer.types import GrayImage


def clahe(image: GrayImage, *, clip_limit: float = 2.0, tiles: int = 8) -> GrayImage:
    """Even out contrast from tile to tile, on 256 grey levels.

    Apply it to the film before any padding: black margins would take part in
    the histograms of the outer tiles.

    Parameters
    ----------
    image : GrayImage
        Shape (rows, cols), 0 to 1.
    clip_limit : float
        How far a tile's histogram may stand out above a flat one, as a multiple.
    tiles : int
        Tiles along rows and along columns.

    Returns
    -------
    GrayImage
        Of the same shape, 0 to 1.

    Notes
    -----
    Zuiderveld K, in: Graphics Gems IV (1994), 474-485.
    """
    if not clip_limit > 0 or tiles < 1:
        msg = f"CLAHE wants a clip limit above 0 and at least one tile, got {clip_limit} and {tiles}"
        raise SettingsError(msg)
    # On 16 bits OpenCV's histogram has 65,536 bins, more than a tile has pixels: the clip limit then
    # falls to one count, and a film of few grey levels is washed out.
    coded = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)
    evened = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tiles, tiles)).apply(coded)
    scaled: GrayImage = np.asarray(evened, dtype=np.float32)
    scaled *= np.float32(1 / 255)
    # A float32 of 255/255 may come out just above one.
    return np.minimum(scaled, np.float32(1), out=scaled)
