"""Films in the store: taking them in, and letting them go when their time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertebrometer.store.audit import Audit
from vertebrometer.store.engine import reading, writing
from vertebrometer.store.schema import delivery, film, job, report, result
from vertebrometer.store.values import Accepted, DeliveryState, JobState, NewFilm


@dataclass(frozen=True, slots=True)
class Expired:
    """A film whose files may be deleted."""

    film_id: int
    stored: tuple[str, ...]
    """Paths below the data folder: the film's and its results'."""


class Films:
    """The films of a store."""

    def __init__(self, engine: Engine, audit: Audit) -> None:
        self._engine, self._audit = engine, audit

    def accept(self, new: NewFilm) -> Accepted:
        """Take a film in, with a job to measure it; a film that is there already gets no second job.

        The film's bytes must be on disk before. When this returns, the film is
        kept whatever happens to the program.
        """
        with writing(self._engine) as connection:
            film_id = self._insert(connection, new)
            if film_id is None:
                return self._known(connection, new)
            now = time.time()
            connection.execute(
                insert(job).values(
                    film_id=film_id, state=JobState.WAITING, tries=0, not_before=now, changed_at=now
                )
            )
            self._audit.note_in(
                connection, "film_received", film_id=film_id, source=new.source, bytes=new.size_bytes
            )
            return Accepted(film_id, is_new=True, stored=new.stored)

    def _insert(self, connection: Connection, new: NewFilm) -> int | None:
        values = {
            "key": new.key,
            "name": new.name,
            "sop_class_uid": new.sop_class_uid,
            "study_uid": new.study_uid,
            "series_uid": new.series_uid,
            "sha256": new.sha256,
            "stored": new.stored,
            "size_bytes": new.size_bytes,
            "source": new.source,
            "received_at": time.time(),
        }
        # The database decides which of two senders was first, also between nodes.
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(film).values(**values).on_conflict_do_nothing(index_elements=["key"])
        row = connection.execute(statement.returning(film.c.id)).one_or_none()
        return None if row is None else int(row.id)

    def _known(self, connection: Connection, new: NewFilm) -> Accepted:
        row = connection.execute(
            select(film.c.id, film.c.sha256, film.c.stored).where(film.c.key == new.key)
        ).one()
        self._audit.note_in(
            connection,
            "film_known",
            film_id=row.id,
            source=new.source,
            same_bytes=row.sha256 == new.sha256,
        )
        return Accepted(int(row.id), is_new=False, stored=row.stored)

    def is_known(self, key: str) -> bool:
        """Tell whether a film was taken in before."""
        with reading(self._engine) as connection:
            return bool(connection.execute(select(exists().where(film.c.key == key))).scalar())

    def is_own_result(self, key: str) -> bool:
        """Tell whether an object is one that we made, so that results are not measured in their turn."""
        with reading(self._engine) as connection:
            return bool(connection.execute(select(exists().where(result.c.key == key))).scalar())

    def stored_paths(self) -> set[str]:
        """Return the paths of all files that the store knows, below the data folder."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(film.c.stored)
                .where(film.c.stored.is_not(None))
                .union(select(result.c.stored).where(result.c.stored.is_not(None)))
            )
            return {row.stored for row in rows}

    def expired(self, *, measured_before: float, failed_before: float, limit: int = 100) -> list[Expired]:
        """Return films that are done with, and whose results have arrived, since before these times.

        A film with a delivery still under way is never among them.
        """
        under_way = exists().where(
            delivery.c.film_id == film.c.id,
            delivery.c.state.in_([DeliveryState.WAITING, DeliveryState.SENDING]),
        )
        done = job.c.state.in_([JobState.MEASURED, JobState.NOT_MEASURED])
        wanted = (
            select(film.c.id, film.c.stored)
            .join(job, job.c.film_id == film.c.id)
            .where(film.c.purged_at.is_(None), ~under_way)
            .where(
                (done & (job.c.changed_at < measured_before))
                | ((job.c.state == JobState.FAILED) & (job.c.changed_at < failed_before))
            )
            .order_by(film.c.id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
            return [self._with_files(connection, row.id, row.stored) for row in rows]

    def with_files(self, film_ids: list[int]) -> list[Expired]:
        """Return these films with their files, where they are not purged yet."""
        with reading(self._engine) as connection:
            wanted = select(film.c.id, film.c.stored).where(
                film.c.id.in_(film_ids), film.c.purged_at.is_(None)
            )
            return [
                self._with_files(connection, row.id, row.stored) for row in connection.execute(wanted).all()
            ]

    def _with_files(self, connection: Connection, film_id: int, stored: str | None) -> Expired:
        made = connection.execute(select(result.c.stored).where(result.c.film_id == film_id)).scalars()
        return Expired(film_id, tuple(path for path in (stored, *made) if path))

    def purged(self, film_id: int, *, why: str) -> None:
        """Write down that a film's files are gone; its key stays, so that it is not measured again."""
        with writing(self._engine) as connection:
            connection.execute(
                update(film).where(film.c.id == film_id).values(purged_at=time.time(), stored=None)
            )
            connection.execute(update(result).where(result.c.film_id == film_id).values(stored=None))
            connection.execute(update(report).where(report.c.film_id == film_id).values(document=""))
            self._audit.note_in(connection, "film_purged", film_id=film_id, why=why)

    def report(self, film_id: int) -> str | None:
        """Return the report of a film as JSON, where there is one."""
        with reading(self._engine) as connection:
            found = connection.execute(select(report.c.document).where(report.c.film_id == film_id)).scalar()
            return found or None

    def all_reports(self) -> Iterator[tuple[str, str]]:
        """Yield the key of each film and its report as JSON."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(film.c.key, report.c.document).join(report, report.c.film_id == film.c.id)
            ).all()
        yield from ((row.key, row.document) for row in rows)
