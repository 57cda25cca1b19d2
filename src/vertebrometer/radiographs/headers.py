"""Size and kind of PNG, JPEG, TIFF and JPEG 2000 images from their headers alone.

Decoders are only let at an image whose header has passed; that is why the few
fields needed are read here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from vertebrometer.errors import DamagedImageError, TruncatedFileError

_PNG: Final = "PNG"
_JPEG: Final = "JPEG"
_JPEG_2000: Final = "JPEG 2000"
_TIFF: Final = "TIFF"
_MOST_PAGES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """What the header of a raster image states."""

    rows: int
    cols: int
    bits: int
    """Per sample."""
    samples: int = 1
    colour: str = "grey"
    """grey, grey from white to black, rgb, palette, cmyk or another word of the format."""
    pages: int = 1
    number: str = "unsigned"
    """unsigned, signed or float."""


def png_header(data: bytes) -> ImageHeader:
    """Read IHDR, and whether the file is animated."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise _cut_short(_PNG)
    cols, rows, bits, colour = struct.unpack_from(">IIBB", data, 16)
    names = {
        0: ("grey", 1),
        2: ("rgb", 3),
        3: ("palette", 1),
        4: ("grey and alpha", 2),
        6: ("rgb and alpha", 4),
    }
    if colour not in names:
        raise _contradicts(_PNG)
    name, samples = names[colour]
    frames = 1
    at = 8
    # The chunk that announces an animation stands before the first image data.
    while at + 12 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"acTL" and at + 12 <= len(data):
            frames = int.from_bytes(data[at + 8 : at + 12], "big")
        at += 12 + length
    return ImageHeader(rows=rows, cols=cols, bits=bits, samples=samples, colour=name, pages=frames)


def jpeg_header(data: bytes) -> ImageHeader:
    """Read the frame header (SOF) of a JPEG or JPEG-LS stream."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise _contradicts(_JPEG)
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        is_frame = (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7
        if is_frame and at + 10 <= len(data):
            bits, rows, cols, samples = struct.unpack_from(">BHHB", data, at + 4)
            colour = {1: "grey", 3: "rgb", 4: "cmyk"}.get(samples, f"{samples} samples")
            if marker in (0xC3, 0xC7, 0xCB, 0xCF, 0xF7):
                colour = f"lossless {colour}"
            return ImageHeader(rows=rows, cols=cols, bits=bits, samples=samples, colour=colour)
        if marker in (0xD9, 0xDA):
            raise _contradicts(_JPEG)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise _cut_short(_JPEG)


def jpeg2000_header(data: bytes) -> ImageHeader:
    """Read the SIZ segment of a JPEG 2000 code stream, with or without the boxes of a file round it."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        raise _contradicts(_JPEG_2000)
    if len(data) < start + 43:
        raise _cut_short(_JPEG_2000)
    width, height, left, top = struct.unpack_from(">IIII", data, start + 8)
    samples = int.from_bytes(data[start + 40 : start + 42], "big")
    return ImageHeader(
        rows=height - top, cols=width - left, bits=(data[start + 42] & 0x7F) + 1, samples=samples
    )


def tiff_header(data: bytes) -> ImageHeader:
    """Read the first page of a TIFF or BigTIFF, and count the full-size pages."""
    tiff = _Tiff(data)
    first: dict[int, tuple[int, ...]] | None = None
    pages, at, seen = 0, tiff.first, set[int]()
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        tags, at = tiff.directory(at)
        # New Subfile Type 1 is a thumbnail of another page, 4 a transparency mask.
        if tags.get(254, (0,))[0] & 5 == 0:
            pages += 1
            first = first or tags
    if first is None or 256 not in first or 257 not in first:
        raise _contradicts(_TIFF)
    _require_whole_strips(first, len(data))
    return _tiff_image(first, pages)


def _tiff_image(tags: dict[int, tuple[int, ...]], pages: int) -> ImageHeader:
    colours = {0: "grey from white to black", 1: "grey", 2: "rgb", 3: "palette", 5: "cmyk", 6: "rgb"}
    photometric = tags.get(262, (1,))[0]
    numbers = {1: "unsigned", 2: "signed", 3: "float"}
    colour = colours.get(photometric, f"photometric {photometric}")
    samples = tags.get(277, (1,))[0]
    if samples in (2, 4) and colour in ("grey", "rgb"):
        colour = f"{colour} and alpha"
    return ImageHeader(
        rows=tags[257][0],
        cols=tags[256][0],
        bits=max(tags.get(258, (1,))),
        samples=samples,
        colour=colour,
        pages=pages,
        number=numbers.get(tags.get(339, (1,))[0], "complex"),
    )


def _require_whole_strips(tags: dict[int, tuple[int, ...]], size: int) -> None:
    for starts, lengths in ((273, 279), (324, 325)):
        ends = [
            start + length for start, length in zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False)
        ]
        if ends and max(ends) > size:
            raise _cut_short(_TIFF)


class _Tiff:
    """Image file directories of a TIFF, little or big endian, classic or Big."""

    _SIZES: Final = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q"}

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = data[2:4] in (b"+\0", b"\0+")
        self.first = self._number("Q", 8) if self.big else self._number("I", 4)

    def directory(self, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Return the whole-number tags of one directory, and where the next is."""
        count = self._number("Q" if self.big else "H", at)
        at += 8 if self.big else 2
        if count > 4096:
            raise _contradicts(_TIFF)
        size = 20 if self.big else 12
        tags = dict(self._entry(at + n * size) for n in range(count))
        return tags, self._number("Q" if self.big else "I", at + count * size)

    def _entry(self, at: int) -> tuple[int, tuple[int, ...]]:
        tag, kind = self._number("H", at), self._number("H", at + 2)
        count = self._number("Q" if self.big else "I", at + 4)
        letter = self._SIZES.get(kind)
        if letter is None or count == 0:
            return tag, (0,)
        value_at, room = (at + 12, 8) if self.big else (at + 8, 4)
        length = struct.calcsize(f"={letter}") * count
        if length > room:
            value_at = self._number("Q" if self.big else "I", value_at)
        if value_at + length > len(self.data):
            raise _cut_short(_TIFF)
        return tag, struct.unpack_from(f"{self.order}{count}{letter}", self.data, value_at)

    def _number(self, letter: str, at: int) -> int:
        try:
            return int(struct.unpack_from(f"{self.order}{letter}", self.data, at)[0])
        except struct.error:
            raise _cut_short(_TIFF) from None


def _cut_short(kind: str) -> TruncatedFileError:
    return TruncatedFileError(f"the {kind} image ends within its header; copy or export the file again")


def _contradicts(kind: str) -> DamagedImageError:
    return DamagedImageError(
        f"the {kind} header makes no sense, the file is damaged; copy or export it again"
    )
