"""Size of a pixel from what a file states, with what the number refers to (PS3.3, 10.7)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vertebrometer.errors import SettingsError
from vertebrometer.radiographs.radiograph import PixelSpacing, SpacingSource

Pair = tuple[float, ...]
"""Row and column value as stated: perhaps empty, perhaps nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedSpacing:
    """What a file says about the size of its pixels."""

    pixel_mm: Pair = ()
    imager_mm: Pair = ()
    nominal_scanned_mm: Pair = ()
    calibration_type: str = ""
    magnification: float | None = None
    aspect: Pair = ()
    """Vertical and horizontal size, as a ratio of whole numbers."""


@dataclass(frozen=True, slots=True)
class ReadSpacing:
    """The spacing chosen, the shape of a pixel, and what there is to say about both."""

    spacing: PixelSpacing | None
    aspect: float
    facts: dict[str, str] = field(default_factory=dict)


def user_spacing(spacing_mm: tuple[float, float] | None) -> PixelSpacing | None:
    """Check the row and column spacing that a user gives."""
    if spacing_mm is None:
        return None
    try:
        row_mm, col_mm = (float(value) for value in spacing_mm)
        return PixelSpacing(row_mm, col_mm, SpacingSource.USER)
    except (TypeError, ValueError) as error:
        msg = f"spacing_mm wants row and column spacing in mm, such as (0.14, 0.14); {error}"
        raise SettingsError(msg) from None


def read_spacing(stated: StatedSpacing) -> ReadSpacing:
    """Choose among the spacings that a file states.

    Only a Pixel Spacing that says how it was calibrated, or that differs from
    the Imager Pixel Spacing, was corrected to the patient; every other one is
    the detector's or the scanner's.
    """
    facts: dict[str, str] = {}
    imager = _valid(stated.imager_mm, "imager_pixel_spacing", facts)
    pixel = _valid(stated.pixel_mm, "pixel_spacing", facts)
    nominal = _valid(stated.nominal_scanned_mm, "nominal_scanned_pixel_spacing", facts)
    calibrated = bool(stated.calibration_type) or (
        imager is not None and pixel is not None and not _same(pixel, imager)
    )
    chosen = pixel or imager or nominal
    source = SpacingSource.CALIBRATED if pixel and calibrated else SpacingSource.DETECTOR
    spacing = PixelSpacing(*chosen, source) if chosen else None
    if spacing and stated.calibration_type in ("GEOMETRY", "FIDUCIAL"):
        facts["pixel_spacing_calibration"] = stated.calibration_type
    if stated.magnification and 1.0 <= stated.magnification <= 3.0:
        facts["estimated_magnification"] = f"{stated.magnification:.3f}"
    return ReadSpacing(
        spacing, spacing.row_mm / spacing.col_mm if spacing else _aspect(stated.aspect, facts), facts
    )


def _valid(pair: Pair, name: str, facts: dict[str, str]) -> tuple[float, float] | None:
    """Return a spacing that a film can have; note one that it cannot."""
    if not pair:
        return None
    if len(pair) == 2:
        try:
            PixelSpacing(pair[0], pair[1], SpacingSource.DETECTOR)
        except ValueError:
            pass
        else:
            return (pair[0], pair[1])
    facts[f"{name}_ignored"] = " x ".join(f"{value:g}" for value in pair[:2]) + " mm is no pixel's size"
    return None


def _same(first: tuple[float, float], second: tuple[float, float]) -> bool:
    # Consoles round one of the two for display: a tenth of a percent is no calibration.
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


def _aspect(pair: Pair, facts: dict[str, str]) -> float:
    if not pair:
        return 1.0
    if len(pair) == 2 and min(pair) > 0 and 0.1 <= pair[0] / pair[1] <= 10:
        return pair[0] / pair[1]
    facts["pixel_aspect_ratio_ignored"] = ":".join(f"{value:g}" for value in pair[:2])
    return 1.0
