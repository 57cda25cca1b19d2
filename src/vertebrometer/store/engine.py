"""Opening the store: SQLite in WAL mode, or PostgreSQL, always at the newest schema version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, Final
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from vertebrometer.errors import StoreBusyError, StoreError, StoreFullError

BUSY_SECONDS: Final = 15.0
TURN_SECONDS: Final = 20.0
"""How long a thread waits for the others of its process; senders wait 30 seconds or more for an answer."""
_RETRY_SECONDS: Final = 0.02
_MIGRATION_LOCK: Final = 8_652_173
_LOCKED: Final = "the store is locked by another process; it will be tried again"
_READ_ONLY: Final = "vertebrometer_read_only"


def open_engine(url: str, *, busy_s: float = BUSY_SECONDS) -> Engine:
    """Open the database at `url` and bring its schema to the version of this program.

    Parameters
    ----------
    url : str
        Such as ``sqlite:////var/lib/vertebrometer/store.db`` or
        ``postgresql+psycopg://user@host/name``.
    busy_s : float
        How long to wait for another process that writes.

    Raises
    ------
    StoreError
        The URL is none, a driver is missing, or the store was made by a newer program.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_pre_ping=parsed.get_backend_name() != "sqlite",
            **_options(url, busy_s),
        )
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        msg = (
            f"the store's URL cannot be used ({type(error).__name__}); give sqlite:///PATH, or "
            "postgresql+psycopg://... with the extra `postgres` installed"
        )
        raise StoreError(msg) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _tame_sqlite(engine, busy_s)
    try:
        _migrate_in_turn(engine, busy_s)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _migrate_in_turn(engine: Engine, busy_s: float) -> None:
    """Migrate, and wait for others: SQLite's own wait does not cover the change of a new file to WAL."""
    until = monotonic() + busy_s
    while True:
        try:
            migrate(engine)
        except StoreBusyError:
            if monotonic() >= until:
                raise
            sleep(_RETRY_SECONDS)
        else:
            return


def _options(url: str, busy_s: float) -> dict[str, Any]:
    if not url.startswith("sqlite"):
        return {}
    return {"connect_args": {"timeout": busy_s, "check_same_thread": False}, "pool_size": 20}


def _tame_sqlite(engine: Engine, busy_s: float) -> None:
    _turns[engine] = Lock()

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transactions begin late and let two readers become writers at once.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={round(busy_s * 1000)}",
            "journal_mode=WAL",
            # A success told to a sender must survive the loss of power.
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


# SQLite takes one writer at a time and lets others poll; threads of one process wait better at a lock.
_turns: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Run statements in one transaction, which is kept whole or not at all."""
    with _turn(engine), _clear_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    if engine not in _turns:
        yield
        return
    lock = _turns[engine]
    if not lock.acquire(timeout=TURN_SECONDS):
        raise StoreBusyError(_LOCKED)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Look at the store without keeping others from writing."""
    with _clear_errors(), engine.connect().execution_options(**{_READ_ONLY: True}) as connection:
        yield connection


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn the database's errors into ours; theirs quote values."""
    try:
        yield
    except PoolTimeoutError:
        raise StoreBusyError(_LOCKED) from None
    except DBAPIError as error:
        words = str(error.orig).lower()
        if "locked" in words or "busy" in words or "lock timeout" in words:
            raise StoreBusyError(_LOCKED) from None
        if "full" in words or "no space" in words:
            msg = "no room is left on the disk of the store; free some, nothing was lost"
            raise StoreFullError(msg) from None
        msg = f"the store failed ({type(error.orig).__name__})"
        if isinstance(error.orig, sqlite3.OperationalError):
            msg += f": {error.orig}"
        raise StoreError(msg) from None


# The schema


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version; several processes may do so at once."""
    config = alembic_config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with reading(engine) as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        present = MigrationContext.configure(connection).get_current_revision()
        if present == newest:
            return
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if present is not None and present not in known:
            msg = (
                f"the store has schema version {present}, which is newer than this program; "
                "install the version of vertebrometer that made it, or a later one"
            )
            raise StoreError(msg)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_version(engine: Engine) -> str | None:
    """Return the version of the schema that the store has."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """Return the settings of Alembic: migrations travel inside the package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
