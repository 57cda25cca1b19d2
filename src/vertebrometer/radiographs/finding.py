"""Finding films in folders by what they contain; exported studies hold files without extension."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from vertebrometer.errors import ForbiddenFileError, VertebrometerError
from vertebrometer.radiographs.modalities import holds_no_image
from vertebrometer.radiographs.sniff import FileKind, dicom_meta, film_kind, read_head

OVERLAY_MARK: Final = ".overlay"
"""What we write beside films carries this before its extension, and is no film."""

_MEDIA_CLASS: Final = 0x0002


def find_films(paths: Iterable[Path]) -> list[Path]:
    """Return the films among files and in folders, sorted, each once.

    A file that is named is always kept, whatever it is, so that reading it says
    what is wrong with it. In a folder and those below it only what starts like
    DICOM, PNG, JPEG or TIFF is kept, whatever its name; left out are hidden
    files, DICOMDIR, DICOM objects without an image (reports, presentation
    states), and overlays that vertebrometer wrote. A file or folder that may not
    be opened is kept, so that it is not passed over in silence. Links are
    followed, each folder is entered once.
    """
    seen_folders: set[tuple[int, int]] = set()
    found: dict[Path, Path] = {}
    for path in sorted({Path(path) for path in paths}):
        films = _walk(path, seen_folders) if path.is_dir() else iter((path,))
        for film in films:
            found.setdefault(_resolved(film), film)
    return sorted(found.values())


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    # A link may lead back up; a folder is known by its place on the disk.
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
            continue
        path = folder / entry.name
        if path.is_dir():
            yield from _walk(path, seen)
        elif _holds_film(path):
            yield path


def _holds_film(path: Path) -> bool:
    if OVERLAY_MARK in path.suffixes[:-1]:
        return False
    try:
        head = read_head(path)
    except ForbiddenFileError:
        return True
    except VertebrometerError:
        return False
    kind = film_kind(head)
    return kind is not None and not (kind is FileKind.DICOM and _is_no_image(head))


def _is_no_image(head: bytes) -> bool:
    uids, _ = dicom_meta(head)
    return holds_no_image(uids.get(_MEDIA_CLASS, "")) is not None


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()
