"""From attenuation to a film: exposure, scatter, noise, processing, marks."""

from __future__ import annotations

import cv2
import numpy as np

from vertebrometer.phantom.canvas import noise_field, slow_blur
from vertebrometer.phantom.settings import ImagingSettings, MarkSettings, ViewSettings
from vertebrometer.phantom.surroundings import slow_unevenness
from vertebrometer.types import BoolMask, GrayImage

_DARKEST = 0.005
"""Least signal that a digital detector tells from none, over that in the middle of the patient."""


def expose(
    attenuation: GrayImage, imaging: ImagingSettings, pixel_mm: float, rng: np.random.Generator
) -> GrayImage:
    """Return the logarithm of what the detector saw, bone bright, with scatter, blur and noise."""
    primary = np.exp(-attenuation.astype(np.float32))
    patient = attenuation > 1.0
    usual = float(np.median(attenuation[patient])) if patient.any() else 1.0
    # Scatter comes from tissue, not from the bare beam beside it: once-scattered light that leaves a
    # slab is in proportion to what passes it and to its thickness.
    source = primary * np.asarray(attenuation / usual, dtype=np.float32)
    seen = primary + imaging.scatter * 0.6 * slow_blur(source, 28 / pixel_mm)
    seen = slow_blur(seen.astype(np.float32), imaging.blur_mm / pixel_mm)
    level = float(np.median(seen[patient])) if patient.any() else float(seen.mean())
    # The exposure is set for the middle of the patient; noise follows the count per pixel.
    count = imaging.photons * (pixel_mm / 0.25) ** 2
    grain = rng.standard_normal(seen.shape, dtype=np.float32)
    noisy = seen + np.sqrt(seen * level / count) * grain
    noisy = cv2.GaussianBlur(noisy, (0, 0), 0.45)
    return np.asarray(-np.log(np.clip(noisy, level * _DARKEST, None)), dtype=np.float32)


def process(
    log_film: GrayImage,
    patient: BoolMask,
    imaging: ImagingSettings,
    pixel_mm: float,
    rng: np.random.Generator,
) -> GrayImage:
    """Harmonise, sharpen, window and bend the curve, as a console does; 0 to 1, air dark."""
    film = log_film - imaging.unsharp * slow_blur(log_film, imaging.unsharp_mm / pixel_mm)
    if imaging.edge > 0:
        film = film + imaging.edge * (film - slow_blur(film, 0.9 / pixel_mm))
    film = film * slow_unevenness(rng, film.shape, imaging.contrast_field * 0.25)
    step = (slice(None, None, max(1, film.shape[0] // 400)), slice(None, None, max(1, film.shape[1] // 400)))
    inner = film[step][patient[step]]
    inner = inner if inner.size > 50 else film[step].ravel()
    # Consoles window on the patient, not on the bare air beside it.
    low, high = np.percentile(inner, [imaging.window_low_pct, imaging.window_high_pct])
    film = np.clip((film - low) / max(high - low, 1e-6), 0, 1) ** imaging.gamma
    return np.asarray(film, dtype=np.float32)


def collimated(view: ViewSettings) -> BoolMask:
    """Pixels that the collimator leaves open."""
    top, bottom, left, right = view.collimation
    open_field = np.zeros((view.rows, view.cols), bool)
    open_field[round(top * view.rows) : view.rows - round(bottom * view.rows),
               round(left * view.cols) : view.cols - round(right * view.cols)] = True  # fmt: skip
    return open_field


def uncovered(view: ViewSettings, marks: MarkSettings) -> BoolMask:
    """Pixels that show the patient: neither shut off by the collimator nor under the burned-in frame."""
    open_field = collimated(view)
    width = border_width(marks, open_field.shape)
    if width:
        open_field[:width] = open_field[-width:] = False
        open_field[:, :width] = open_field[:, -width:] = False
    return open_field


def shut(film: GrayImage, view: ViewSettings) -> GrayImage:
    """Darken or whiten what the collimator covers."""
    return np.where(collimated(view), film, 1.0 if view.collimation_bright else 0.0).astype(np.float32)


def mark(film: GrayImage, marks: MarkSettings, pixel_mm: float, rng: np.random.Generator) -> GrayImage:
    """Burn in letters, a ruler, a calibration grid, a stitching seam and a border."""
    out = film.copy()
    rows, cols = out.shape
    if marks.seam_at:
        _seam(out, round(marks.seam_at * rows), rng)
    if marks.grid_mm:
        _grid(out, marks.grid_mm / pixel_mm, rng)
    if marks.ruler:
        _ruler(out, 10 / pixel_mm, rng)
    for _ in range(marks.letters):
        _letters(out, rng)
    if marks.border_px:
        width = border_width(marks, out.shape)
        level = float(rng.choice([0.0, 1.0]))
        out[:width], out[rows - width :], out[:, :width], out[:, cols - width :] = (level,) * 4
    return out


def border_width(marks: MarkSettings, shape: tuple[int, ...]) -> int:
    """Width in pixels of the frame that is burned in; it never covers much of a small film."""
    return min(marks.border_px, shape[0] // 20, shape[1] // 20)


def _letters(film: GrayImage, rng: np.random.Generator) -> None:
    text = "".join(rng.choice(list("LRABCDEFGHKMNPSTUVWX0123456789.:- "), int(rng.integers(1, 14))))
    size = float(rng.uniform(0.0004, 0.0015)) * film.shape[0]
    spot = (int(rng.uniform(0, 0.85) * film.shape[1]), int(rng.uniform(0.03, 1.0) * film.shape[0]))
    font, level = int(rng.integers(0, 5)), float(rng.uniform(0.75, 1.0))
    ink = np.zeros(film.shape, np.uint8)
    cv2.putText(ink, text, spot, font, size, 255, max(1, round(size * 2)), cv2.LINE_AA)
    cover = ink.astype(np.float32) / 255
    film[:] = film * (1 - cover) + level * cover


def _ruler(film: GrayImage, pitch_px: float, rng: np.random.Generator) -> None:
    column = int(rng.uniform(0.02, 0.98) * film.shape[1])
    cv2.line(film, (column, 0), (column, film.shape[0]), 0.95, max(1, film.shape[1] // 900))
    for number, row in enumerate(np.arange(0, film.shape[0], pitch_px)):
        reach = int(pitch_px * (1.0 if number % 5 == 0 else 0.5))
        cv2.line(film, (column, int(row)), (column + reach, int(row)), 0.95, max(1, film.shape[1] // 900))


def _grid(film: GrayImage, pitch_px: float, rng: np.random.Generator) -> None:
    level, width = float(rng.uniform(0.6, 1.0)), max(1, film.shape[0] // 1400)
    mix = film.copy()
    for row in np.arange(rng.uniform(0, pitch_px), film.shape[0], pitch_px):
        cv2.line(mix, (0, int(row)), (film.shape[1], int(row)), level, width)
    for column in np.arange(rng.uniform(0, pitch_px), film.shape[1], pitch_px):
        cv2.line(mix, (int(column), 0), (int(column), film.shape[0]), level, width)
    strength = float(rng.uniform(0.4, 1.0))
    film[:] = strength * np.maximum(mix, film) + (1 - strength) * film


def _seam(film: GrayImage, row: int, rng: np.random.Generator) -> None:
    """Two exposures meet: another brightness below, a line, and rows that repeat."""
    film[row:] = np.clip(film[row:] * rng.uniform(0.75, 1.25) + rng.uniform(-0.1, 0.1), 0, 1)
    smear = int(rng.integers(2, max(3, film.shape[0] // 60)))
    film[row : row + smear] = film[row : row + 1] * 0.7 + 0.3 * film[row : row + smear]
    cv2.line(film, (0, row), (film.shape[1], row), float(rng.uniform(0.5, 1.0)), 1 + film.shape[0] // 1500)


def smear(film: GrayImage, strength: float, rng: np.random.Generator) -> GrayImage:
    """Add the blocks and horizontal dashes of careless lossy storage."""
    if strength <= 0:
        return film
    code = cv2.imencode(
        ".jpg", (film * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, round(75 - 55 * strength)]
    )[1]
    out = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255
    streaks = noise_field(rng, film.shape, (2, 40))
    patches = noise_field(rng, film.shape, (film.shape[0] / 9, film.shape[1] / 6))
    out += 0.08 * strength * np.clip(streaks - 0.8, 0, None) * (patches > 0.7)
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)
