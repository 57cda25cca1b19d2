"""Which film has which result, and what it was measured with: one JSON object per line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from vertebrometer.export import cannot_write, write_text

MANIFEST: Final = "manifest.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One film of a folder of results."""

    source: str
    """Where the film lay, as an absolute path."""
    result: str
    """Name of its files, without ``.json``."""
    sha256: str | None = None
    """Of the film's bytes when it was measured; None before."""
    measured_with: str | None = None
    """Fingerprint of version, weights and settings."""
    measured: bool = False
    """Whether anything on it was measured."""


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Return the entries of a folder by source; the last line of a film counts."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    entries: dict[str, Entry] = {}
    for line in lines:
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError):
            # A kill may cut the last line; its film is measured again.
            continue
        entries[entry.source] = entry
    return entries


def write_manifest(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write all entries anew, whole or not at all."""
    write_text(folder / MANIFEST, "".join(_line(entry) for entry in entries.values()))


def append(folder: Path, entry: Entry) -> None:
    """Add one line at the end, on disk before this returns."""
    try:
        with (folder / MANIFEST).open("a", encoding="utf-8") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(error) from error


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False) + "\n"
