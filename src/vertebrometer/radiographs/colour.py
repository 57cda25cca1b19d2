"""Colour images that are really grey: films saved as RGB, tinted film bases, coloured letters on grey."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.errors import PhotographError
from vertebrometer.radiographs.grey import CodeImage

# Share of the scale by which a channel may stray from the grey, and share of
# the pixels (letters, marks, logos) that may stray further.
_STRAY: Final = 0.06
_STRAY_SHARE: Final = 0.03
# Or all together, as a share of the spread of the grey: a blue film photographed before a lamp that was
# not as blue everywhere strayed by 0.10; photographs of people and things by 0.33 to 0.45.
_STRAY_OF_SPREAD: Final = 0.2
_SAMPLES: Final = 200_000


def grey_of(rgb: NDArray[np.uint8] | NDArray[np.uint16]) -> tuple[CodeImage, str]:
    """Return the grey image that a colour one, shape (rows, cols, 3), really is, and how grey it was.

    Raises
    ------
    PhotographError
        The channels do not follow one another: an image in real colour.
    """
    if _is_exactly_grey(rgb):
        first: Any = np.ascontiguousarray(rgb[..., 0])
        return first, "equal channels"
    scale = float(np.iinfo(rgb.dtype).max)
    step = max(1, round((rgb.shape[0] * rgb.shape[1] / _SAMPLES) ** 0.5))
    sample = rgb[::step, ::step].reshape(-1, 3).astype(np.float64) / scale
    grey = sample.mean(axis=1)
    # A tinted film base or lamp gives each channel its own slope: still one number per pixel.
    slopes = np.stack([grey, grey**2, np.ones_like(grey)], axis=1)
    fit, *_ = np.linalg.lstsq(slopes, sample, rcond=None)
    off = sample - slopes @ fit
    far = float((np.abs(off).max(axis=1) > _STRAY).mean()) > _STRAY_SHARE
    far = far and float(np.sqrt((off**2).mean())) > _STRAY_OF_SPREAD * float(grey.std())
    if far or float(np.ptp(slopes @ fit, axis=1).max()) > 0.5:
        msg = "the image is in colour, so it is no radiograph; give the film as DICOM or as a grey image"
        raise PhotographError(msg)
    codes: Any = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    return codes, "nearly equal channels"


def _is_exactly_grey(rgb: NDArray[np.uint8] | NDArray[np.uint16]) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())
