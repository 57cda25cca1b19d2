"""A store as one value: films, jobs, deliveries and the audit trail over one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine, select

from vertebrometer.store.audit import Audit
from vertebrometer.store.deliveries import Deliveries
from vertebrometer.store.engine import BUSY_SECONDS, open_engine, reading
from vertebrometer.store.films import Films
from vertebrometer.store.jobs import Jobs
from vertebrometer.store.schema import job


@dataclass(frozen=True, slots=True)
class Store:
    """Where films, their jobs and results are kept."""

    engine: Engine
    films: Films
    jobs: Jobs
    deliveries: Deliveries
    audit: Audit

    @classmethod
    def open(cls, url: str, *, node: str = "-", busy_s: float = BUSY_SECONDS) -> Self:
        """Open the store at a database URL, and make or migrate it where that is due.

        Parameters
        ----------
        url : str
            See `open_engine`.
        node : str
            Who writes; stands in the audit trail.

        Raises
        ------
        StoreError
            It cannot be opened; the message says why.
        """
        engine = open_engine(url, busy_s=busy_s)
        audit = Audit(engine, node)
        return cls(engine, Films(engine, audit), Jobs(engine, audit), Deliveries(engine, audit), audit)

    def ping(self) -> None:
        """Raise `StoreError` where the store does not answer."""
        with reading(self.engine) as connection:
            connection.execute(select(job.c.id).limit(1))

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
