"""Where films and waiting work are kept: SQLite, or PostgreSQL for several nodes.

Needs the extra ``pacs``.
"""

from importlib.util import find_spec

from vertebrometer.errors import MissingExtraError

if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
    _msg = "the store needs sqlalchemy and alembic: pip install 'vertebrometer[pacs]'"
    raise MissingExtraError(_msg)

from vertebrometer.store.audit import AuditEntry
from vertebrometer.store.films import Expired
from vertebrometer.store.jobs import KILLED_ITS_WORKER
from vertebrometer.store.opening import Store
from vertebrometer.store.values import (
    Accepted,
    ClaimedDelivery,
    ClaimedJob,
    DeliveryState,
    Finished,
    JobLine,
    JobState,
    NewFilm,
    NewResult,
)

__all__ = [
    "KILLED_ITS_WORKER",
    "Accepted",
    "AuditEntry",
    "ClaimedDelivery",
    "ClaimedJob",
    "DeliveryState",
    "Expired",
    "Finished",
    "JobLine",
    "JobState",
    "NewFilm",
    "NewResult",
    "Store",
]
