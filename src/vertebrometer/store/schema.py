"""Tables of the store; the migrations make them, a test compares the two."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Named constraints can be changed by a later migration on every database.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

film: Final = Table(
    "film",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(80), nullable=False),
    Column("name", String(255)),
    Column("sop_class_uid", String(64)),
    Column("study_uid", String(64)),
    Column("series_uid", String(64)),
    Column("sha256", String(64), nullable=False),
    Column("stored", Text),
    Column("size_bytes", Integer, nullable=False),
    Column("source", String(200), nullable=False),
    Column("received_at", Double, nullable=False),
    Column("purged_at", Double),
    UniqueConstraint("key"),
)

job: Final = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("film_id", ForeignKey("film.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("message", Text),
    Column("tries", Integer, nullable=False),
    Column("owner", String(200)),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    UniqueConstraint("film_id"),
    CheckConstraint(
        "state IN ('waiting', 'running', 'measured', 'not_measured', 'failed')", name="state_is_known"
    ),
    Index("ix_job_state_not_before", "state", "not_before"),
)

report: Final = Table(
    "report",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("film_id", ForeignKey("film.id"), nullable=False),
    Column("document", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    UniqueConstraint("film_id"),
)

result: Final = Table(
    "result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("film_id", ForeignKey("film.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("key", String(80), nullable=False),
    Column("sop_class_uid", String(64)),
    Column("stored", Text),
    Column("sha256", String(64), nullable=False),
    Column("made_at", Double, nullable=False),
    UniqueConstraint("film_id", "key"),
    Index("ix_result_key", "key"),
)

delivery: Final = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("film_id", ForeignKey("film.id"), nullable=False),
    Column("result_id", ForeignKey("result.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("owner", String(200)),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False),
    Column("error", String(200)),
    Column("made_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    UniqueConstraint("result_id", "destination"),
    CheckConstraint("state IN ('waiting', 'sending', 'delivered', 'failed')", name="state_is_known"),
    Index("ix_delivery_destination_state_not_before", "destination", "state", "not_before"),
    Index("ix_delivery_film_id", "film_id"),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("node", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("film_id", Integer),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "at"),
)
