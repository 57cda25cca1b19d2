"""Jobs with a lease: whoever claims one holds it for a while, and a dead worker's job is claimed again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertebrometer.store.audit import Audit
from vertebrometer.store.engine import reading, writing
from vertebrometer.store.schema import delivery, film, job, report, result
from vertebrometer.store.values import (
    ClaimedJob,
    DeliveryState,
    Finished,
    JobLine,
    JobState,
    NewResult,
)

KILLED_ITS_WORKER = "killed_its_worker"
"""Reason of a job that ended its worker again and again."""


class Jobs:
    """The jobs of a store."""

    def __init__(self, engine: Engine, audit: Audit) -> None:
        self._engine, self._audit = engine, audit

    def claim(self, owner: str, *, lease_s: float, most_tries: int = 3) -> ClaimedJob | None:
        """Take the oldest job that waits, or whose worker has not been heard of; None where there is none.

        A job that was begun `most_tries` times without an end is not tried
        again: it becomes failed.
        """
        with writing(self._engine) as connection:
            now = time.time()
            self._give_up(connection, now, most_tries)
            open_now = ((job.c.state == JobState.WAITING) & (job.c.not_before <= now)) | (
                (job.c.state == JobState.RUNNING) & (job.c.lease_until < now)
            )
            row = connection.execute(
                select(job.c.id, job.c.tries, film.c.id.label("film_id"), film.c.stored, film.c.sha256)
                .add_columns(film.c.key, film.c.source, film.c.name)
                .join(film, film.c.id == job.c.film_id)
                .where(open_now, film.c.stored.is_not(None))
                .order_by(job.c.id)
                .limit(1)
                .with_for_update(skip_locked=True, of=job)
            ).one_or_none()
            if row is None:
                return None
            connection.execute(
                update(job)
                .where(job.c.id == row.id)
                .values(
                    state=JobState.RUNNING,
                    owner=owner,
                    lease_until=now + lease_s,
                    tries=row.tries + 1,
                    changed_at=now,
                )
            )
            return ClaimedJob(
                job_id=row.id,
                film_id=row.film_id,
                stored=row.stored,
                sha256=row.sha256,
                key=row.key,
                source=row.source,
                name=row.name,
                tries=row.tries + 1,
            )

    def _give_up(self, connection: Connection, now: float, most_tries: int) -> None:
        hopeless = connection.execute(
            update(job)
            .where(job.c.state == JobState.RUNNING, job.c.lease_until < now, job.c.tries >= most_tries)
            .values(
                state=JobState.FAILED,
                reason=KILLED_ITS_WORKER,
                message="measuring this film ended its worker each time it was tried",
                owner=None,
                lease_until=None,
                changed_at=now,
            )
            .returning(job.c.film_id)
        ).scalars()
        for film_id in hopeless.all():
            self._audit.note_in(connection, "job_failed", film_id=film_id, reason=KILLED_ITS_WORKER)

    def renew(self, job_id: int, owner: str, *, lease_s: float) -> bool:
        """Hold a job for longer; False where it is no longer this owner's."""
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(job)
                .where(job.c.id == job_id, job.c.owner == owner, job.c.state == JobState.RUNNING)
                .values(lease_until=time.time() + lease_s)
            )
            return changed.rowcount == 1

    def finish(self, claimed: ClaimedJob, owner: str, end: Finished) -> bool:
        """Hand in what came of a job: report, results and deliveries in one step.

        Returns
        -------
        bool
            False where the job is no longer this owner's; then nothing is changed.
        """
        with writing(self._engine) as connection:
            now = time.time()
            changed = connection.execute(
                update(job)
                .where(job.c.id == claimed.job_id, job.c.owner == owner, job.c.state == JobState.RUNNING)
                .values(
                    state=end.state,
                    reason=end.reason,
                    message=end.message,
                    owner=None,
                    lease_until=None,
                    changed_at=now,
                )
            )
            if changed.rowcount != 1:
                return False
            if end.report is not None:
                connection.execute(delete(report).where(report.c.film_id == claimed.film_id))
                connection.execute(
                    insert(report).values(film_id=claimed.film_id, document=end.report, made_at=now)
                )
            for made in end.results:
                result_id = self._keep(connection, claimed.film_id, made, now)
                names = [name for name, kinds in end.destinations.items() if made.kind in kinds]
                self._address(connection, claimed.film_id, result_id, names, now)
            self._audit.note_in(
                connection,
                end.state.value,
                film_id=claimed.film_id,
                reason=end.reason,
                results=[made.kind for made in end.results],
            )
            return True

    def _keep(self, connection: Connection, film_id: int, made: NewResult, now: float) -> int:
        """Write a result down; one under the same key takes its place, with what was sent of it."""
        values = {"stored": made.stored, "sha256": made.sha256, "made_at": now}
        row = connection.execute(
            update(result)
            .where(result.c.film_id == film_id, result.c.key == made.key)
            .values(**values)
            .returning(result.c.id)
        ).one_or_none()
        if row is None:
            row = connection.execute(
                insert(result)
                .values(
                    film_id=film_id, kind=made.kind, key=made.key, sop_class_uid=made.sop_class_uid, **values
                )
                .returning(result.c.id)
            ).one()
        return int(row.id)

    def _address(
        self, connection: Connection, film_id: int, result_id: int, names: Sequence[str], now: float
    ) -> None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        for name in names:
            connection.execute(
                dialect.insert(delivery)
                .values(
                    film_id=film_id,
                    result_id=result_id,
                    destination=name,
                    state=DeliveryState.WAITING,
                    tries=0,
                    not_before=now,
                    made_at=now,
                    changed_at=now,
                )
                .on_conflict_do_nothing(index_elements=["result_id", "destination"])
            )

    def release(self, owner_starts_with: str, *, blame: bool) -> int:
        """Let go of what an owner that is no more was at; its jobs wait again.

        Parameters
        ----------
        owner_starts_with : str
            One worker, or a whole node.
        blame : bool
            Whether the film may have caused the end: of a worker that crashed,
            not of a node that was switched off.
        """
        with writing(self._engine) as connection:
            now = time.time()
            held = job.c.owner.startswith(owner_starts_with, autoescape=True)
            jobs = connection.execute(
                update(job)
                .where(job.c.state == JobState.RUNNING, held)
                .values(
                    # An expired lease leaves a blamed job to the rule of `claim`.
                    state=JobState.RUNNING if blame else JobState.WAITING,
                    tries=job.c.tries if blame else job.c.tries - 1,
                    lease_until=0.0 if blame else None,
                    owner=None,
                    not_before=now,
                )
            ).rowcount
            sent = delivery.c.owner.startswith(owner_starts_with, autoescape=True)
            connection.execute(
                update(delivery)
                .where(delivery.c.state == DeliveryState.SENDING, sent)
                .values(owner=None, lease_until=0.0)
            )
            return int(jobs)

    def postpone(self, claimed: ClaimedJob, owner: str, *, until: float) -> None:
        """Put a job back without blame: the machine, not the film, is in trouble."""
        with writing(self._engine) as connection:
            connection.execute(
                update(job)
                .where(job.c.id == claimed.job_id, job.c.owner == owner, job.c.state == JobState.RUNNING)
                .values(
                    state=JobState.WAITING,
                    owner=None,
                    lease_until=None,
                    tries=job.c.tries - 1,
                    not_before=until,
                    changed_at=time.time(),
                )
            )

    # For people

    def lines(
        self, *, state: JobState | None = None, job_id: int | None = None, limit: int = 50
    ) -> list[JobLine]:
        """List jobs, the newest first."""
        wanted = select(job, film.c.source, film.c.received_at, film.c.purged_at).join(
            film, film.c.id == job.c.film_id
        )
        if state is not None:
            wanted = wanted.where(job.c.state == state)
        if job_id is not None:
            wanted = wanted.where(job.c.id == job_id)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(job.c.id.desc()).limit(limit)).all()
            sent: dict[int, dict[str, int]] = {}
            for film_id, name, count in connection.execute(
                select(delivery.c.film_id, delivery.c.state, func.count())
                .where(delivery.c.film_id.in_([row.film_id for row in rows]))
                .group_by(delivery.c.film_id, delivery.c.state)
            ):
                sent.setdefault(film_id, {})[name] = count
        return [
            JobLine(
                job_id=row.id,
                film_id=row.film_id,
                state=JobState(row.state),
                reason=row.reason,
                message=row.message,
                tries=row.tries,
                source=row.source,
                received_at=row.received_at,
                changed_at=row.changed_at,
                deliveries=sent.get(row.film_id, {}),
                purged=row.purged_at is not None,
            )
            for row in rows
        ]

    def retry(self, job_ids: Sequence[int] | None = None) -> int:
        """Let jobs be tried again: these, or all that failed; failed deliveries go along."""
        with writing(self._engine) as connection:
            now = time.time()
            ended = [JobState.FAILED, JobState.NOT_MEASURED, JobState.MEASURED]
            again = update(job).where(job.c.film_id.in_(select(film.c.id).where(film.c.purged_at.is_(None))))
            again = (
                again.where(job.c.state == JobState.FAILED)
                if job_ids is None
                else again.where(job.c.id.in_(job_ids), job.c.state.in_(ended))
            )
            films = (
                connection.execute(
                    again.values(
                        state=JobState.WAITING,
                        tries=0,
                        not_before=now,
                        changed_at=now,
                        reason=None,
                        message=None,
                    ).returning(job.c.film_id)
                )
                .scalars()
                .all()
            )
            unsent = update(delivery).where(delivery.c.state == DeliveryState.FAILED)
            if job_ids is not None:
                unsent = unsent.where(
                    delivery.c.film_id.in_(select(job.c.film_id).where(job.c.id.in_(job_ids)))
                )
            connection.execute(
                unsent.values(
                    state=DeliveryState.WAITING, tries=0, not_before=now, made_at=now, changed_at=now
                )
            )
            for film_id in films:
                self._audit.note_in(connection, "job_retried", film_id=film_id)
            return len(films)

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(job.c.state, func.count()).group_by(job.c.state)).all()
        found = {JobState(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in JobState}

    def oldest_waiting_s(self) -> float:
        """Return for how long the oldest waiting job has waited."""
        with reading(self._engine) as connection:
            oldest = connection.execute(
                select(func.min(job.c.not_before)).where(job.c.state == JobState.WAITING)
            ).scalar()
        return 0.0 if oldest is None else max(0.0, time.time() - float(oldest))
