"""A worker process: claims films from the store, measures them, hands in what came of it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from vertebrometer.errors import OutputError, StoreError
from vertebrometer.listener.logs import say, set_up_logs, warn, words_of
from vertebrometer.listener.making import make_results, with_origin
from vertebrometer.listener.measuring import INTERNAL_ERROR, MeasureFilm, OpenMeasure, measure_safely
from vertebrometer.listener.settings import MeasureOptions
from vertebrometer.report import report_as_json
from vertebrometer.store import ClaimedJob, Finished, JobState, Store

ValueT = TypeVar("ValueT")

IDLE_S: Final = 0.5
TROUBLE_S: Final = 5.0
TOOK_TOO_LONG: Final = 70
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """What a worker needs to know; travels to its process."""

    owner: str
    node: str
    database: str
    busy_s: float
    data: Path
    options: MeasureOptions
    destinations: dict[str, tuple[str, ...]]
    lease_s: float
    parent: int
    open_measure: OpenMeasure


def run_worker(task: WorkerTask) -> None:
    """Work until told to stop, or until the node is no more."""
    set_up_logs()
    _die_with_parent()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(ignored, signal.SIG_IGN)
    measure_film = task.open_measure(task.options)
    store = Store.open(task.database, node=task.node, busy_s=task.busy_s)
    worker = Worker(task, store, measure_film, stopping)
    while not stopping.is_set() and os.getppid() == task.parent:
        try:
            if not worker.work_once():
                stopping.wait(IDLE_S)
        except StoreError as error:
            warn("store_trouble", error=error.code)
            stopping.wait(TROUBLE_S / 5)
    store.close()


class Worker:
    """Measures one film after the other."""

    def __init__(
        self, task: WorkerTask, store: Store, measure_film: MeasureFilm, stopping: threading.Event
    ) -> None:
        self._task, self._store, self._measure, self._stopping = task, store, measure_film, stopping

    def work_once(self) -> bool:
        """Measure the next film; False where none waits."""
        task = self._task
        job = self._store.jobs.claim(task.owner, lease_s=task.lease_s, most_tries=task.options.most_tries)
        if job is None:
            return False
        started = time.monotonic()
        try:
            with self._held(job):
                end = self._measured(job)
                kept = self._insist(lambda: self._store.jobs.finish(job, task.owner, end))
        except (OSError, OutputError) as error:
            # The disk, not the film, is in trouble.
            warn("job_postponed", film=job.film_id, error=words_of(error.__cause__ or error))
            self._insist(lambda: self._store.jobs.postpone(job, task.owner, until=time.time() + TROUBLE_S))
            self._stopping.wait(TROUBLE_S / 5)
            return True
        say(
            "film_done" if kept else "film_was_taken_over",
            film=job.film_id,
            state=end.state.value,
            reason=end.reason,
            seconds=round(time.monotonic() - started, 2),
        )
        return True

    def _measured(self, job: ClaimedJob) -> Finished:
        task, path = self._task, self._task.data / job.stored
        # A file that is not there now may be there when the disk is back.
        with path.open("rb"):
            pass
        measured = with_origin(job, measure_safely(path, self._measure, film_id=job.film_id))
        report = measured.report
        kinds = {kind for taken in task.destinations.values() for kind in taken}
        results, trouble = make_results(
            task.data, job, measured, kinds, report_refused=task.options.report_refused
        )
        is_measured = report.quality.usable and bool(report.measured)
        reason = None if is_measured else next(iter(report.quality.reasons), "nothing_measured")
        return Finished(
            state=JobState.MEASURED if is_measured else JobState.NOT_MEASURED,
            report=report_as_json(report),
            reason=reason,
            message=trouble or (None if is_measured else report.quality.message),
            results=results,
            destinations=task.destinations,
        )

    def _insist(self, act: Callable[[], ValueT]) -> ValueT:
        """Do something in the store, however long that takes: the film is measured, and must not be lost."""
        while True:
            try:
                return act()
            except StoreError as error:
                if self._stopping.is_set():
                    raise
                warn("store_trouble", error=error.code)
                self._stopping.wait(TROUBLE_S / 5)

    @contextmanager
    def _held(self, job: ClaimedJob) -> Iterator[None]:
        """Keep the lease of a job alive, and end this process when a film takes too long."""
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(job, ended), name="lease", daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()

    def _beat(self, job: ClaimedJob, ended: threading.Event) -> None:
        task, began = self._task, time.monotonic()
        while not ended.wait(min(task.lease_s / 4, 5.0)):
            if time.monotonic() - began > task.options.longest_s:
                warn("film_takes_too_long", film=job.film_id)
                # A decoder may hang where no exception reaches it; the node starts another worker.
                os._exit(TOOK_TOO_LONG)
            try:
                self._store.jobs.renew(job.job_id, task.owner, lease_s=task.lease_s)
            except StoreError as error:
                warn("lease_not_renewed", film=job.film_id, error=error.code)


def _die_with_parent() -> None:
    """Let the kernel end this process with the node, so that none is left behind by kill -9."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError) as error:
            warn("may_outlive_the_node", error=words_of(error))


__all__ = ["INTERNAL_ERROR", "Worker", "WorkerTask", "run_worker"]
