"""Taking a film in: its bytes onto the disk, its job into the store, only then a yes."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from vertebrometer.errors import UnreadableFileError, VertebrometerError
from vertebrometer.store import NewFilm, Store

OWN_MANUFACTURER: Final = "vertebrometer"
# Our overlay is a secondary capture; a film that we drew (`vertebrometer phantom`) is none.
OWN_CLASS: Final = "1.2.840.10008.5.1.4.1.1.7"
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")


class NotTheFilmItSaysError(VertebrometerError):
    """The object's own UID is not the one that its sender announced."""

    code = "uid_mismatch"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an object that arrived."""

    film_id: int | None
    """None for a result of our own, which is not measured."""
    is_new: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """UIDs of an object; only ever stored, never logged."""

    key: str
    sop_class_uid: str | None
    study_uid: str | None
    series_uid: str | None
    is_own: bool


class Inbox:
    """The folder of films, with the store that knows them.

    Names of files come from checksums, so nothing that a sender writes can
    lead out of the folder.
    """

    def __init__(self, data: Path, store: Store) -> None:
        self.data, self._store = data, store
        self.parts = data / "parts"
        for folder in (self.parts, data / "films", data / "results"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    def new_part(self) -> Path:
        """Return a file in the same file system to write an arriving object to."""
        handle, path = tempfile.mkstemp(dir=self.parts, suffix=".part")
        os.close(handle)
        return Path(path)

    def take(
        self, part: Path, *, source: str, announced_uid: str | None = None, name: str | None = None
    ) -> Taken:
        """Keep a film for good; when this returns, it will be measured whatever happens.

        Parameters
        ----------
        part : Path
            The whole object, from `new_part`; it is moved away.
        source : str
            See `NewFilm.source`.
        announced_uid : str, optional
            SOP Instance UID that the sender announced; another one is refused.
        name : str, optional
            File name after which results are called.

        Raises
        ------
        UnreadableFileError, NotTheFilmItSaysError
            The sender's fault; nothing is kept.
        OSError, StoreError
            Our trouble; nothing is kept, and the sender should try again.
        """
        try:
            return self._take(part, source, announced_uid, name)
        finally:
            part.unlink(missing_ok=True)

    def _take(self, part: Path, source: str, announced_uid: str | None, name: str | None) -> Taken:
        with part.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        identity = identity_of(part, sha256, may_lack_uid=announced_uid is None)
        if announced_uid is not None and identity.key != announced_uid:
            msg = "the object has another SOP Instance UID than was announced; send it again"
            raise NotTheFilmItSaysError(msg)
        if identity.is_own or self._store.films.is_own_result(identity.key):
            self._store.audit.note("own_result_ignored", source=source)
            return Taken(None, is_new=False)
        stored = f"films/{sha256[:2]}/{sha256}"
        size = self._keep(part, self.data / stored)
        accepted = self._store.films.accept(
            NewFilm(
                key=identity.key,
                sha256=sha256,
                stored=stored,
                size_bytes=size,
                source=source,
                name=name,
                sop_class_uid=identity.sop_class_uid,
                study_uid=identity.study_uid,
                series_uid=identity.series_uid,
            )
        )
        if accepted.stored != stored:
            # The same film with other bytes, or one that was purged: the first arrival counts.
            (self.data / stored).unlink(missing_ok=True)
        return Taken(accepted.film_id, accepted.is_new)

    def _keep(self, part: Path, path: Path) -> int:
        """Move a file to its place so that it is there after a loss of power."""
        new_folder = not path.parent.exists()
        path.parent.mkdir(exist_ok=True)
        with part.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        part.replace(path)
        sync_folder(path.parent)
        if new_folder:
            sync_folder(path.parent.parent)
        return size

    def remove_orphans(self) -> int:
        """Delete what a killed node left: parts, and films that no sender was told are safe."""
        known = self._store.films.stored_paths()
        count = 0
        half_written = (self.data / "results").glob("*/.*")
        for path in [*self.parts.iterdir(), *half_written, *(self.data / "films").glob("*/*")]:
            if path.is_file() and path.relative_to(self.data).as_posix() not in known:
                path.unlink(missing_ok=True)
                count += 1
        return count


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder outlast a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def identity_of(path: Path, sha256: str, *, may_lack_uid: bool) -> Identity:
    """Read the UIDs of an object; what is no DICOM object is known by its checksum."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(
                io.BufferedReader(io.FileIO(path)),
                force=may_lack_uid,
                stop_before_pixels=True,
                specific_tags=_READ,
            )
            return _identity(header, sha256, may_lack_uid=may_lack_uid)
    except UnreadableFileError:
        raise
    except Exception:  # noqa: BLE001 (damaged bytes make pydicom raise anything, with values quoted)
        if may_lack_uid:
            return Identity(f"sha256:{sha256}", None, None, None, is_own=False)
        msg = "the object's header is damaged; send it again"
        raise UnreadableFileError(msg) from None


_READ: Final[list[str]] = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
]


def _identity(header: Dataset, sha256: str, *, may_lack_uid: bool) -> Identity:
    key = _uid(header, "SOPInstanceUID")
    if key is None and not may_lack_uid:
        msg = "the object has no valid SOP Instance UID; send it again"
        raise UnreadableFileError(msg)
    return Identity(
        key=key or f"sha256:{sha256}",
        sop_class_uid=_uid(header, "SOPClassUID"),
        study_uid=_uid(header, "StudyInstanceUID"),
        series_uid=_uid(header, "SeriesInstanceUID"),
        is_own=str(header.get("Manufacturer", "")).strip() == OWN_MANUFACTURER
        and str(header.get("SOPClassUID", "")) == OWN_CLASS,
    )


def _uid(header: Dataset, keyword: str) -> str | None:
    uid = str(header.get(keyword) or "")
    return uid if _UID.fullmatch(uid) and len(uid) <= 64 else None
