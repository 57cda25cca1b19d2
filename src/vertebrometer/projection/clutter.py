"""What lies in front of, behind and beside a spine on a film: ribs, bowel gas, the pelvis, folds of skin.

All of it decorates: it is drawn, not scanned, and carries no truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.types import FloatArray, GrayImage, PointsRC


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> GrayImage:
    """Return a field of mean 0 and deviation 1 whose grains are about `grain_px` wide."""
    step = max(1.0, grain_px / 3)
    rows, cols = (int(np.ceil(n / step)) + 4 for n in shape)
    coarse = cv2.GaussianBlur(rng.standard_normal((rows, cols)).astype(np.float32), (0, 0), 1.2)
    coarse = (coarse - coarse.mean()) / max(float(coarse.std()), 1e-6)
    full = cv2.resize(coarse, (int(cols * step) + 1, int(rows * step) + 1), interpolation=cv2.INTER_CUBIC)
    field: GrayImage = full[: shape[0], : shape[1]]
    return field


def clutter_of(
    rng: np.random.Generator,
    contours_px: Sequence[PointsRC],
    shape: tuple[int, int],
    pixel_mm: float,
    amount: float,
    *,
    front_left: bool,
) -> GrayImage:
    """Return line integrals to be added to a film.

    Parameters
    ----------
    contours_px
        Outlines of the bodies from the top, in pixels of this field.
    amount
        0 is nothing, 1 as much as on a usual film.
    front_left
        Whether the front of the spine is on the left.
    """
    scene = _Scene(shape, pixel_mm, min(amount, 1.2), -1.0 if front_left else 1.0)
    field = np.zeros(shape, dtype=np.float32)
    if amount <= 0:
        return field
    centres = np.array([contour.mean(axis=0) for contour in contours_px])
    field -= _gas(rng, scene, centres)
    if rng.random() < 0.8 * scene.amount:
        field += _ribs(rng, scene, centres[: max(1, len(centres) // 2)])
    if rng.random() < 0.6 * scene.amount:
        field += _pelvis(rng, scene, centres[-1])
    return field


@dataclass(frozen=True, slots=True)
class _Scene:
    shape: tuple[int, int]
    pixel_mm: float
    amount: float
    forward: float
    """Sign of the columns towards the front."""


def _gas(rng: np.random.Generator, scene: _Scene, centres: FloatArray) -> GrayImage:
    """Draw bowel gas: blobs, most of them before the spine."""
    field = np.zeros(scene.shape, dtype=np.float32)
    for _ in range(int(rng.poisson(7 * scene.amount))):
        near = centres[int(rng.integers(len(centres)))]
        row = near[0] + rng.normal(0, 25) / scene.pixel_mm
        col = near[1] + scene.forward * (rng.gamma(3, 16) - 8) / scene.pixel_mm
        axes = tuple(int(a) for a in rng.uniform(5, 22, size=2) / scene.pixel_mm)
        blob = np.zeros_like(field)
        cv2.ellipse(
            blob, (int(col), int(row)), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA
        )
        soft = cv2.GaussianBlur(blob, (0, 0), float(rng.uniform(1, 6)) / scene.pixel_mm)
        field += np.float32(rng.uniform(0.05, 0.3)) * soft
    return field


def _ribs(rng: np.random.Generator, scene: _Scene, centres: FloatArray) -> GrayImage:
    """Draw the last ribs, which cross the upper bodies and run down to the front, on either side."""
    field = np.zeros(scene.shape, dtype=np.float32)
    along = np.linspace(0, 1, 40)
    for centre in centres:
        for _ in range(int(rng.integers(0, 3))):
            behind = np.array([0.0, -25.0 * scene.forward])
            start = centre + (rng.normal(0, 8, size=2) + behind) / scene.pixel_mm
            length, drop = rng.uniform(50, 120) / scene.pixel_mm, rng.uniform(0.2, 1.0)
            sag = rng.uniform(-0.2, 0.3) * length
            rows = start[0] + drop * length * along + sag * along**2
            cols = start[1] + scene.forward * length * along
            width_px, rim_px = rng.uniform(6, 10) / scene.pixel_mm, rng.uniform(0.5, 1.0) / scene.pixel_mm
            band = _band(scene.shape, rows, cols, width_px, rim_px)
            field += np.float32(rng.uniform(0.05, 0.16) * scene.amount) * band
    return field


def _pelvis(rng: np.random.Generator, scene: _Scene, lowest: PointsRC) -> GrayImage:
    """Draw the wings of the pelvis: two arches over the lowest body, denser below."""
    field = np.zeros(scene.shape, dtype=np.float32)
    x = np.linspace(-1, 1, 60)
    for _ in range(2):
        aside_mm = np.array([rng.normal(-12, 12), -scene.forward * rng.normal(0, 15)])
        top = lowest + aside_mm / scene.pixel_mm
        half = rng.uniform(45, 75) / scene.pixel_mm
        rows = top[0] + (rng.uniform(0.5, 0.9) * half) * x**2
        cols = top[1] + half * x
        line = _band(scene.shape, rows, cols, rng.uniform(2, 4) / scene.pixel_mm, 0.6 / scene.pixel_mm)
        inside = np.zeros_like(field)
        corners = np.stack([np.r_[cols, cols[::-1]], np.r_[rows, rows + 3 * half]], axis=1)
        cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], 1.0)
        soft = cv2.GaussianBlur(inside, (0, 0), 1.5 / scene.pixel_mm)
        field += np.float32(rng.uniform(0.5, 1.2) * scene.amount) * (0.12 * line + 0.1 * soft)
    return field


def _band(
    shape: tuple[int, ...],
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    width_px: float,
    rim_px: float,
) -> GrayImage:
    """Draw a bone seen from the side: a faint band with two brighter rims."""
    line = np.rint(np.stack([cols, rows], axis=1) * 16).astype(np.int32)
    outer, inner = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    cv2.polylines(outer, [line], False, 1.0, max(2, round(width_px)), cv2.LINE_AA, 4)
    cv2.polylines(inner, [line], False, 1.0, max(1, round(width_px - 2 * max(rim_px, 1))), cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(outer - 0.6 * inner, (0, 0), max(rim_px, 0.8)), dtype=np.float32)
