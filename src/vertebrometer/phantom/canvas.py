"""A canvas in film pixels that collects line integrals of attenuation.

Everything is drawn with the front of the spine to the left; the film is
mirrored at the end where it faces right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.geometry import Affine
from vertebrometer.types import FloatArray, GrayImage, PointsRC

_FINE = 2
"""Shapes are drawn this many times finer than the film and averaged down."""
_SHIFT = 4
"""Sub-pixel bits that OpenCV's drawing takes."""


@dataclass(slots=True, eq=False)
class Canvas:
    """Collects attenuation; `to_film` carries mm of the spine's frame to film pixels."""

    shape: tuple[int, int]
    pixel_mm: float
    to_film: Affine
    beam_rc: FloatArray
    """Where the central ray meets the film, shape (2,)."""
    source_distance_mm: float
    attenuation: GrayImage = field(init=False)

    def __post_init__(self) -> None:
        self.attenuation = np.zeros(self.shape, np.float32)

    def place(self, points_mm: PointsRC, side_mm: float = 0.0) -> PointsRC:
        """Carry points that lie `side_mm` off the mid-sagittal plane (towards the source) to the film."""
        film = self.to_film(points_mm)
        magnified = 1.0 + side_mm / self.source_distance_mm
        return np.asarray(self.beam_rc + (film - self.beam_rc) * magnified)

    def add_section(
        self,
        outline_rc: PointsRC,
        *,
        inside: float,
        rim: float,
        rim_mm: float,
        texture: GrayImage | None = None,
    ) -> None:
        """Add a closed shape: `inside` within it, `rim` on top along the inner side of its outline."""
        box = self._box(outline_rc, 2)
        if box is None:
            return
        r0, c0, r1, c1 = box
        size = ((r1 - r0) * _FINE, (c1 - c0) * _FINE)
        polygon = _fixed(outline_rc, (r0, c0))
        fill = np.zeros(size, np.uint8)
        cv2.fillPoly(fill, [polygon], 255, lineType=cv2.LINE_8, shift=_SHIFT)
        layer = fill.astype(np.float32) * (inside / 255.0)
        if rim > 0:
            line = np.zeros(size, np.uint8)
            width = max(1, round(2 * rim_mm / self.pixel_mm * _FINE))
            cv2.polylines(line, [polygon], True, 255, thickness=width, lineType=cv2.LINE_8, shift=_SHIFT)
            layer += (line & fill).astype(np.float32) * (rim / 255.0)
        small = cv2.resize(layer, (c1 - c0, r1 - r0), interpolation=cv2.INTER_AREA)
        if texture is not None:
            small = small * texture[r0:r1, c0:c1]
        self.attenuation[r0:r1, c0:c1] += small

    def add_tube(
        self, path_rc: PointsRC, *, width_mm: float, wall_mm: float, inside: float, wall: float
    ) -> None:
        """Add a hollow tube seen from the side, such as a rib or a long bone."""
        pad = width_mm / self.pixel_mm
        box = self._box(path_rc, int(pad) + 2)
        if box is None:
            return
        r0, c0, r1, c1 = box
        line = _fixed(path_rc, (r0, c0))
        outer = np.zeros(((r1 - r0) * _FINE, (c1 - c0) * _FINE), np.uint8)
        inner = outer.copy()
        thick = max(1, round(width_mm / self.pixel_mm * _FINE))
        thin = max(1, round((width_mm - 2 * wall_mm) / self.pixel_mm * _FINE))
        cv2.polylines(outer, [line], False, 255, thickness=thick, lineType=cv2.LINE_8, shift=_SHIFT)
        cv2.polylines(inner, [line], False, 255, thickness=thin, lineType=cv2.LINE_8, shift=_SHIFT)
        layer = (outer.astype(np.float32) * wall - inner.astype(np.float32) * (wall - inside)) / 255.0
        self.attenuation[r0:r1, c0:c1] += cv2.resize(layer, (c1 - c0, r1 - r0), interpolation=cv2.INTER_AREA)

    def _box(self, points_rc: PointsRC, pad: int) -> tuple[int, int, int, int] | None:
        low = np.floor(points_rc.min(axis=0)).astype(int) - pad
        high = np.ceil(points_rc.max(axis=0)).astype(int) + pad + 1
        r0, c0 = (int(v) for v in np.maximum(low, 0))
        r1, c1 = (int(v) for v in np.minimum(high, self.shape))
        return None if r1 <= r0 or c1 <= c0 else (r0, c0, r1, c1)


def _fixed(points_rc: PointsRC, origin: tuple[int, int]) -> NDArray[np.int32]:
    """Points of the film as fixed-point (x, y) of the finer patch that begins at `origin`."""
    # Pixel centres: fine = (film + 0.5) * _FINE - 0.5 in each direction.
    fine = (points_rc - origin + 0.5) * _FINE - 0.5
    return np.round(fine[:, ::-1] * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def slow_blur(image: GrayImage, sigma_px: float) -> GrayImage:
    """Gaussian blur; wide ones are done on a smaller copy, which looks the same and is quick."""
    step = max(1, int(sigma_px / 4))
    if step == 1:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.05)), dtype=np.float32)
    rows, cols = image.shape
    small = cv2.resize(image, (max(2, cols // step), max(2, rows // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / step)
    return np.asarray(cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def noise_field(
    rng: np.random.Generator, shape: tuple[int, int], scale_rc_px: tuple[float, float]
) -> GrayImage:
    """Smooth noise of mean 0 and SD about 1 whose grains measure `scale_rc_px`."""
    rows, cols = (max(4, int(n / max(s, 1.0)) + 3) for n, s in zip(shape, scale_rc_px, strict=True))
    grain = rng.standard_normal((rows, cols)).astype(np.float32)
    full = cv2.resize(grain, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(full * 1.25, dtype=np.float32)


def smooth_path(points_rc: PointsRC, samples: int = 60) -> PointsRC:
    """Run a smooth line through a few points."""
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 (slow to import, only phantoms need it)

    steps = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points_rc, axis=0), axis=1))]
    return np.asarray(CubicSpline(steps, points_rc)(np.linspace(0, steps[-1], samples)))
