"""PNG, JPEG and TIFF of 8 or 16 bit, grey or of a colour that is really grey.

Their resolution tags are those of a screen or a printer, never of a film, and
are not read.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vertebrometer.errors import (
    DamagedImageError,
    MultiFrameError,
    TruncatedFileError,
    UnsupportedPixelsError,
)
from vertebrometer.radiographs.colour import grey_of
from vertebrometer.radiographs.grey import CodeImage, StoredFilm, Window
from vertebrometer.radiographs.headers import ImageHeader, jpeg_header, png_header, tiff_header
from vertebrometer.radiographs.limits import check_file_bytes, check_size
from vertebrometer.radiographs.sniff import FileKind

_HEADERS: Final = {FileKind.PNG: png_header, FileKind.JPEG: jpeg_header, FileKind.TIFF: tiff_header}
_COLOURS: Final = ("grey", "grey from white to black", "rgb", "palette", "grey and alpha", "rgb and alpha")
_EXIF_ORIENTATION: Final = 0x0112
# Exports of 12 bits in 16 use a sixteenth of the scale.
_LEAST_SCALE: Final = 0.5
# What Pillow lets through from a damaged file; struct.error and others come from its readers.
_DECODER_ERRORS: Final = (
    OSError, ValueError, SyntaxError, struct.error, IndexError, KeyError, TypeError, OverflowError, EOFError,
    AttributeError, NotImplementedError, ZeroDivisionError, RuntimeError, Image.DecompressionBombError,
)  # fmt: skip


def read_raster(path: Path, kind: FileKind) -> StoredFilm:
    """Read one PNG, JPEG or TIFF, judged by its header before it is decoded."""
    check_file_bytes(path.stat().st_size)
    data = path.read_bytes()
    header = _HEADERS[kind](data)
    _refuse_header(header, kind)
    pixels, orientation = _decoded(data, header, kind)
    facts = {"format": kind.value, "bits": str(header.bits), "colour": header.colour}
    if orientation != 1:
        facts["exif_orientation"] = f"{orientation}, not applied: rows and columns stay as stored"
    codes, how_grey = _grey(pixels)
    if how_grey:
        facts["grey_from_colour"] = how_grey
    scale = float(np.iinfo(codes.dtype).max)
    return StoredFilm(
        codes=codes,
        values=np.arange(scale + 1),
        # Pillow has turned such images of 8 bits already, and not those of 16.
        inverted=header.colour == "grey from white to black" and header.bits == 16,
        shown_by=Window(scale / 2, scale),
        least_contrast=_LEAST_SCALE,
        facts=facts,
    )


def _refuse_header(header: ImageHeader, kind: FileKind) -> None:
    check_size(header.rows, header.cols)
    if header.pages > 1:
        msg = f"the {kind} file holds {header.pages} images; save the film as a file of its own"
        raise MultiFrameError(msg)
    if header.number != "unsigned":
        msg = f"the {kind} image holds {header.number} numbers; save it with 8 or 16 bits, unsigned"
        raise UnsupportedPixelsError(msg)
    if header.bits == 1:
        msg = "the image is black and white, 1 bit per pixel; grey levels of 8 or 16 bits are wanted"
        raise UnsupportedPixelsError(msg)
    if header.bits not in (8, 16):
        msg = f"the {kind} image has {header.bits} bits per pixel; 8 or 16 are read, save it so"
        raise UnsupportedPixelsError(msg)
    if header.colour not in _COLOURS:
        msg = f"the {kind} image is stored as {header.colour}; save it as plain grey"
        raise UnsupportedPixelsError(msg)


def _decoded(
    data: bytes, header: ImageHeader, kind: FileKind
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], int]:
    """Return the pixels, shape (rows, cols) or (rows, cols, samples), and the EXIF orientation."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind is FileKind.PNG:
                # Checks every chunk, which the decoders below do not.
                Image.open(io.BytesIO(data)).verify()
            if header.bits == 16 and header.samples > 1:
                return _by_opencv(data, kind), 1
            return _by_pillow(data, header)
    except _DECODER_ERRORS as error:
        if "truncated" in str(error).lower() or "incomplete" in str(error).lower():
            msg = f"the {kind} image ends before its last row; copy or export the file again"
            raise TruncatedFileError(msg) from None
        raise _damaged(kind) from None


def _by_pillow(data: bytes, header: ImageHeader) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], int]:
    with Image.open(io.BytesIO(data)) as file:
        picture: Image.Image = file
        orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
        if picture.mode == "P" or "transparency" in picture.info:
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        elif picture.mode == "YCbCr":
            picture = picture.convert("RGB")
        pixels: NDArray[Any] = np.asarray(picture)
    if pixels.shape[:2] != (header.rows, header.cols):
        raise ValueError(pixels.shape)
    kind = np.uint16 if header.bits == 16 else np.uint8
    return np.asarray(pixels.astype(kind, copy=False)), int(orientation or 1)


def _by_opencv(data: bytes, kind: FileKind) -> NDArray[np.uint16]:
    """Decode colour of 16 bits, which Pillow would cut to 8."""
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint16:
        raise _damaged(kind)
    return np.asarray(pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])


def _grey(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> tuple[CodeImage, str]:
    if pixels.ndim == 2:
        return pixels, ""
    if pixels.shape[2] in (2, 4):
        if int(pixels[..., -1].min()) < np.iinfo(pixels.dtype).max:
            msg = "parts of the image are transparent; save the film without an alpha channel"
            raise UnsupportedPixelsError(msg)
        pixels = pixels[..., :-1]
    return (pixels[..., 0], "") if pixels.shape[2] == 1 else grey_of(pixels)


def _damaged(kind: FileKind) -> DamagedImageError:
    return DamagedImageError(
        f"the {kind} image is damaged and cannot be decoded; copy or export the file again"
    )
