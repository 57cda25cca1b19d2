"""Settings of a node, as ``node.toml`` gives them; docs/reference/node-settings.md explains each."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vertebrometer.config import read_settings
from vertebrometer.errors import SettingsError

DICOM_KINDS: Final = ("sr", "seg", "sc")
FOLDER_KINDS: Final = (*DICOM_KINDS, "json", "png")
EVERYBODY: Final = "*"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where films and jobs are kept."""

    data: Path
    """Folder for films and results."""
    url: str = ""
    """Database; empty means a SQLite file in `data`."""
    busy_s: float = 15.0
    """How long to wait for another process that writes."""

    @property
    def database(self) -> str:
        """The URL to open."""
        return self.url or f"sqlite:///{(self.data / 'store.db').absolute()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS of the listener."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Certificates that a client's must be signed by; without it any client may connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """TLS towards a destination."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """The C-ECHO and C-STORE provider."""

    ae_title: str = "VERTEBRO"
    bind: str = "0.0.0.0"
    port: int = 11112
    allow_ae: tuple[str, ...]
    """AE titles that may call; ``["*"]`` lets every title in."""
    allow_addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    """Addresses or networks that may connect."""
    most_associations: int = 150
    timeout_s: float = 30.0
    """How long a peer may be silent."""
    most_megabytes: int = 600
    """Largest object that is taken."""
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        _check_ae_title(self.ae_title, "ae_title")
        _check_port(self.port)
        if not self.allow_ae:
            msg = 'allow_ae names nobody, so nobody could send; ["*"] lets every AE title in'
            raise SettingsError(msg)
        for title in self.allow_ae:
            _check_ae_title(title, "allow_ae")
        self.networks()

    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Return the networks that may connect."""
        try:
            return [ipaddress.ip_network(address) for address in self.allow_addresses]
        except ValueError as error:
            msg = f"allow_addresses wants addresses or networks such as 10.1.0.0/16; {error}"
            raise SettingsError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How films are measured."""

    workers: int = 1
    threads: int = 1
    """CPU threads of each worker."""
    definition: Literal["adjacent-mean", "nearest-intact", "same-body"] = "adjacent-mean"
    longest_s: float = 300.0
    """A film that takes longer is given up."""
    most_tries: int = 3
    report_refused: bool = False
    """Send a structured report also for films that were not measured."""

    def __post_init__(self) -> None:
        if not 0 <= self.workers <= 64 or self.threads < 0 or self.longest_s <= 0 or self.most_tries < 1:
            msg = "workers 0 to 64, threads from 0, longest_s above 0 and most_tries from 1 are wanted"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where results go."""

    name: str
    kind: Literal["dicom", "stow", "folder"] = "dicom"
    host: str = ""
    port: int = 104
    ae_title: str = ""
    tls: ClientTls | None = None
    url: str = ""
    """DICOMweb root, for kind "stow"."""
    user: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    ca: Path | None = None
    folder: Path | None = None
    results: tuple[str, ...] = ()
    """Which results; empty means all that the kind can take."""
    ask_first: bool = True
    """After an interruption, ask by C-FIND or QIDO whether an object arrived before it is sent again."""

    def __post_init__(self) -> None:
        _check_name(self.name, "destination")
        wanted = {
            "dicom": bool(self.host and self.ae_title),
            "stow": bool(self.url),
            "folder": self.folder is not None,
        }
        if not wanted[self.kind]:
            needs = {"dicom": "host, port and ae_title", "stow": "url", "folder": "folder"}[self.kind]
            msg = f"destination {self.name!r} of kind {self.kind!r} wants {needs}"
            raise SettingsError(msg)
        possible = FOLDER_KINDS if self.kind == "folder" else DICOM_KINDS
        for kind in self.results:
            if kind not in possible:
                msg = f"destination {self.name!r} cannot take {kind!r}; {', '.join(possible)} it can"
                raise SettingsError(msg)
        if self.kind == "dicom":
            _check_ae_title(self.ae_title, "ae_title")
            _check_port(self.port)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which results it takes."""
        return self.results or (FOLDER_KINDS if self.kind == "folder" else DICOM_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to wait before sending again what did not arrive."""

    first_s: float = 5.0
    longest_s: float = 600.0
    give_up_days: float = 14.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s or self.give_up_days <= 0:
            msg = "first_s above 0, not beyond longest_s, and give_up_days above 0 are wanted"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A DICOMweb archive that is asked for new films."""

    name: str
    url: str
    every_s: float = 60.0
    modalities: tuple[str, ...] = ("CR", "DX")
    days: int = 1
    """How old a study may be."""
    body_part: str = ""
    """Regular expressions; empty takes all. A film that does not state the attribute is not taken by one."""
    view: str = ""
    description: str = ""
    """Looked for in series and study description."""
    user: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    ca: Path | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, "archive")
        if not self.url or self.every_s <= 0 or self.days < 0:
            msg = f"archive {self.name!r} wants url, every_s above 0 and days from 0"
            raise SettingsError(msg)
        for pattern in (self.body_part, self.view, self.description):
            try:
                re.compile(pattern)
            except re.error as error:
                msg = f"archive {self.name!r}: {pattern!r} is no regular expression ({error})"
                raise SettingsError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A folder whose films are measured."""

    name: str
    folder: Path
    every_s: float = 5.0

    def __post_init__(self) -> None:
        _check_name(self.name, "watched folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When files are deleted; 0 keeps them for ever."""

    measured_days: float = 30.0
    failed_days: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where health and metrics are served; port 0 serves none."""

    bind: str = "127.0.0.1"
    port: int = 8043


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """All settings of one node."""

    store: StoreSettings
    name: str = "vertebrometer"
    dicom: DicomSettings | None = None
    measure: MeasureOptions = field(default_factory=MeasureOptions)
    destinations: tuple[Destination, ...] = ()
    retry: Retry = field(default_factory=Retry)
    archives: tuple[Archive, ...] = ()
    watch: tuple[Watch, ...] = ()
    retention: Retention = field(default_factory=Retention)
    health: Health = field(default_factory=Health)
    lease_s: float = 60.0
    """How long a worker may be unheard of before its film is given to another."""
    stop_s: float = 30.0
    """How long a stop waits for what is under way."""

    def __post_init__(self) -> None:
        _check_name(self.name, "node")
        for what, names in (
            ("destinations", [one.name for one in self.destinations]),
            ("archives", [one.name for one in self.archives]),
            ("watched folders", [one.name for one in self.watch]),
        ):
            if len(set(names)) != len(names):
                msg = f"two {what} have the same name"
                raise SettingsError(msg)
        if self.lease_s < 1 or self.stop_s < 0:
            msg = "lease_s from 1 and stop_s from 0 are wanted"
            raise SettingsError(msg)

    def needs_restart_for(self, other: NodeSettings) -> list[str]:
        """Return which of the differences to `other` a running node cannot take over."""
        fixed = ("name", "store", "health", "lease_s")
        changed = [name for name in fixed if getattr(self, name) != getattr(other, name)]
        mine, others = self.dicom, other.dicom
        if (mine is None) != (others is None):
            return [*changed, "dicom"]
        if mine is not None and others is not None:
            bound = ("ae_title", "bind", "port", "tls", "timeout_s")
            changed += [f"dicom.{name}" for name in bound if getattr(mine, name) != getattr(others, name)]
        return changed


def read_node_settings(path: Path) -> NodeSettings:
    """Read ``node.toml``; every mistake in it is a `SettingsError` that names the key."""
    return read_settings(path, NodeSettings)


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        msg = f"the name of a {what} has letters, digits, - and _ only, got {name!r}"
        raise SettingsError(msg)


def _check_ae_title(title: str, where: str) -> None:
    if not 1 <= len(title.strip()) <= 16 or not title.isascii() or "\\" in title or not title.isprintable():
        msg = f"{where} wants AE titles of 1 to 16 plain characters, got {title!r}"
        raise SettingsError(msg)


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        msg = f"a port lies between 0 and 65535, got {port}"
        raise SettingsError(msg)
