"""Housekeeping: files whose time is over are deleted."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Final

from vertebrometer.listener.logs import say
from vertebrometer.listener.settings import Retention
from vertebrometer.store import Expired, Store

_DAY_S: Final = 86_400.0
_ABANDONED_S: Final = 3_600.0


def tidy(store: Store, data: Path, retention: Retention) -> int:
    """Delete the files of films that are done with; returns how many films."""
    now = time.time()

    def limit(days: float) -> float:
        return now - days * _DAY_S if days > 0 else -math.inf

    count = 0
    while expired := store.films.expired(
        measured_before=limit(retention.measured_days), failed_before=limit(retention.failed_days)
    ):
        for film in expired:
            purge(store, data, film, why="retention")
            count += 1
    for part in (data / "parts").iterdir():
        # Senders that broke off leave these.
        if part.is_file() and now - part.stat().st_mtime > _ABANDONED_S:
            part.unlink(missing_ok=True)
    if count:
        say("films_purged", count=count)
    return count


def purge(store: Store, data: Path, film: Expired, *, why: str) -> None:
    """Delete the files of one film; what remains is that it was here."""
    for stored in film.stored:
        (data / stored).unlink(missing_ok=True)
    folder = data / "results" / str(film.film_id)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    # Last, so that a kill in between leaves it to the next round.
    store.films.purged(film.film_id, why=why)
