"""What goes into the store and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class JobState(StrEnum):
    """Where a film stands."""

    WAITING = "waiting"
    RUNNING = "running"
    MEASURED = "measured"
    NOT_MEASURED = "not_measured"
    """It was looked at, and there is a reason not to measure it."""
    FAILED = "failed"
    """It stopped its worker again and again; somebody must look."""


class DeliveryState(StrEnum):
    """Where one object stands on its way to one destination."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """The destination refuses it, or was silent for longer than the rules allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFilm:
    """A film whose bytes are on disk."""

    key: str
    """SOP Instance UID, or ``sha256:...`` of a file that has none."""
    sha256: str
    stored: str
    """Path below the data folder."""
    size_bytes: int
    source: str
    """Who sent it: ``dicom:AE@address``, ``web:name`` or ``folder:name``."""
    name: str | None = None
    """File name in a watched folder, after which its results are called."""
    sop_class_uid: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a film that was offered."""

    film_id: int
    is_new: bool
    stored: str | None
    """Path of the film's file below the data folder; None after it was purged."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A film to measure, held until the lease ends."""

    job_id: int
    film_id: int
    stored: str
    sha256: str
    key: str
    source: str
    name: str | None
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """One object or file made of a film, on disk already."""

    kind: str
    """sr, seg, sc, json or png."""
    key: str
    """SOP Instance UID, or the kind of what has none."""
    stored: str
    sha256: str
    sop_class_uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a worker hands in."""

    state: JobState
    report: str | None = None
    """As JSON."""
    reason: str | None = None
    message: str | None = None
    results: tuple[NewResult, ...] = ()
    destinations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of each destination, and which kinds it takes."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """One object to send, held until the lease ends."""

    delivery_id: int
    film_id: int
    kind: str
    key: str
    sop_class_uid: str | None
    stored: str
    study_uid: str | None
    film_key: str
    name: str | None
    sha256: str
    tries: int
    made_at: float
    was_begun: bool
    """It was under way before and its end is not known: ask before sending again."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line of a list of jobs."""

    job_id: int
    film_id: int
    state: JobState
    reason: str | None
    message: str | None
    tries: int
    source: str
    received_at: float
    changed_at: float
    deliveries: dict[str, int]
    """How many deliveries are in each state."""
    purged: bool
