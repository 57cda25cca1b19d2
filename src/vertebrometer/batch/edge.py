"""The edge at which one film's trouble stops: it becomes that film's report."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from vertebrometer.errors import VertebrometerError
from vertebrometer.report import FilmFacts, FilmReport, refused_report
from vertebrometer.types import GrayImage

log = logging.getLogger(__name__)

INTERNAL_ERROR: Final = "internal_error"
"""Code of a film on which the program itself failed."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFilm:
    """A report with the image it is of, for the overlay; None where there is no image."""

    report: FilmReport
    image: GrayImage | None = None


MeasureFilm: TypeAlias = Callable[[Path], MeasuredFilm]
"""Reads and measures one film; raises `VertebrometerError` where that cannot be done."""


def measure_safely(path: Path, measure_film: MeasureFilm, sha256: str | None = None) -> MeasuredFilm:
    """Measure one film; whatever goes wrong becomes a report that says so."""
    try:
        return measure_film(path)
    except VertebrometerError as error:
        log.warning("not measured: %s", error.code)
        return refused(path, code=error.code, message=str(error), sha256=sha256)
    except Exception as error:  # noqa: BLE001 (the one place where a bug must not stop the other films)
        # The text of a foreign error may quote the file, and so a patient; its type and place cannot.
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        log.error("internal error: %s at %s:%s", kind, Path(place.filename).name, place.lineno)  # noqa: TRY400
        return refused(path, code=INTERNAL_ERROR, message=_sorry(kind), sha256=sha256)


def refused(path: Path, *, code: str, message: str, sha256: str | None) -> MeasuredFilm:
    """Return the report of a film that could not be measured."""
    return MeasuredFilm(refused_report(FilmFacts(file=path.name, sha256=sha256), code=code, message=message))


def _sorry(kind: str) -> str:
    return f"the program failed on this film ({kind}); this is our mistake, please report it"


def film_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file's bytes; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
