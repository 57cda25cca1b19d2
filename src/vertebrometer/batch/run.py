"""Measure many films into one folder, to be stopped anywhere and continued."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from vertebrometer import __version__
from vertebrometer.batch.edge import (
    INTERNAL_ERROR,
    MeasuredFilm,
    MeasureFilm,
    film_sha256,
    measure_safely,
    refused,
)
from vertebrometer.batch.manifest import Entry, append, read_manifest, write_manifest
from vertebrometer.batch.names import Source, result_names
from vertebrometer.batch.pool import Died, spread
from vertebrometer.errors import ReportFormatError
from vertebrometer.export import (
    cannot_write,
    measurements_csv,
    overlay_png,
    remove_leftovers,
    write_bytes,
    write_text,
)
from vertebrometer.report import FilmReport, read_report, report_as_json

log = logging.getLogger(__name__)

MEASUREMENTS: Final = "measurements.csv"
OVERLAY_ENDING: Final = ".overlay.png"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one film, without its report: thousands of these are kept."""

    source: Source
    name: str
    measured: bool
    """Whether the compression of at least one body was measured."""
    skipped: bool
    """It was done before and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one film, with its report."""

    source: Source
    name: str
    report: FilmReport
    skipped: bool = False
    """It was done before and nothing has changed."""

    @property
    def measured(self) -> bool:
        """Whether the compression of at least one body was measured."""
        return self.report.quality.usable and bool(self.report.measured)

    def done(self) -> Done:
        """Return the outcome without the report."""
        return Done(self.source, self.name, self.measured, self.skipped)


def fingerprint(settings: Mapping[str, Any], model_hashes: Mapping[str, str]) -> str:
    """Return what a result was measured with, as one word; another word means measuring anew."""
    what = {"version": __version__, "settings": settings, "models": dict(model_hashes)}
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:32]


def measure_all(films: Sequence[Source], measure_film: MeasureFilm, *, workers: int = 1) -> Iterator[Outcome]:
    """Measure films without writing anything; outcomes come as they are ready."""
    tasks = [_Task(film, film.path.stem, None, film_sha256(film.path), measure_film) for film in films]
    yield from _outcomes(tasks, workers)


def measure_into(
    out: Path,
    films: Sequence[Source],
    measure_film: MeasureFilm,
    *,
    measured_with: str,
    again: bool = False,
    workers: int = 1,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Done]:
    """Measure films into the folder `out`.

    Each film gets ``<name>.json`` and, where it has an image,
    ``<name>.overlay.png``; ``manifest.jsonl`` says which film has which name,
    and ``measurements.csv`` holds all films of the folder. Every file is
    written whole or not at all. A film whose bytes and `measured_with` are
    those of its result is skipped, unless `again`.

    Parameters
    ----------
    out : Path
        Made where it is not there yet.
    films : sequence of Source
        In a fixed order.
    measure_film : callable
        Reads and measures one film; travels to other processes where there
        are several workers.
    measured_with : str
        See `fingerprint`.
    on_outcome : callable
        Told of each film as it is done, with its report.

    Returns
    -------
    list of Done
        One for each film, in the order of `films`.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out)
    except OSError as error:
        raise cannot_write(error) from error
    entries = _named(out, films)
    write_manifest(out, entries)
    done: dict[str, Done] = {}
    tasks = []
    for film in films:
        entry, sha256 = entries[film.key], film_sha256(film.path)
        before = None if again else _done_before(out, entry, sha256, measured_with)
        if before is not None:
            skipped = Outcome(film, entry.result, before, skipped=True)
            done[film.key] = skipped.done()
            on_outcome(skipped)
        else:
            tasks.append(_Task(film, entry.result, out, sha256, measure_film))
    for outcome in _outcomes(tasks, workers):
        entries[outcome.source.key] = _entry(outcome, measured_with)
        append(out, entries[outcome.source.key])
        done[outcome.source.key] = outcome.done()
        on_outcome(outcome)
    write_manifest(out, entries)
    write_text(out / MEASUREMENTS, measurements_csv(_all_reports(out, entries)))
    return [done[film.key] for film in films]


@dataclass(frozen=True, slots=True)
class _Task:
    film: Source
    name: str
    out: Path | None
    sha256: str | None
    measure_film: MeasureFilm


def _outcomes(tasks: Sequence[_Task], workers: int) -> Iterator[Outcome]:
    for result in spread(tasks, _measure_and_write, workers):
        if isinstance(result, Died):
            task = result.task
            message = "the process that measured this film ended abruptly; perhaps memory ran out"
            film = refused(task.film.path, code=INTERNAL_ERROR, message=message, sha256=task.sha256)
            log.error("internal error: a worker ended abruptly")
            yield _written(task, film)
        else:
            yield result


def _measure_and_write(task: _Task) -> Outcome:
    return _written(task, measure_safely(task.film.path, task.measure_film, task.sha256))


def _written(task: _Task, film: MeasuredFilm) -> Outcome:
    report = film.report
    if not report.film.sha256 and task.sha256 is not None:
        report = replace(report, film=replace(report.film, sha256=task.sha256))
    if task.out is not None:
        overlay = task.out / f"{task.name}{OVERLAY_ENDING}"
        if film.image is not None:
            write_bytes(overlay, overlay_png(film.image, report))
        else:
            overlay.unlink(missing_ok=True)
        # The report comes last: where it is, everything is.
        write_text(task.out / f"{task.name}.json", report_as_json(report))
    return Outcome(task.film, task.name, report)


def _named(out: Path, films: Sequence[Source]) -> dict[str, Entry]:
    """Return the manifest with a name for each film."""
    entries = _moved(read_manifest(out), films)
    given = {source: entry.result for source, entry in entries.items()}
    # A result that no manifest knows is somebody else's, and stays as it is.
    known = {name.casefold() for name in given.values()}
    for stranger in out.glob("*.json"):
        if stranger.stem.casefold() not in known:
            given[f"file:{stranger.name}"] = stranger.stem
    for source, name in result_names(films, given).items():
        if source not in entries:
            entries[source] = Entry(source=source, result=name)
    return entries


def _moved(entries: dict[str, Entry], films: Sequence[Source]) -> dict[str, Entry]:
    """Let films that lie in another place now keep their results."""
    lost: dict[tuple[str | None, str], str] = {
        (entry.sha256, Path(source).name): source
        for source, entry in entries.items()
        if entry.sha256 is not None and not Path(source).exists()
    }
    for film in films if lost else ():
        if film.key in entries:
            continue
        before = lost.pop((film_sha256(film.path), film.path.name), None)
        if before is not None:
            entries[film.key] = replace(entries.pop(before), source=film.key)
    return entries


def _done_before(out: Path, entry: Entry, sha256: str | None, measured_with: str) -> FilmReport | None:
    if sha256 is None or entry.sha256 != sha256 or entry.measured_with != measured_with:
        return None
    try:
        report = read_report(out / f"{entry.result}.json")
    except ReportFormatError:
        return None
    # A failure of the program may have been one of the moment, such as too little memory.
    return None if INTERNAL_ERROR in report.quality.reasons else report


def _entry(outcome: Outcome, measured_with: str) -> Entry:
    return Entry(
        source=outcome.source.key,
        result=outcome.name,
        sha256=outcome.report.film.sha256,
        measured_with=measured_with,
        measured=outcome.measured,
    )


def _all_reports(out: Path, entries: Mapping[str, Entry]) -> Iterator[tuple[str, FilmReport]]:
    """Yield the reports of the folder by name, also of earlier runs."""
    for entry in sorted(entries.values(), key=lambda entry: entry.result.casefold()):
        path = out / f"{entry.result}.json"
        if not path.exists():
            continue
        try:
            yield entry.result, read_report(path)
        except ReportFormatError as error:
            log.warning("left out of %s: %s", MEASUREMENTS, error)
