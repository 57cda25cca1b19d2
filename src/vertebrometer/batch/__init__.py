"""Many films in one call: names, skipping what is done, one table, no half-written files."""

from vertebrometer.batch.edge import INTERNAL_ERROR, MeasuredFilm, MeasureFilm, film_sha256, measure_safely
from vertebrometer.batch.manifest import MANIFEST, Entry, read_manifest
from vertebrometer.batch.names import Source, result_names, sources
from vertebrometer.batch.run import (
    MEASUREMENTS,
    OVERLAY_ENDING,
    Done,
    Outcome,
    fingerprint,
    measure_all,
    measure_into,
)

__all__ = [
    "INTERNAL_ERROR",
    "MANIFEST",
    "MEASUREMENTS",
    "OVERLAY_ENDING",
    "Done",
    "Entry",
    "MeasureFilm",
    "MeasuredFilm",
    "Outcome",
    "Source",
    "film_sha256",
    "fingerprint",
    "measure_all",
    "measure_into",
    "measure_safely",
    "read_manifest",
    "result_names",
    "sources",
]
