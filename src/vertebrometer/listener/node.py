"""The node: everything put together, and signals that start, stop, drain and reload it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Final

from vertebrometer import __version__
from vertebrometer.errors import ListenerError, StoreError, VertebrometerError
from vertebrometer.listener.inbox import Inbox
from vertebrometer.listener.keeping import tidy
from vertebrometer.listener.logs import say, set_up_logs, warn
from vertebrometer.listener.measuring import OpenMeasure, open_measurer
from vertebrometer.listener.metrics import HealthServer, Metrics, StoreCollector
from vertebrometer.listener.provider import Provider
from vertebrometer.listener.sending import Courier
from vertebrometer.listener.settings import NodeSettings, read_node_settings
from vertebrometer.listener.sources import Poller, Repeater, Watcher
from vertebrometer.listener.worker import WorkerTask, run_worker
from vertebrometer.store import DeliveryState, JobState, Store

TIDY_EVERY_S: Final = 600.0
_STEP_S: Final = 0.2
_CRASH_PAUSE_S: Final = 1.0


def serve(config: Path, *, open_measure: OpenMeasure = open_measurer) -> None:
    """Run a node in this process until a signal ends it.

    SIGTERM and SIGINT stop it: no new associations, what is under way is
    finished, what waits stays in the store; a second one stops at once.
    SIGUSR1 drains it: no new films, and it ends when the last result has been
    delivered. SIGHUP reads the configuration again.

    Parameters
    ----------
    config : Path
        ``node.toml``.
    open_measure : callable
        Loads what measures, in each worker.

    Raises
    ------
    SettingsError, ListenerError, StoreError
        It cannot start.
    """
    set_up_logs()
    node = Node(read_node_settings(config), open_measure)
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda got, _: signals.append(got))
    try:
        node.start()
        _until_told(node, config, signals)
    finally:
        node.stop(lambda: any(got in (signal.SIGTERM, signal.SIGINT) for got in signals))


def _until_told(node: Node, config: Path, signals: list[int]) -> None:
    while True:
        while signals:
            got = signals.pop(0)
            if got in (signal.SIGTERM, signal.SIGINT):
                return
            if got == signal.SIGUSR1:
                node.drain()
            if got == signal.SIGHUP:
                _reload(node, config)
        node.look_after_workers()
        if node.draining and node.is_empty():
            return
        time.sleep(_STEP_S)


def _reload(node: Node, config: Path) -> None:
    try:
        node.take_over(read_node_settings(config))
    except VertebrometerError as error:
        # A mistake in the file must not end a node that works.
        warn("not_reloaded", why=str(error))


class Node:
    """One node with its threads and workers."""

    def __init__(self, settings: NodeSettings, open_measure: OpenMeasure) -> None:
        self.settings, self._open_measure = settings, open_measure
        self._data = settings.store.data.absolute()
        self._lock = _lock_folder(self._data, settings.name)
        self.store = Store.open(settings.store.database, node=settings.name, busy_s=settings.store.busy_s)
        self.metrics = Metrics()
        self.metrics.registry.register(StoreCollector(self.store, self._data))
        self.inbox = Inbox(self._data, self.store)
        self._provider = (
            Provider(settings.dicom, self.inbox, self.store, self.metrics) if settings.dicom else None
        )
        self._couriers: dict[str, Courier] = {}
        self._fetchers: list[Repeater] = []
        self._workers: dict[str, BaseProcess] = {}
        self._hired = 0
        self._last_crash = 0.0
        self._health: HealthServer | None = None
        self._tidier = Repeater("housekeeping", TIDY_EVERY_S, self._tidy)
        self.draining = False

    # Starting and stopping

    def start(self) -> None:
        """Take up what an earlier run left, then begin."""
        # The folder is locked, so whatever this name still holds is held by nobody.
        freed = self.store.jobs.release(f"{self.settings.name}:", blame=False)
        orphans = self.inbox.remove_orphans() if self._owns_folder() else 0
        say("starting", version=__version__, node=self.settings.name, taken_up=freed, orphans=orphans)
        self.store.audit.note("node_started", version=__version__, taken_up=freed)
        if self.settings.health.port:
            self._health = HealthServer(self.settings.health, self.metrics, self._trouble)
        self.look_after_workers()
        self._start_couriers()
        self._start_fetchers()
        self._tidier.start()
        if self._provider:
            self._provider.start()

    def stop(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """End everything in an order in which nothing is lost."""
        say("stopping")
        deadline = time.monotonic() + self.settings.stop_s
        for process in self._workers.values():
            process.terminate()
        if self._provider:
            self._provider.stop(wait_s=0 if is_hurried() else self.settings.stop_s / 2)
        threads: list[Repeater | Courier] = [*self._fetchers, *self._couriers.values(), self._tidier]
        for thread in threads:
            thread.stop(wait_s=0 if is_hurried() else max(0.0, deadline - time.monotonic()))
        while any(process.is_alive() for process in self._workers.values()):
            if is_hurried() or time.monotonic() > deadline:
                break
            time.sleep(_STEP_S / 4)
        for process in self._workers.values():
            if process.is_alive():
                process.kill()
            process.join()
        if self._health:
            self._health.stop()
        try:
            self.store.jobs.release(f"{self.settings.name}:", blame=False)
            self.store.audit.note("node_stopped")
        except StoreError as error:
            warn("store_trouble", error=error.code)
        self.store.close()
        self._lock.close()
        say("stopped")

    def drain(self) -> None:
        """Take no more films; those that wait are measured and delivered."""
        self.draining = True
        if self._provider:
            self._provider.stop(wait_s=self.settings.stop_s)
        for fetcher in self._fetchers:
            fetcher.stop(wait_s=self.settings.stop_s)
        self._fetchers.clear()
        say("draining")
        self.store.audit.note("node_draining")

    def is_empty(self) -> bool:
        """Tell whether nothing waits any more."""
        try:
            jobs, deliveries = self.store.jobs.counts(), self.store.deliveries.counts()
        except StoreError:
            return False
        open_jobs = jobs[JobState.WAITING] + jobs[JobState.RUNNING]
        under_way = (DeliveryState.WAITING, DeliveryState.SENDING)
        return not open_jobs and not any(
            count
            for (name, state), count in deliveries.items()
            if name in self._couriers and state in under_way
        )

    def take_over(self, new: NodeSettings) -> None:
        """Go on with other settings; what cannot change while running is said."""
        fixed = self.settings.needs_restart_for(new)
        if fixed:
            warn("not_reloaded", why=f"a restart is needed to change {', '.join(fixed)}")
            return
        old, self.settings = self.settings, new
        if self._provider and new.dicom:
            self._provider.policy = new.dicom
        if (old.destinations, old.retry) != (new.destinations, new.retry):
            self._stop_all(list(self._couriers.values()))
            self._couriers.clear()
            self._start_couriers()
        if (old.archives, old.watch) != (new.archives, new.watch):
            self._stop_all(self._fetchers)
            self._fetchers.clear()
            self._start_fetchers()
        if (old.measure, old.destinations) != (new.measure, new.destinations):
            # They end after the film in hand; new ones with the new settings take their places.
            for process in self._workers.values():
                process.terminate()
        say("reloaded")
        self.store.audit.note("node_reloaded")

    def _stop_all(self, threads: Sequence[Courier | Repeater]) -> None:
        for thread in threads:
            thread.stop(wait_s=self.settings.stop_s)

    # Parts

    def _start_couriers(self) -> None:
        calling = self.settings.dicom.ae_title if self.settings.dicom else "VERTEBRO"
        for destination in self.settings.destinations:
            courier = Courier(
                destination,
                self.settings.retry,
                data=self._data,
                store=self.store,
                metrics=self.metrics,
                node=self.settings.name,
                calling_ae=calling,
            )
            self._couriers[destination.name] = courier
            courier.start()

    def _start_fetchers(self) -> None:
        if self.draining:
            return
        for archive in self.settings.archives:
            poller = Poller(archive, self.inbox, self.store, self.metrics)
            self._fetchers.append(
                Repeater(f"from {archive.name}", archive.every_s, _without_result(poller.poll_once))
            )
        for watch in self.settings.watch:
            watcher = Watcher(watch, self.inbox, self.metrics)
            self._fetchers.append(
                Repeater(f"from {watch.name}", watch.every_s, _without_result(watcher.look_once))
            )
        for fetcher in self._fetchers:
            fetcher.start()

    def look_after_workers(self) -> None:
        """Replace workers that ended; must be called from the main thread, with which workers die."""
        for owner, process in list(self._workers.items()):
            if process.is_alive():
                continue
            process.join()
            del self._workers[owner]
            if process.exitcode == 0:
                continue
            self.metrics.workers_died.inc()
            warn("worker_died", exit=process.exitcode)
            self._last_crash = time.monotonic()
            try:
                self.store.jobs.release(owner, blame=True)
                self.store.audit.note("worker_died", exit=process.exitcode)
            except StoreError as error:
                # Its lease ends by itself.
                warn("store_trouble", error=error.code)
        if time.monotonic() - self._last_crash < _CRASH_PAUSE_S:
            return
        while len(self._workers) < self.settings.measure.workers:
            self._hire()

    def _hire(self) -> None:
        self._hired += 1
        owner = f"{self.settings.name}:worker:{os.getpid()}:{self._hired}:"
        task = WorkerTask(
            owner=owner,
            node=self.settings.name,
            database=self.settings.store.database,
            busy_s=self.settings.store.busy_s,
            data=self._data,
            options=self.settings.measure,
            destinations={one.name: one.kinds for one in self.settings.destinations},
            lease_s=self.settings.lease_s,
            parent=os.getpid(),
            open_measure=self._open_measure,
        )
        # Forked processes inherit the threads of numerical libraries in a state that may hang.
        process = multiprocessing.get_context("spawn").Process(target=run_worker, args=(task,), daemon=True)
        process.start()
        self._workers[owner] = process

    def _tidy(self) -> None:
        tidy(self.store, self._data, self.settings.retention)

    def _trouble(self) -> str | None:
        """Return why this node should get no films now, or None."""
        if self.draining:
            return "draining"
        try:
            self.store.ping()
        except StoreError as error:
            return error.code
        if self.settings.measure.workers and not any(p.is_alive() for p in self._workers.values()):
            return "no worker"
        return None

    def _owns_folder(self) -> bool:
        """Whether no other node keeps films here, so that unknown ones are orphans."""
        return len(list(self._data.glob("*.lock"))) == 1


def _without_result(act: Callable[[], object]) -> Callable[[], None]:
    def do() -> None:
        act()

    return do


def _lock_folder(data: Path, name: str) -> IO[str]:
    """Keep a second node of the same name out; the lock ends with the process, however it ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        lock = (data / f"{name}.lock").open("w")
    except OSError as error:
        msg = f"the data folder of [store] cannot be used ({error.strerror}); give one that can be written"
        raise ListenerError(msg) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        msg = f"a node called {name!r} is running on this data folder; stop it, or give this one another name"
        raise ListenerError(msg) from None
    return lock


__all__ = ["Node", "serve"]
