"""The coarse view of a film: what the first network is fed, and what it was taught to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vertebrometer.preprocess import clahe
from vertebrometer.types import GrayImage

COARSE_PIXEL_MM: Final = 1.5
"""Nominal pixel of the coarse view; bodies are then about 12 to 24 px deep."""
COARSE_CHANNELS: Final[tuple[str, ...]] = ("body", "core", "anterior", "sacrum")
"""What the coarse network tells of each pixel: in a body, in the inner part of one body (so
that neighbours stay apart), in the front half of a body, in the upper part of the sacrum."""
CORE_SHARE: Final = 0.55
"""Size of the core over that of its body."""
SACRUM_SHARE: Final = 0.6
"""Height of the marked part of the sacrum over the length of its superior endplate."""


@dataclass(frozen=True, slots=True)
class CoarseView:
    """A film at coarse scale; `scale_rc` is coarse pixels per film pixel."""

    image: GrayImage
    scale_rc: tuple[float, float]


def coarse_contrast(image: GrayImage) -> GrayImage:
    """Even out the contrast of a whole film as the coarse network expects it."""
    return clahe(image, clip_limit=2.0, tiles=8)


def resampled(image: GrayImage, scale_rc: tuple[float, float]) -> CoarseView:
    """Scale an image, averaging when it shrinks; the scale kept is what whole pixels allow."""
    rows, cols = (max(1, round(n * s)) for n, s in zip(image.shape, scale_rc, strict=True))
    shrinks = rows < image.shape[0]
    small = cv2.resize(image, (cols, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return CoarseView(np.asarray(small, dtype=np.float32), (rows / image.shape[0], cols / image.shape[1]))


def fed(image: GrayImage) -> GrayImage:
    """Centre grey levels as the coarse network was taught."""
    return np.asarray((image - 0.5) / 0.25, dtype=np.float32)
