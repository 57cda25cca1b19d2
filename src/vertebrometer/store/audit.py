"""The audit trail: who sent what, what became of it, who was turned away. It only grows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from vertebrometer.store.engine import reading, writing
from vertebrometer.store.schema import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the trail."""

    at: float
    node: str
    event: str
    film_id: int | None
    detail: dict[str, Any]


class Audit:
    """Writes and reads the trail of one node."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine, self._node = engine, node

    def note(self, event: str, *, film_id: int | None = None, **detail: Any) -> None:
        """Add one line in a transaction of its own; nothing in it may be about a patient."""
        with writing(self._engine) as connection:
            self.note_in(connection, event, film_id=film_id, **detail)

    def note_in(
        self, connection: Connection, event: str, *, film_id: int | None = None, **detail: Any
    ) -> None:
        """Add one line in a transaction that is under way, so that both are kept or neither."""
        connection.execute(
            insert(audit).values(
                at=time.time(),
                node=self._node,
                event=event,
                film_id=film_id,
                detail=json.dumps(detail, sort_keys=True),
            )
        )

    def entries(self, *, event: str | None = None, film_id: int | None = None) -> Iterator[AuditEntry]:
        """Yield lines from the oldest on."""
        wanted = select(audit).order_by(audit.c.id)
        if event is not None:
            wanted = wanted.where(audit.c.event == event)
        if film_id is not None:
            wanted = wanted.where(audit.c.film_id == film_id)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        for row in rows:
            yield AuditEntry(row.at, row.node, row.event, row.film_id, json.loads(row.detail))
