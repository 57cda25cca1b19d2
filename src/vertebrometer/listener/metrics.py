"""Health and Prometheus metrics over HTTP."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from vertebrometer.errors import ListenerError, StoreError
from vertebrometer.listener.logs import warn, words_of
from vertebrometer.listener.settings import Health
from vertebrometer.store import Store


class Metrics:
    """Counters of one node."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"vertebrometer_{name}", words, labels, registry=self.registry)

        self.accepted = counter("associations_accepted", "Associations accepted")
        self.refused = counter("associations_refused", "Associations refused", "why")
        self.received = counter("films_received", "Films that arrived: new, known or refused", "what")
        self.sent = counter("results_sent", "Objects sent", "destination", "how")
        self.not_sent = counter("results_not_sent", "Attempts to send that failed", "destination")
        self.workers_died = counter("workers_died", "Workers that ended abruptly")


class StoreCollector:
    """Reads the state of queues from the store when it is asked."""

    def __init__(self, store: Store, data: Path) -> None:
        self._store, self._data = store, data

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; none where the store does not answer."""
        try:
            jobs, deliveries = self._store.jobs.counts(), self._store.deliveries.counts()
            waiting_s = self._store.jobs.oldest_waiting_s()
        except StoreError:
            yield _gauge("vertebrometer_store_up", "Whether the store answers", 0)
            return
        yield _gauge("vertebrometer_store_up", "Whether the store answers", 1)
        yield _gauge("vertebrometer_oldest_waiting_seconds", "Age of the oldest film that waits", waiting_s)
        free = shutil.disk_usage(self._data).free
        yield _gauge("vertebrometer_disk_free_bytes", "Room on the disk of films", free)
        by_state = GaugeMetricFamily("vertebrometer_jobs", "Films by state", labels=["state"])
        for state, count in jobs.items():
            by_state.add_metric([state.value], count)
        yield by_state
        by_way = GaugeMetricFamily(
            "vertebrometer_deliveries", "Objects by destination and state", labels=["destination", "state"]
        )
        for way, count in deliveries.items():
            by_way.add_metric(list(way), count)
        yield by_way


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


class HealthServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(self, where: Health, metrics: Metrics, is_ready: Callable[[], str | None]) -> None:
        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
            if path == "/healthz":
                return 200, "text/plain", b"ok\n"
            if path == "/readyz":
                trouble = is_ready()
                return (
                    (503, "text/plain", f"{trouble}\n".encode())
                    if trouble
                    else (200, "text/plain", b"ready\n")
                )
            return 404, "text/plain", b"healthz, readyz and metrics are served here\n"

        try:
            self._server = ThreadingHTTPServer((where.bind, where.port), _handler(answer))
        except OSError as error:
            msg = (
                f"port {where.port} for health cannot be used ({error.strerror}); choose another in [health]"
            )
            raise ListenerError(msg) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(answer: Callable[[str], tuple[int, str, bytes]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            try:
                status, kind, body = answer(self.path.split("?")[0])
            except Exception as error:  # noqa: BLE001 (an edge: a request must be answered)
                warn("health_failed", error=words_of(error))
                status, kind, body = 500, "text/plain", b"failed\n"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep requests out of the log."""

    return Handler
