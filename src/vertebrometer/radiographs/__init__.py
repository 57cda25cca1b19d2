"""Reading films: DICOM, PNG, JPEG and TIFF to one kind of value."""

from vertebrometer.radiographs.finding import find_films
from vertebrometer.radiographs.radiograph import (
    ASSUMED_POLARITY,
    STATED_POLARITY,
    PixelSpacing,
    Radiograph,
    SpacingSource,
)
from vertebrometer.radiographs.reading import read_radiograph
from vertebrometer.radiographs.writing import write_radiograph_dicom

__all__ = [
    "ASSUMED_POLARITY",
    "STATED_POLARITY",
    "PixelSpacing",
    "Radiograph",
    "SpacingSource",
    "find_films",
    "read_radiograph",
    "write_radiograph_dicom",
]
