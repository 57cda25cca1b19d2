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
    coded = np.clip(image, 0, 1)
    coded *= np.float32(255)
    evened = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tiles, tiles)).apply(
        np.rint(coded, out=coded).astype(np.uint8)
    )
    # A float32 of 255/255 may come out just above one.
    shares = np.minimum(np.arange(256, dtype=np.float32) * np.float32(1 / 255), np.float32(1))
    return np.asarray(cv2.LUT(evened, shares), dtype=np.float32)
