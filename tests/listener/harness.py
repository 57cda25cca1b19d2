"""Nodes, archives and senders on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from tests.export_dicom.makers import film
from tests.radiographs.makers import PATIENT_WORDS, spine
from tests.store.postgres import free_port
from vertebrometer.store import Store

ROOT = Path(__file__).parents[2]
SENDER = "SENDER"
RESULT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.7",
)
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def until(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "") -> Any:
    """Wait until something holds; fail after a while."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ConnectionError, OSError):
            found = holds()
            if found:
                return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain {what}")
        time.sleep(0.05)


def a_film(*, cols: int = 96, **elements: Any) -> Dataset:
    """A film of its own in a study of its own; `cols` says what the fake does with it."""
    return film(
        pixels=spine(160, cols),
        SOPInstanceUID=generate_uid(prefix="1.2.826.9998887776."),
        StudyDescription="LWS Spinelli",
        **elements,
    )


class Node:
    """A node in a process of its own."""

    def __init__(self, folder: Path, **sections: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self.port, self.health = free_port(), free_port()
        self.config, self.log = folder / "node.toml", folder / "node.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.write(**sections)

    def write(
        self,
        *,
        more: str = "",
        dicom: str = "",
        workers: int = 1,
        allow_ae: str = '["*"]',
        name: str = "n1",
        url: str = "",
    ) -> None:
        """Write its settings."""
        self.url = url or f"sqlite:///{self.data / 'store.db'}"
        self.config.write_text(
            f'name = "{name}"\nlease_s = 5.0\nstop_s = 20.0\n'
            f'[store]\ndata = "{self.data}"\nurl = "{url}"\nbusy_s = 2.0\n'
            f'[dicom]\nae_title = "VCNODE"\nbind = "127.0.0.1"\nport = {self.port}\n'
            f"allow_ae = {allow_ae}\n{dicom}\n"
            f"[measure]\nworkers = {workers}\n[health]\nport = {self.health}\n"
            f"[retry]\nfirst_s = 0.2\nlongest_s = 1.0\n{more}\n"
        )

    def start(self, *, lets_us_in: bool = True) -> Node:
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.listener.fake_node", str(self.config)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        until(lambda: self.get("/readyz") == "ready\n", seconds=40, what="for the node to be ready")
        until(lambda: any(line["event"] == "listening" for line in self.lines()), what="for the listener")
        if lets_us_in:
            until(self.echo, what="for an answer")
        return self

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 30) -> int:
        """End it by a signal; return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it at once, as the loss of power would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)

    def get(self, path: str) -> str:
        """Ask its health server."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=5) as answer:
            return answer.read().decode()

    def metric(self, line_start: str) -> float:
        """Return one figure of its metrics."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(line_start):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Look into its store."""
        opened = Store.open(self.url, node="test")
        try:
            yield opened
        finally:
            opened.close()

    def states(self) -> dict[str, int]:
        """How many jobs are in each state, empty ones left out."""
        with self.store() as store:
            return {state.value: count for state, count in store.jobs.counts().items() if count}

    def deliveries(self) -> dict[tuple[str, str], int]:
        """How many deliveries there are by destination and state."""
        with self.store() as store:
            return store.deliveries.counts()

    def audit(self, event: str) -> list[dict[str, Any]]:
        """The details of one kind of event."""
        with self.store() as store:
            return [entry.detail for entry in store.audit.entries(event=event)]

    def lines(self) -> list[dict[str, Any]]:
        """Its log; every line of it must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def send(
        self, *films: Dataset, calling: str = SENDER, called: str = "VCNODE", tls: Any = None
    ) -> list[int]:
        """Send films in one association; return the statuses."""
        return send(self.port, *films, calling=calling, called=called, tls=tls)

    def echo(self) -> bool:
        """Whether it answers C-ECHO."""
        ae = AE(ae_title=SENDER)
        ae.add_requested_context("1.2.840.10008.1.1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 5
        association = ae.associate("127.0.0.1", self.port, ae_title="VCNODE")
        if not association.is_established:
            return False
        status = association.send_c_echo()
        association.release()
        return status.get("Status") == 0


def send(port: int, *films: Dataset, calling: str, called: str, tls: Any = None) -> list[int]:
    """Send films in one association; an empty list where none was made."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    ae.connection_timeout = 20
    for sop_class in {one.SOPClassUID for one in films}:
        ae.add_requested_context(sop_class, [ExplicitVRLittleEndian])
    association = ae.associate("127.0.0.1", port, ae_title=called, tls_args=tls)
    if not association.is_established:
        return []
    statuses = [int(association.send_c_store(one).get("Status", -1)) for one in films]
    association.release()
    return statuses


class Pacs:
    """A destination that keeps what it gets in memory and counts how often it got it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: Counter[str] = Counter()
        self.objects: dict[str, Dataset] = {}
        self.status = 0x0000
        self._server: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        ae = AE(ae_title="PACS")
        for sop_class in RESULT_CLASSES:
            ae.add_supported_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        ae.add_supported_context(FIND)
        handlers = [(evt.EVT_C_STORE, self._on_store), (evt.EVT_C_FIND, self._on_find)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Be down."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _on_store(self, event: Any) -> int:
        if self.status:
            return self.status
        made = event.dataset
        with self._lock:
            self.got[str(made.SOPInstanceUID)] += 1
            self.objects[str(made.SOPInstanceUID)] = Dataset(
                {element.tag: element for element in made if element.tag.group < 0x0040}
            )
        return 0x0000

    def _on_find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        uid = str(event.identifier.SOPInstanceUID)
        if uid in self.got:
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, answer

    def destination(self, *, name: str = "pacs") -> str:
        """Its lines in a node's settings."""
        return (
            f'[[destinations]]\nname = "{name}"\nkind = "dicom"\nhost = "127.0.0.1"\nport = {self.port}\n'
            'ae_title = "PACS"\n'
        )


def identity_in(text: str) -> list[str]:
    """Which words of the patients in the test films are in a text."""
    # A port, a time or a drawn UID may happen to hold the digits of a number.
    patterns = {word: rf"(?<!\d){word}" if word.isdigit() else word for word in PATIENT_WORDS}
    return [word for word, pattern in patterns.items() if re.search(pattern, text, re.IGNORECASE)]


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


__all__ = ["ROOT", "Node", "Pacs", "a_film", "identity_in", "memory_mb", "send", "until"]
