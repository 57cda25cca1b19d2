"""What a file is, from its first bytes; names and extensions are not asked."""

from __future__ import annotations

import os
import stat
import struct
from enum import StrEnum
from pathlib import Path
from typing import Final

from vertebrometer.errors import (
    EmptyFileError,
    ForbiddenFileError,
    MissingFileError,
    NotAFileError,
    UnknownFormatError,
    UnreadableFileError,
)

HEAD_BYTES: Final = 4096


class FileKind(StrEnum):
    """Kinds of file that hold films."""

    DICOM = "DICOM"
    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"


_FILMS: Final = (
    (b"\x89PNG\r\n\x1a\n", FileKind.PNG),
    (b"\xff\xd8\xff", FileKind.JPEG),
    (b"II*\0", FileKind.TIFF),
    (b"MM\0*", FileKind.TIFF),
    (b"II+\0", FileKind.TIFF),
    (b"MM\0+", FileKind.TIFF),
)

_FOREIGN: Final = (
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\0\0\0\x0cjP  ", "a bare JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 image"),
    (b"NRRD", "an NRRD volume"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"8BPS", "a Photoshop document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

_UNPACK_FIRST: Final = ("archive", "compressed")

# Value representations of PS3.5, table 6.2-1.
_VRS: Final = frozenset((
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV",
    "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV",
))  # fmt: skip
_LONG_VRS: Final = frozenset((
    "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
))  # fmt: skip


def kind_of(path: Path) -> FileKind:
    """Return what kind of film the file holds.

    Raises
    ------
    UnreadableFileError
        One of its kinds: nothing there, no right to read, no file, no bytes,
        no film. The message never names the folder.
    """
    head = read_head(path)
    if not head:
        msg = "the file is empty; copy or export it again"
        raise EmptyFileError(msg)
    kind = film_kind(head)
    if kind is None:
        raise UnknownFormatError(_say_what_it_is(head))
    return kind


def film_kind(head: bytes) -> FileKind | None:
    """Return the kind of film that starts with these bytes, if any."""
    # A preamble may itself look like a TIFF, so DICOM is asked first.
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return FileKind.DICOM
    return next((kind for signature, kind in _FILMS if head.startswith(signature)), None)


def read_head(path: Path, count: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a regular file, or say why there are none to be had."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            if not os.access(path, os.R_OK | os.X_OK):
                msg = "this folder may not be opened; ask for the right to read it"
                raise ForbiddenFileError(msg)
            msg = "this is a folder; name the film in it, or let the folder be searched for films"
            raise NotAFileError(msg)
        if not stat.S_ISREG(mode):
            msg = "this is a pipe or a device, no file; save the film to a file first"
            raise NotAFileError(msg)
        with path.open("rb") as file:
            return file.read(count)
    except (FileNotFoundError, NotADirectoryError):
        msg = "there is no such file; check its name"
        raise MissingFileError(msg) from None
    except PermissionError:
        msg = "the file may not be opened; ask for the right to read it"
        raise ForbiddenFileError(msg) from None
    except OSError as error:
        msg = f"the file cannot be read ({error.strerror}); copy it to a local disk and try again"
        raise UnreadableFileError(msg) from None
    except ValueError:
        msg = "this is no possible file name; check it"
        raise MissingFileError(msg) from None


def dicom_meta(head: bytes) -> tuple[dict[int, str], int]:
    """Return the UIDs of the file meta group by element number, and where the group ends.

    Only what lies within `head` is read; a file without the group has none.
    """
    uids: dict[int, str] = {}
    at = 132 if head[128:132] == b"DICM" else 0
    while at + 8 <= len(head):
        group, element = struct.unpack_from("<HH", head, at)
        if group != 2:
            break
        vr = head[at + 4 : at + 6].decode("latin-1")
        start = at + (12 if vr in _LONG_VRS else 8)
        length = int.from_bytes(
            head[at + 8 : at + 12] if vr in _LONG_VRS else head[at + 6 : at + 8], "little"
        )
        if vr == "UI":
            uids[element] = head[start : start + length].decode("latin-1").rstrip("\0 ")
        at = start + length
    return uids, at


def _is_bare_dicom(head: bytes) -> bool:
    """Whether the bytes are data elements straight away, as old archives write them."""
    return any(_first_elements_are_sound(head, order) for order in "<>")


def _first_elements_are_sound(head: bytes, order: str) -> bool:
    """Walk up to three elements; groups 2 or 8 must start, and tags must rise."""
    at, last = 0, (0, 0)
    for _ in range(3):
        if at + 8 > len(head):
            break
        tag = struct.unpack_from(f"{order}HH", head, at)
        if tag <= last or tag[0] not in (2, 8):
            return last != (0, 0) and tag > last and tag[0] > 8
        vr = head[at + 4 : at + 6].decode("latin-1")
        if vr in _LONG_VRS:
            header, length = 12, int.from_bytes(head[at + 8 : at + 12], "little" if order == "<" else "big")
        elif vr in _VRS:
            header, length = 8, struct.unpack_from(f"{order}H", head, at + 6)[0]
        else:
            header, length = 8, struct.unpack_from(f"{order}I", head, at + 4)[0]
        if length > HEAD_BYTES:
            return vr in _LONG_VRS and last != (0, 0)
        at, last = at + header + length, tag
    return at > 8 and last != (0, 0)


def _say_what_it_is(head: bytes) -> str:
    """Word what a file is that holds no film, and the way out."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _foreign("a WebP image")
    if head[4:8] == b"ftyp":
        return _foreign("an HEIC image or a video")
    for signature, name in _FOREIGN:
        if head.startswith(signature):
            return _foreign(name)
    if int.from_bytes(head[:4], "little") == 348 or int.from_bytes(head[:4], "big") == 348:
        return _foreign("a NIfTI volume")
    if _is_text(head):
        return _foreign("a text file")
    return "this is no DICOM, PNG, JPEG or TIFF file; export the film as DICOM"


def _foreign(name: str) -> str:
    way_out = (
        "unpack it first"
        if any(word in name for word in _UNPACK_FIRST)
        else "export the film as DICOM or PNG"
    )
    return f"this is {name}, which is not read; DICOM, PNG, JPEG and TIFF are. Please {way_out}"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return head[:2] in (b"\xff\xfe", b"\xfe\xff")
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return control == 0
