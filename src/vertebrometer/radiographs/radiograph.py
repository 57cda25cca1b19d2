"""A lateral film as a value: grey levels with one meaning, and its pixel size with its source."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from vertebrometer.types import GrayImage

ASSUMED_POLARITY: Final = "bone-bright, as nearly all are"
"""What `facts["polarity"]` says where nothing told which way the film is stored."""
STATED_POLARITY: Final = "as the file states"
"""What it says where the file did."""


class SpacingSource(StrEnum):
    """What a pixel size refers to."""

    CALIBRATED = "calibrated"
    """Corrected to the patient (PS3.3, 10.7): a length on the film is a length in the body."""
    DETECTOR = "detector"
    """Measured at the detector: lengths are magnified, usually by 5 to 30 %."""
    USER = "user"
    """Given by the user."""


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Size of a pixel in mm along rows and columns, and what it refers to."""

    row_mm: float
    col_mm: float
    source: SpacingSource

    def __post_init__(self) -> None:
        if not (0.005 <= self.row_mm <= 10 and 0.005 <= self.col_mm <= 10):
            msg = (
                f"a pixel of {self.row_mm} x {self.col_mm} mm is no film's; give row and column spacing in mm"
            )
            raise ValueError(msg)

    @property
    def rc(self) -> tuple[float, float]:
        """Row and column spacing in mm."""
        return (self.row_mm, self.col_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """A lateral film: 0 is air-dark, 1 is bone-bright, whatever the file stored.

    Rows and columns are those of the film as stored; nothing is turned, cropped
    or mirrored.
    """

    image: GrayImage
    spacing: PixelSpacing | None = None
    aspect: float = 1.0
    """Height over width of a pixel; known also where no spacing is."""
    name: str = ""
    """File name without its folder; never a patient's name."""
    facts: dict[str, str] = field(default_factory=dict)
    """What the file said that is not about the patient, such as modality, transfer syntax, window."""

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or self.image.dtype != np.float32:
            got = f"{self.image.dtype} {self.image.shape}"
            msg = f"an image of shape (rows, cols), float32 from 0 to 1, is wanted; got {got}"
            raise ValueError(msg)
        self.image.setflags(write=False)

    @property
    def pixel_rc(self) -> tuple[float, float]:
        """Relative size of a pixel along rows and columns: in mm where known, else (aspect, 1)."""
        return self.spacing.rc if self.spacing else (self.aspect, 1.0)
