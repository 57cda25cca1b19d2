"""The C-ECHO and C-STORE provider: who may call, and what is answered."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pynetdicom import AE, _config, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from vertebrometer.errors import ListenerError, StoreError, VertebrometerError
from vertebrometer.listener.inbox import Inbox, NotTheFilmItSaysError
from vertebrometer.listener.logs import say, warn, words_of
from vertebrometer.listener.metrics import Metrics
from vertebrometer.listener.settings import EVERYBODY, DicomSettings, ServerTls
from vertebrometer.store import Store

VERIFICATION: Final = "1.2.840.10008.1.1"
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
# Computed and digital radiographs, and secondary captures, which is how absorptiometers send their images.
FILM_CLASSES: Final = tuple(_STORAGE + end for end in ("1", "1.1", "1.1.1", "7"))
TRANSFER_SYNTAXES: Final = tuple(
    "1.2.840.10008.1.2" + end
    for end in (
        ".1", "", ".1.99", ".2", ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91",
    )
)  # fmt: skip

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
UID_MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
_PDU_BYTES: Final = 131_072
# PS3.8, 9.3.4: result, source and reason of a rejection.
_STOPPING: Final = (2, 3, 1)
_CALLED_UNKNOWN: Final = (1, 1, 7)
_CALLING_UNKNOWN: Final = (1, 1, 3)
_LIMIT_REACHED: Final = (2, 3, 2)


class Provider:
    """Listens for associations; `policy` may be replaced while it runs."""

    def __init__(self, settings: DicomSettings, inbox: Inbox, store: Store, metrics: Metrics) -> None:
        self.policy = settings
        self._inbox, self._store, self._metrics = inbox, store, metrics
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._bytes: dict[int, int] = {}
        self.refuses_all = False

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1]) if self._server else self.policy.port

    def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        ListenerError
            The port is taken, or the certificate cannot be used.
        """
        # Arriving objects go straight to disk, into our own folder: many large films at once need no memory.
        _config.STORE_RECV_CHUNKED_DATASET = True
        _config.LOG_HANDLER_LEVEL = "none"
        tempfile.tempdir = str(self._inbox.parts)
        ae = AE(ae_title=self.policy.ae_title)
        ae.maximum_associations = 10_000
        ae.maximum_pdu_size = _PDU_BYTES
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = self.policy.timeout_s
        ae.add_supported_context(VERIFICATION)
        for sop_class in FILM_CLASSES:
            ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_PDU_RECV, self._on_pdu),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
        ]
        try:
            server: Any = ae.make_server(
                (self.policy.bind, self.policy.port),
                evt_handlers=handlers,
                ssl_context=server_context(self.policy.tls) if self.policy.tls else None,
                server_class=_Server,
            )
        except OSError as error:
            words = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            msg = f"port {self.policy.port} on {self.policy.bind} {words}; choose another in [dicom]"
            raise ListenerError(msg) from None
        server.judge = self._lets_in
        server.on_bad_handshake = self._on_bad_handshake
        server.handshake_s = self.policy.timeout_s
        self._server = server
        ae._servers.append(server)
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.2,), name="listener", daemon=True
        )
        self._thread.start()
        say("listening", ae_title=self.policy.ae_title, port=self.port, tls=self.policy.tls is not None)

    def stop(self, *, wait_s: float) -> None:
        """Stop listening, and give associations under way some time to end."""
        if self._server is None:
            return
        self.refuses_all = True
        server, self._server = self._server, None
        server.shutdown()
        waited = threading.Event()
        steps = max(1, round(wait_s / 0.1))
        for _ in range(steps):
            if not server.active_associations:
                return
            waited.wait(0.1)
        for association in server.active_associations:
            association.abort()

    @property
    def associations(self) -> int:
        """How many associations are open."""
        active = self._server.active_associations if self._server else []
        return sum(association.is_established for association in active)

    # Who may call

    def _lets_in(self, address: str) -> bool:
        peer = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        if any(peer in network for network in self.policy.networks()):
            return True
        self._refused("address", address)
        return False

    def _on_bad_handshake(self, address: str, error: Exception) -> None:
        self._refused(
            "certificate", address, detail=str(getattr(error, "reason", "") or type(error).__name__)
        )

    def _refused(self, why: str, address: str, **fields: str) -> None:
        self._metrics.refused.labels(why).inc()
        warn("association_refused", why=why, peer=address, **fields)
        self._note("association_refused", why=why, peer=address, **fields)

    def _note(self, event: str, **detail: Any) -> None:
        try:
            self._store.audit.note(event, **detail)
        except StoreError as error:
            warn("audit_not_written", about=event, error=error.code)

    def _on_request(self, event: Event) -> None:
        association = event.assoc
        asked: Any = association.requestor.primitive
        calling = _plain(asked.calling_ae_title)
        called = _plain(asked.called_ae_title)
        address = str(association.requestor.address)
        allowed = {title.strip() for title in self.policy.allow_ae}
        if self.refuses_all:
            self._reject(event, "stopping", address, calling, _STOPPING)
        elif called != self.policy.ae_title.strip():
            self._reject(event, "called_ae", address, calling, _CALLED_UNKNOWN)
        elif EVERYBODY not in allowed and calling not in allowed:
            self._reject(event, "calling_ae", address, calling, _CALLING_UNKNOWN)
        elif self.associations >= self.policy.most_associations:
            self._reject(event, "too_many", address, calling, _LIMIT_REACHED)

    def _reject(
        self, event: Event, why: str, address: str, calling: str, answer: tuple[int, int, int]
    ) -> None:
        self._refused(why, address, calling=calling)
        event.assoc.acse.send_reject(*answer)
        event.assoc.kill()
        event.assoc.is_rejected = True

    def _on_accepted(self, event: Event) -> None:
        contexts = event.assoc.accepted_contexts
        if not contexts:
            peer = str(event.assoc.requestor.address)
            self._refused("classes", peer, calling=_plain(event.assoc.requestor.ae_title))
            event.assoc.abort()
            return
        self._metrics.accepted.inc()

    # What comes in

    def _on_pdu(self, event: Event) -> None:
        """End an association that sends one object without end."""
        data = getattr(event.pdu, "presentation_data_value_items", None)
        if data is None:
            return
        association, limit = id(event.assoc), self.policy.most_megabytes * 1_000_000
        before = self._bytes.get(association, 0)
        self._bytes[association] = before + int(event.pdu.pdu_length)
        if before <= limit < self._bytes[association]:
            self._refused("too_large", str(event.assoc.requestor.address))
            event.assoc.abort()

    def _on_close(self, event: Event) -> None:
        self._bytes.pop(id(event.assoc), None)
        if not event.assoc.is_established:
            # Its thread waits for a request until the timeout, though nobody is there any more.
            event.assoc.dul.to_user_queue.put(None)

    def _on_store(self, event: Event) -> int:
        """Answer success only when the bytes are on disk and the job is in the store."""
        self._bytes.pop(id(event.assoc), None)
        association = event.assoc
        peer = f"{_plain(association.requestor.ae_title)}@{association.requestor.address}"
        part: Path = event.dataset_path
        request: Any = event.request
        try:
            taken = self._inbox.take(
                part, source=f"dicom:{peer}", announced_uid=str(request.AffectedSOPInstanceUID)
            )
        except NotTheFilmItSaysError as error:
            return self._not_taken(UID_MISMATCH, error.code, peer)
        except StoreError as error:
            return self._not_taken(OUT_OF_RESOURCES, error.code, peer)
        except VertebrometerError as error:
            return self._not_taken(CANNOT_UNDERSTAND, error.code, peer)
        except OSError as error:
            return self._not_taken(OUT_OF_RESOURCES, errno.errorcode.get(error.errno or 0, "OSError"), peer)
        self._metrics.received.labels("new" if taken.is_new else "known").inc()
        say("film_received", film=taken.film_id, peer=peer, new=taken.is_new)
        return SUCCESS

    def _not_taken(self, status: int, why: str, peer: str) -> int:
        self._metrics.received.labels("refused").inc()
        warn("film_not_taken", why=why, peer=peer, status=f"0x{status:04X}")
        if status != OUT_OF_RESOURCES:
            self._note("film_not_taken", why=why, peer=peer)
        return status


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Return the TLS context of the listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        msg = f"the certificate of [dicom.tls] cannot be used ({type(error).__name__}); check its files"
        raise ListenerError(msg) from None
    return context


class _Server(ThreadedAssociationServer):
    """Judges addresses before a byte is read, and shakes hands in the connection's own thread."""

    request_queue_size = 256
    daemon_threads = True
    judge: Callable[[str], bool] = staticmethod(lambda _: True)
    on_bad_handshake: Callable[[str, Exception], None] = staticmethod(lambda *_: None)
    handshake_s = 30.0

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Close the connection of an address that is not on the list."""
        return self.judge(str(client_address[0]))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection without TLS yet: a slow client must not hold up the others."""
        assert self.socket is not None
        return self.socket.accept()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands where TLS is on, then serve."""
        if self.ssl_context is not None:
            try:
                request.settimeout(self.handshake_s)
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except (OSError, ValueError) as error:
                self.on_bad_handshake(str(client_address[0]), error)
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log, where the library would print a traceback."""
        import sys  # noqa: PLC0415

        error = sys.exc_info()[1]
        warn("connection_failed", peer=str(client_address[0]), error=words_of(error) if error else "")


def _plain(title: Any) -> str:
    text = title.decode("ascii", "replace") if isinstance(title, bytes) else str(title or "")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text.strip())[:16]
