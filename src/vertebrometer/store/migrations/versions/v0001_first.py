"""First version: films, jobs, reports, results, deliveries and an audit trail that only grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    _films_and_jobs()
    _results()
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("film_id", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    _make_audit_append_only()


def _films_and_jobs() -> None:
    op.create_table(
        "film",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("sop_class_uid", sa.String(64)),
        sa.Column("study_uid", sa.String(64)),
        sa.Column("series_uid", sa.String(64)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("stored", sa.Text),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("purged_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_film"),
        sa.UniqueConstraint("key", name="uq_film_key"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("film_id", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("message", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("lease_until", sa.Double),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name="fk_job_film_id"),
        sa.UniqueConstraint("film_id", name="uq_job_film_id"),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'measured', 'not_measured', 'failed')",
            name="ck_job_state_is_known",
        ),
    )
    op.create_index("ix_job_state_not_before", "job", ["state", "not_before"])


def _results() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("film_id", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name="fk_report_film_id"),
        sa.UniqueConstraint("film_id", name="uq_report_film_id"),
    )
    op.create_table(
        "result",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("film_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("sop_class_uid", sa.String(64)),
        sa.Column("stored", sa.Text),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_result"),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name="fk_result_film_id"),
        sa.UniqueConstraint("film_id", "key", name="uq_result_film_id_key"),
    )
    op.create_index("ix_result_key", "result", ["key"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("film_id", sa.Integer, nullable=False),
        sa.Column("result_id", sa.Integer, nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("lease_until", sa.Double),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("error", sa.String(200)),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name="fk_delivery_film_id"),
        sa.ForeignKeyConstraint(["result_id"], ["result.id"], name="fk_delivery_result_id"),
        sa.UniqueConstraint("result_id", "destination", name="uq_delivery_result_id_destination"),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'failed')", name="ck_delivery_state_is_known"
        ),
    )
    op.create_index(
        "ix_delivery_destination_state_not_before", "delivery", ["destination", "state", "not_before"]
    )
    op.create_index("ix_delivery_film_id", "delivery", ["film_id"])


def _make_audit_append_only() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_only_grows() RETURNS trigger AS $$ "
            "BEGIN RAISE EXCEPTION 'the audit trail only grows'; END $$ LANGUAGE plpgsql"
        )
        op.execute(
            "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()"
        )
