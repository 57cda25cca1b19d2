"""From line integrals to the film that a viewer sees: photons, scatter, noise, blur, processing, window."""

from __future__ import annotations

import cv2
import numpy as np

from vertebrometer.projection.settings import ProjectionSettings
from vertebrometer.types import GrayImage


def developed(
    integral: GrayImage, settings: ProjectionSettings, rng: np.random.Generator, *, work_mm: float
) -> GrayImage:
    """Return the film of `settings.shape`, from 0 (air) to 1 (bone)."""
    rows, cols = settings.shape
    fine = _upsampled(integral, (rows, cols), settings.pixel_mm, work_mm)
    # Behind the typical part of the film lie `photons` per square of 0.3 mm.
    through = np.exp(-np.clip(fine - float(np.median(fine)), -6, 6))
    scattered = wide_blur(through, 35.0 / settings.pixel_mm)
    share = settings.scatter
    arriving = (1 - share) * through + share * scattered
    dose = settings.photons * (settings.pixel_mm / 0.3) ** 2
    # Beyond some ten photons a count is normal; this is faster than drawing it one by one.
    expected = np.maximum(arriving * dose, 1.0)
    counted = expected + np.sqrt(expected) * rng.standard_normal((rows, cols), dtype=np.float32)
    counted = cv2.GaussianBlur(counted, (0, 0), max(0.3, settings.blur_mm / settings.pixel_mm))
    log = -np.log(np.maximum(counted, 0.5) / dose)
    return _processed(log.astype(np.float32), settings)


def wide_blur(image: GrayImage, sigma_px: float) -> GrayImage:
    """Blur by a wide Gaussian, on a coarse grid, where it costs nothing."""
    rows, cols = image.shape
    step = max(1, int(sigma_px / 4))
    small = cv2.resize(image, (max(2, cols // step), max(2, rows // step)), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), sigma_px / step, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, (cols, rows), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _upsampled(integral: GrayImage, shape: tuple[int, int], pixel_mm: float, work_mm: float) -> GrayImage:
    # Both grids share the centre of the film; pixel n covers [n - 0.5, n + 0.5).
    scale = pixel_mm / work_mm
    matrix = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
    fine = cv2.warpAffine(
        integral,
        matrix,
        shape[::-1],
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(fine, dtype=np.float32)


def _processed(log: GrayImage, settings: ProjectionSettings) -> GrayImage:
    base = wide_blur(log, settings.flatten_mm / settings.pixel_mm)
    flat = log - np.float32(settings.flatten) * base
    if settings.sharpen > 0:
        flat = flat + np.float32(settings.sharpen) * (flat - wide_blur(flat, 1.5 / settings.pixel_mm))
    low, high = np.percentile(flat[::3, ::3], settings.window_percent)
    shown = np.clip((flat - low) / max(float(high - low), 1e-6), 0, 1)
    film: GrayImage = np.power(shown, np.float32(settings.gamma)).astype(np.float32)
    return film
