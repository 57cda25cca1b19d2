"""Deliveries: each result to each destination once, however often the way there breaks."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Engine, case, func, select, update

from vertebrometer.store.audit import Audit
from vertebrometer.store.engine import reading, writing
from vertebrometer.store.schema import delivery, film, result
from vertebrometer.store.values import ClaimedDelivery, DeliveryState


class Deliveries:
    """The deliveries of a store."""

    def __init__(self, engine: Engine, audit: Audit) -> None:
        self._engine, self._audit = engine, audit

    def claim(self, destination: str, owner: str, *, lease_s: float) -> list[ClaimedDelivery]:
        """Take all that is due of the film that has waited longest for this destination."""
        with writing(self._engine) as connection:
            now = time.time()
            due = (delivery.c.destination == destination) & (
                ((delivery.c.state == DeliveryState.WAITING) & (delivery.c.not_before <= now))
                | ((delivery.c.state == DeliveryState.SENDING) & (delivery.c.lease_until < now))
            )
            first = connection.execute(
                select(delivery.c.film_id)
                .where(due)
                .order_by(delivery.c.not_before, delivery.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).scalar()
            if first is None:
                return []
            rows = connection.execute(
                select(delivery, result.c.kind, result.c.key, result.c.sop_class_uid, result.c.stored)
                .add_columns(result.c.sha256, film.c.study_uid, film.c.name, film.c.key.label("film_key"))
                .join(result, result.c.id == delivery.c.result_id)
                .join(film, film.c.id == delivery.c.film_id)
                .where(due, delivery.c.film_id == first, result.c.stored.is_not(None))
                .order_by(delivery.c.id)
                .with_for_update(skip_locked=True, of=delivery)
            ).all()
            connection.execute(
                update(delivery)
                .where(delivery.c.id.in_([row.id for row in rows]))
                .values(
                    state=DeliveryState.SENDING,
                    owner=owner,
                    lease_until=now + lease_s,
                    tries=delivery.c.tries + 1,
                    changed_at=now,
                )
            )
            return [
                ClaimedDelivery(
                    delivery_id=row.id,
                    film_id=row.film_id,
                    kind=row.kind,
                    key=row.key,
                    sop_class_uid=row.sop_class_uid,
                    stored=row.stored,
                    study_uid=row.study_uid,
                    film_key=row.film_key,
                    name=row.name,
                    sha256=row.sha256,
                    tries=row.tries + 1,
                    made_at=row.made_at,
                    was_begun=row.tries > 0,
                )
                for row in rows
            ]

    def delivered(self, claimed: ClaimedDelivery, owner: str, *, how: str) -> None:
        """Write down that an object has arrived."""
        self._end(claimed, owner, DeliveryState.DELIVERED, event="delivered", how=how)

    def failed(self, claimed: ClaimedDelivery, owner: str, *, error: str) -> None:
        """Write down that an object will not be taken; `jobs retry` tries again."""
        self._end(claimed, owner, DeliveryState.FAILED, event="delivery_failed", error=error)

    def _end(
        self, claimed: ClaimedDelivery, owner: str, state: DeliveryState, *, event: str, **detail: str
    ) -> None:
        with writing(self._engine) as connection:
            row = connection.execute(
                update(delivery)
                .where(delivery.c.id == claimed.delivery_id, delivery.c.owner == owner)
                .values(
                    state=state,
                    owner=None,
                    lease_until=None,
                    changed_at=time.time(),
                    error=detail.get("error"),
                )
                .returning(delivery.c.destination)
            ).one_or_none()
            if row is not None:
                self._audit.note_in(
                    connection,
                    event,
                    film_id=claimed.film_id,
                    kind=claimed.kind,
                    destination=row.destination,
                    **detail,
                )

    def postpone(self, claimed: Sequence[ClaimedDelivery], owner: str, *, until: float, error: str) -> None:
        """Put deliveries back, to be tried again later."""
        with writing(self._engine) as connection:
            connection.execute(
                update(delivery)
                .where(
                    delivery.c.id.in_([one.delivery_id for one in claimed]),
                    delivery.c.owner == owner,
                    delivery.c.state == DeliveryState.SENDING,
                )
                .values(
                    state=DeliveryState.WAITING,
                    owner=None,
                    lease_until=None,
                    not_before=until,
                    error=error[:200],
                    changed_at=time.time(),
                )
            )

    def hurry(self, destination: str) -> None:
        """Let all that waits for a destination be due now: it has just been reached."""
        with writing(self._engine) as connection:
            connection.execute(
                update(delivery)
                .where(delivery.c.destination == destination, delivery.c.state == DeliveryState.WAITING)
                .values(
                    not_before=case(
                        (delivery.c.not_before > time.time(), time.time()), else_=delivery.c.not_before
                    )
                )
            )

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many deliveries are in each state, by destination and state."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(delivery.c.destination, delivery.c.state, func.count()).group_by(
                    delivery.c.destination, delivery.c.state
                )
            ).all()
        return {(row[0], row[1]): row[2] for row in rows}

    def lines(self, film_id: int) -> list[tuple[str, str, str, int, str | None]]:
        """Return kind, destination, state, tries and last error of a film's deliveries."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(
                    result.c.kind,
                    delivery.c.destination,
                    delivery.c.state,
                    delivery.c.tries,
                    delivery.c.error,
                )
                .join(result, result.c.id == delivery.c.result_id)
                .where(delivery.c.film_id == film_id)
                .order_by(delivery.c.id)
            ).all()
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
