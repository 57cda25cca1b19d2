"""From a measured film to the files that are sent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vertebrometer.errors import VertebrometerError
from vertebrometer.export import overlay_png, write_bytes
from vertebrometer.export.dicom import DicomResult, dicom_results, read_source
from vertebrometer.listener.inbox import sync_folder
from vertebrometer.listener.logs import say, warn, words_of
from vertebrometer.listener.measuring import Measured
from vertebrometer.report import report_as_json
from vertebrometer.store import ClaimedJob, NewResult


def with_origin(job: ClaimedJob, measured: Measured) -> Measured:
    """Name in the report the film as it came, not as it is kept here."""
    facts = measured.report.film
    facts = replace(facts, sha256=facts.sha256 or job.sha256, file=job.name or facts.file)
    return Measured(replace(measured.report, film=facts), measured.image)


def make_results(
    data: Path, job: ClaimedJob, measured: Measured, kinds: Iterable[str], *, report_refused: bool
) -> tuple[tuple[NewResult, ...], str | None]:
    """Write the results of a film below the data folder.

    Returns
    -------
    results : tuple of NewResult
        What was written, and is on disk.
    trouble : str or None
        Why there are no DICOM results, where there should be some.

    Raises
    ------
    OSError, OutputError
        The disk is in trouble; a later try may do.
    """
    wanted, folder = set(kinds), data / "results" / str(job.film_id)
    folder.mkdir(parents=True, exist_ok=True)
    report = measured.report
    made = [_written(data, folder, one) for one in _plain_files(measured, wanted)]
    objects: list[DicomResult] = []
    trouble = None
    if wanted & {"sr", "seg", "sc"} and (report.vertebrae or report_refused):
        objects, trouble = _dicom_objects(data, job, measured, wanted)
    made += [_written(data, folder, one) for one in objects]
    sync_folder(folder)
    return tuple(made), trouble


def _dicom_objects(
    data: Path, job: ClaimedJob, measured: Measured, wanted: set[str]
) -> tuple[list[DicomResult], str | None]:
    """Make the objects, or say why there are none: an odd header must not stop the node."""
    try:
        source = read_source(data / job.stored)
        objects = dicom_results(source, measured.report, measured.image if "sc" in wanted else None)
        return [one for one in objects if one.kind in wanted], None
    except VertebrometerError as error:
        warn("no_dicom_results", film=job.film_id, why=error.code)
        return [], str(error)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 (see above)
        say("internal_error", level=logging.ERROR, film=job.film_id, error=words_of(error))
        return [], f"the DICOM results could not be made ({type(error).__name__})"


def _plain_files(measured: Measured, wanted: set[str]) -> Iterator[_PlainFile]:
    if "json" in wanted:
        yield _PlainFile("json", report_as_json(measured.report).encode())
    if "png" in wanted and measured.image is not None:
        yield _PlainFile("png", overlay_png(measured.image, measured.report))


@dataclass(frozen=True, slots=True)
class _PlainFile:
    kind: str
    content: bytes


def _written(data: Path, folder: Path, made: DicomResult | _PlainFile) -> NewResult:
    uid, sop_class = (
        (made.sop_instance_uid, made.sop_class_uid) if isinstance(made, DicomResult) else (None, None)
    )
    path = folder / f"{made.kind}{'.dcm' if uid else ''}"
    write_bytes(path, made.content)
    return NewResult(
        kind=made.kind,
        key=uid or f"{folder.name}/{made.kind}",
        stored=path.relative_to(data).as_posix(),
        sha256=hashlib.sha256(made.content).hexdigest(),
        sop_class_uid=sop_class,
    )
