"""One film from one file, whatever its format, or one clear reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from vertebrometer.radiographs.dicom import read_dicom
from vertebrometer.radiographs.grey import StoredFilm, develop
from vertebrometer.radiographs.polarity import looks_negative
from vertebrometer.radiographs.radiograph import ASSUMED_POLARITY, STATED_POLARITY, Radiograph
from vertebrometer.radiographs.raster import read_raster
from vertebrometer.radiographs.sniff import FileKind, kind_of
from vertebrometer.radiographs.spacing import ReadSpacing, user_spacing
from vertebrometer.types import GrayImage

Polarity = Literal["auto", "bone-bright", "bone-dark"]


def read_radiograph(
    path: Path,
    *,
    spacing_mm: tuple[float, float] | None = None,
    polarity: Polarity = "auto",
    any_view: bool = False,
) -> Radiograph:
    """Read a lateral film; air is dark and bone bright after it, whatever was stored.

    Parameters
    ----------
    path : Path
        DICOM (with or without preamble), PNG, JPEG or TIFF; its name and
        extension do not matter.
    spacing_mm : (float, float), optional
        Row and column spacing in mm; wins over what the file states.
    polarity : {"auto", "bone-bright", "bone-dark"}
        How bone looks when the file is shown as it asks to be. "auto" trusts
        a DICOM radiograph; other files are turned only where the air beside the
        patient is clearly bright.
    any_view : bool
        Read the film even if the file says that it is no lateral view of a trunk.

    Returns
    -------
    Radiograph
        Rows and columns as stored: nothing is turned, cropped or mirrored.

    Raises
    ------
    VertebrometerError
        Each way in which a file can be wrong has its own class, code and
        message; none names a patient or a folder.
    """
    given = user_spacing(spacing_mm)
    path = Path(path)
    kind = kind_of(path)
    if kind is FileKind.DICOM:
        film, stated, polarity_is_stated = read_dicom(path, any_view=any_view)
    else:
        film, stated, polarity_is_stated = read_raster(path, kind), ReadSpacing(None, 1.0), False
    image, facts = _developed(film, polarity, polarity_is_stated=polarity_is_stated)
    spacing = given or stated.spacing
    return Radiograph(
        image=image,
        spacing=spacing,
        aspect=given.row_mm / given.col_mm if given else stated.aspect,
        name=path.name,
        facts={**film.facts, **stated.facts, **facts},
    )


def _developed(
    film: StoredFilm, polarity: Polarity, *, polarity_is_stated: bool
) -> tuple[GrayImage, dict[str, str]]:
    invert = polarity == "bone-dark"
    image, facts = develop(film, invert=invert)
    if polarity != "auto":
        return image, facts | {"polarity": f"{polarity}, given by the user"}
    if polarity_is_stated:
        return image, facts | {"polarity": STATED_POLARITY}
    if not looks_negative(image):
        return image, facts | {"polarity": ASSUMED_POLARITY}
    image, facts = develop(film, invert=True)
    return image, facts | {"polarity": "bone-dark, found from the bright air beside the patient"}
