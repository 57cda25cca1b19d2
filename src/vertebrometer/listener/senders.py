"""Ways to a destination: C-STORE, STOW-RS, a folder."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from requests.adapters import HTTPAdapter

from vertebrometer.errors import OutputError, SettingsError
from vertebrometer.export import write_bytes
from vertebrometer.listener.settings import ClientTls, Destination
from vertebrometer.store import ClaimedDelivery

FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
_TIMEOUT_S: Final = 30.0
_WARNINGS: Final = (0xB000, 0xB006, 0xB007)
SENT: Final = "sent"
FOUND: Final = "found there"

Tell = Callable[[ClaimedDelivery, str], None]
"""Called for each object as soon as it has arrived, with how that is known."""


class UnreachableError(Exception):
    """The destination could not be reached, or broke off; a later try may do."""


class RefusedError(Exception):
    """The destination answered, and did not take an object."""


class Sender(Protocol):
    """A way to one destination."""

    def send(self, parcels: Sequence[ClaimedDelivery], arrived: Tell) -> None:
        """Send the objects of one film.

        Raises
        ------
        UnreachableError, RefusedError
            Those that `arrived` was not called for are still to be sent.
        """
        ...


def sender_for(destination: Destination, data: Path, *, calling_ae: str) -> Sender:
    """Return the way to a destination."""
    if destination.kind == "dicom":
        return DimseSender(destination, data, calling_ae)
    if destination.kind == "stow":
        return StowSender(destination, data)
    return FolderSender(destination, data)


class DimseSender:
    """C-STORE, one association for each film."""

    def __init__(self, destination: Destination, data: Path, calling_ae: str) -> None:
        self._to, self._data, self._calling = destination, data, calling_ae

    def send(self, parcels: Sequence[ClaimedDelivery], arrived: Tell) -> None:
        """See `Sender`."""
        ask = self._to.ask_first and any(parcel.was_begun for parcel in parcels)
        with self._association(parcels, ask=ask) as association:
            found = self._found(association, parcels) if ask else set()
            for parcel in parcels:
                if parcel.key in found:
                    arrived(parcel, FOUND)
                else:
                    self._store(association, parcel)
                    arrived(parcel, SENT)

    def _store(self, association: Any, parcel: ClaimedDelivery) -> None:
        made = pydicom.dcmread(self._data / parcel.stored)
        try:
            status = association.send_c_store(made)
        except (ValueError, RuntimeError):
            msg = "no presentation context was accepted" if association.is_established else "broken off"
            raise (RefusedError(msg) if association.is_established else UnreachableError(msg)) from None
        if "Status" not in status:
            msg = "no answer"
            raise UnreachableError(msg)
        if status.Status != 0 and status.Status not in _WARNINGS:
            msg = f"status 0x{status.Status:04X}"
            raise RefusedError(msg)

    def _found(self, association: Any, parcels: Sequence[ClaimedDelivery]) -> set[str]:
        """Return which objects are there already; none where the destination cannot be asked."""
        if not any(context.abstract_syntax == FIND for context in association.accepted_contexts):
            return set()
        found: set[str] = set()
        for parcel in parcels:
            query = Dataset()
            query.QueryRetrieveLevel = "IMAGE"
            query.StudyInstanceUID = parcel.study_uid or ""
            query.SeriesInstanceUID = str(
                pydicom.dcmread(self._data / parcel.stored, stop_before_pixels=True).SeriesInstanceUID
            )
            query.SOPInstanceUID = parcel.key
            for status, answer in association.send_c_find(query, FIND):
                if "Status" not in status:
                    msg = "no answer"
                    raise UnreachableError(msg)
                if answer is not None and str(answer.get("SOPInstanceUID", "")) == parcel.key:
                    found.add(parcel.key)
        return found

    @contextmanager
    def _association(self, parcels: Sequence[ClaimedDelivery], *, ask: bool) -> Iterator[Any]:
        ae = AE(ae_title=self._calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _TIMEOUT_S
        ae.connection_timeout = 10
        for sop_class in {parcel.sop_class_uid for parcel in parcels if parcel.sop_class_uid}:
            ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        if ask:
            ae.add_requested_context(FIND)
        tls = (client_context(self._to.tls), self._to.host) if self._to.tls else None
        try:
            association = ae.associate(self._to.host, self._to.port, ae_title=self._to.ae_title, tls_args=tls)
        except (OSError, RuntimeError) as error:
            raise UnreachableError(type(error).__name__) from None
        if not association.is_established:
            msg = "association rejected" if association.is_rejected else "no association"
            raise UnreachableError(msg)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Return the TLS context towards a destination."""
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        msg = f"the certificates of a destination cannot be used ({type(error).__name__})"
        raise SettingsError(msg) from None
    return context


class StowSender:
    """STOW-RS, one request for each object."""

    def __init__(self, destination: Destination, data: Path) -> None:
        self._to, self._data = destination, data

    def send(self, parcels: Sequence[ClaimedDelivery], arrived: Tell) -> None:
        """See `Sender`."""
        with web_errors():
            client = web_client(self._to)
            for parcel in parcels:
                if self._to.ask_first and parcel.was_begun and self._is_there(client, parcel):
                    arrived(parcel, FOUND)
                    continue
                answer = client.store_instances([pydicom.dcmread(self._data / parcel.stored)])
                if answer.get("FailedSOPSequence"):
                    reason = int(answer.FailedSOPSequence[0].get("FailureReason") or 0)
                    msg = f"status 0x{reason:04X}"
                    raise RefusedError(msg)
                arrived(parcel, SENT)

    def _is_there(self, client: DICOMwebClient, parcel: ClaimedDelivery) -> bool:
        return bool(client.search_for_instances(search_filters={"SOPInstanceUID": parcel.key}))


class FolderSender:
    """Files in a folder, called after the film."""

    def __init__(self, destination: Destination, data: Path) -> None:
        assert destination.folder is not None
        self._folder, self._data = destination.folder, data

    def send(self, parcels: Sequence[ClaimedDelivery], arrived: Tell) -> None:
        """See `Sender`."""
        for parcel in parcels:
            content = (self._data / parcel.stored).read_bytes()
            path = self._folder / _file_name(parcel)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                there = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == parcel.sha256
                if not there:
                    write_bytes(path, content)
            except (OSError, OutputError) as error:
                raise UnreachableError(type(error).__name__) from None
            arrived(parcel, FOUND if there else SENT)


def _file_name(parcel: ClaimedDelivery) -> str:
    """Name a result after its film; the number tells films of the same name apart."""
    stem = Path(parcel.name).stem if parcel.name else "film"
    safe = "".join(c if c.isalnum() or c in "._- " else "_" for c in stem).strip(" .") or "film"
    ending = {"json": "json", "png": "overlay.png"}.get(parcel.kind, f"{parcel.kind}.dcm")
    return f"{safe[-120:]}.{parcel.film_id}.{ending}"


# DICOMweb


class _Patient(HTTPAdapter):
    """Requests without an end would hold up a queue for ever."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (10, _TIMEOUT_S)
        return super().send(request, *args, **kwargs)


class HasWebAccess(Protocol):
    """What says how a DICOMweb service is reached."""

    @property
    def url(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def password_file(self) -> Path | None: ...
    @property
    def token_file(self) -> Path | None: ...
    @property
    def ca(self) -> Path | None: ...


def web_client(access: HasWebAccess) -> DICOMwebClient:
    """Return a client of a DICOMweb service; secrets are read anew, so that they can be changed."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Patient())
    if access.ca is not None:
        session.verify = str(access.ca)
    if access.user and access.password_file:
        session.auth = (access.user, access.password_file.read_text(encoding="utf-8").strip())
    if access.token_file:
        session.headers["Authorization"] = f"Bearer {access.token_file.read_text(encoding='utf-8').strip()}"
    client = DICOMwebClient(url=access.url.rstrip("/"), session=session)
    client.set_http_retry_params(retry=False)
    return client


@contextmanager
def web_errors() -> Iterator[None]:
    """Turn what a web service may do wrong into two kinds of error; the words may quote a study."""
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        msg = f"HTTP {status}"
        raise (UnreachableError(msg) if status >= 500 else RefusedError(msg)) from None
    except (requests.RequestException, OSError) as error:
        raise UnreachableError(type(error).__name__) from None


__all__ = [
    "FOUND",
    "SENT",
    "RefusedError",
    "Sender",
    "UnreachableError",
    "sender_for",
    "web_client",
    "web_errors",
]
