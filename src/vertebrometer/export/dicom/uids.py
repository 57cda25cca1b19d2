"""UIDs that follow from film, networks and settings: measuring twice makes the same objects."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Final

from vertebrometer.report import FilmReport

# How fast it was measured changes no number.
_NO_MATTER: Final = ("threads",)


def result_uid(film_uid: str, report: FilmReport, what: str, *, revision: str = "") -> str:
    """Return the UID of one object (or series, or tracked body) made of a film.

    Parameters
    ----------
    film_uid : str
        SOP Instance UID of the film.
    report : FilmReport
        Only what it was measured with is used: software, networks, settings, definition.
    what : str
        Which of the objects.
    revision : str
        Of a corrected report; empty for what the program measured by itself.

    Returns
    -------
    str
        ``2.25.`` and 128 bits of a SHA-256, as PS3.5, annex B.2 provides for.
    """
    made_with = {
        "film": film_uid,
        "software": [report.software.name, report.software.version],
        "models": sorted([model.name, model.sha256] for model in report.models),
        "settings": {key: value for key, value in report.settings.items() if key not in _NO_MATTER},
        "definition": report.definition.value,
        "revision": revision,
        "what": what,
    }
    digest = hashlib.sha256(json.dumps(made_with, sort_keys=True, default=str).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def device_uid(version: str) -> str:
    """Return the UID of the program as an observer: one for each version."""
    digest = hashlib.sha256(f"vertebrometer device {version}".encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
