"""Films that are fetched: from DICOMweb archives, and from watched folders."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from vertebrometer.errors import StoreError, VertebrometerError
from vertebrometer.listener.inbox import Inbox
from vertebrometer.listener.logs import say, warn, words_of
from vertebrometer.listener.metrics import Metrics
from vertebrometer.listener.provider import FILM_CLASSES
from vertebrometer.listener.senders import RefusedError, UnreachableError, web_client, web_errors
from vertebrometer.listener.settings import Archive, Watch
from vertebrometer.store import Store

_PAGE: Final = 200
# Tags of the answers to QIDO-RS.
_TAGS: Final = {
    "study": "0020000D", "series": "0020000E", "instance": "00080018", "class": "00080016",
    "modality": "00080060", "body_part": "00180015", "view": "00185101", "series_description": "0008103E",
    "study_description": "00081030", "manufacturer": "00080070",
}  # fmt: skip


class Repeater:
    """A thread that does something again and again until it is stopped."""

    def __init__(self, name: str, every_s: float, act: Callable[[], None]) -> None:
        self._every_s, self._act = every_s, act
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, wait_s: float) -> None:
        """End after what is under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._act()
            except StoreError as error:
                warn("store_trouble", error=error.code)
            except Exception as error:  # noqa: BLE001 (an edge: the next round must come)
                warn("round_failed", thread=self._thread.name, error=words_of(error))
            self._stopping.wait(self._every_s)


class Poller:
    """Asks one archive for films that are not known yet."""

    def __init__(self, archive: Archive, inbox: Inbox, store: Store, metrics: Metrics) -> None:
        self._archive, self._inbox, self._store, self._metrics = archive, inbox, store, metrics
        self._passed_over: set[str] = set()

    def poll_once(self) -> int:
        """Fetch what is new; returns how many films came."""
        count = 0
        try:
            with web_errors():
                client = web_client(self._archive)
                for modality in self._archive.modalities:
                    for found in self._found(client, modality):
                        count += self._fetch(client, found)
        except (UnreachableError, RefusedError) as error:
            warn("archive_not_reached", archive=self._archive.name, why=str(error))
        return count

    def _found(self, client: Any, modality: str) -> list[dict[str, str]]:
        today = dt.date.today()  # Study dates are local.
        since = today - dt.timedelta(days=self._archive.days)
        filters = {"Modality": modality, "StudyDate": f"{since:%Y%m%d}-"}
        fields = list(_TAGS.values())
        answers: list[Any] = []
        while True:
            page = client.search_for_instances(
                search_filters=filters, fields=fields, limit=_PAGE, offset=len(answers)
            )
            answers.extend(page)
            if len(page) < _PAGE:
                break
        return [{name: _value(answer, tag) for name, tag in _TAGS.items()} for answer in answers]

    def _fetch(self, client: Any, found: dict[str, str]) -> int:
        uid = found["instance"]
        if not uid or uid in self._passed_over:
            return 0
        if not matches(self._archive, found) or self._store.films.is_known(uid):
            self._passed_over.add(uid)
            return 0
        film = client.retrieve_instance(found["study"], found["series"], uid)
        part = self._inbox.new_part()
        film.save_as(part, enforce_file_format=True)
        try:
            taken = self._inbox.take(part, source=f"web:{self._archive.name}", announced_uid=uid)
        except (StoreError, OSError):
            raise
        except VertebrometerError as error:
            warn("film_not_taken", why=error.code, archive=self._archive.name)
            self._passed_over.add(uid)
            return 0
        self._passed_over.add(uid)
        self._metrics.received.labels("new" if taken.is_new else "known").inc()
        say("film_fetched", film=taken.film_id, archive=self._archive.name, new=taken.is_new)
        return int(taken.is_new)


def matches(archive: Archive, found: Mapping[str, str]) -> bool:
    """Tell whether an archive's rules take an instance with these attributes."""
    if found["class"] and found["class"] not in FILM_CLASSES:
        return False
    described = f"{found['series_description']}\n{found['study_description']}"
    rules = (
        (archive.body_part, found["body_part"]),
        (archive.view, found["view"]),
        (archive.description, described),
    )
    return all(re.search(pattern, text, re.IGNORECASE) for pattern, text in rules if pattern)


def _value(answer: Mapping[str, Any], tag: str) -> str:
    values = answer.get(tag, {}).get("Value") or [""]
    return str(values[0])


class Watcher:
    """Takes films from one folder; the files stay where they are."""

    def __init__(self, watch: Watch, inbox: Inbox, metrics: Metrics) -> None:
        self._watch, self._inbox, self._metrics = watch, inbox, metrics
        self._seen: dict[Path, tuple[int, int]] = {}
        self._done: dict[Path, tuple[int, int]] = {}

    def look_once(self) -> int:
        """Take the files that have not changed since the last look; returns how many films came."""
        if not self._watch.folder.is_dir():
            warn("folder_not_there", folder=self._watch.name)
            return 0
        count, present = 0, set()
        for path in sorted(self._watch.folder.rglob("*")):
            if path.name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            present.add(path)
            stat = path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
            settled = self._seen.get(path) == state
            self._seen[path] = state
            # A file that is still being written grows between two looks.
            if settled and state[0] > 0 and self._done.get(path) != state:
                count += self._take(path)
                self._done[path] = state
        for gone in self._seen.keys() - present:
            self._seen.pop(gone, None)
            self._done.pop(gone, None)
        return count

    def _take(self, path: Path) -> int:
        part = self._inbox.new_part()
        try:
            shutil.copyfile(path, part)
            taken = self._inbox.take(part, source=f"folder:{self._watch.name}", name=path.name)
        except (StoreError, OSError):
            part.unlink(missing_ok=True)
            raise
        except VertebrometerError as error:
            warn("film_not_taken", why=error.code, folder=self._watch.name)
            return 0
        self._metrics.received.labels("new" if taken.is_new else "known").inc()
        say("film_found", film=taken.film_id, folder=self._watch.name, new=taken.is_new)
        return int(taken.is_new)


__all__ = ["Poller", "Repeater", "Watcher", "matches"]
