"""Reading films: DICOM, PNG, JPEG and TIFF to one kind of value."""

from vertebrometer.radiographs.finding import find_films
from vertebrometer.radiographs.radiograph import PixelSpacing, Radiograph, SpacingSource
from vertebrometer.radiographs.reading import read_radiograph

__all__ = ["PixelSpacing", "Radiograph", "SpacingSource", "find_films", "read_radiograph"]
