"""Logs of the node: one JSON object a line, and nothing in them about a patient."""

from __future__ import annotations

import errno
import json
import logging
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Final

log = logging.getLogger("vertebrometer.listener")

# What these say quotes data sets, addresses of patients' studies, or paths.
_MUTED: Final = (
    "pynetdicom", "pydicom", "highdicom", "dicomweb_client", "urllib3", "requests", "alembic", "sqlalchemy",
    "pylibjpeg", "PIL", "retrying",
)  # fmt: skip


def say(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event with its fields; numbers of films and names of peers, never a UID or a name."""
    log.log(level, event, extra={"fields": fields})


def warn(event: str, **fields: Any) -> None:
    """Log what somebody should look at."""
    say(event, level=logging.WARNING, **fields)


def words_of(error: BaseException) -> str:
    """Return type and place of an error; its text may quote a file, and so a patient."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    number = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return f"{type(error).__name__}{f' {number}' if number else ''}{place}"


class JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; the text of an exception stays out."""
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = words_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up_logs() -> None:
    """Let this process log to stderr, and nothing else but our own words."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    ours = logging.getLogger("vertebrometer")
    ours.handlers[:], ours.propagate = [handler], False
    ours.setLevel(logging.INFO)
    for name in _MUTED:
        quiet = logging.getLogger(name)
        quiet.handlers[:], quiet.propagate, quiet.disabled = [logging.NullHandler()], False, True
        quiet.setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    sys.excepthook = _say_uncaught
    threading.excepthook = lambda args: warn(
        "thread_died",
        thread=args.thread.name if args.thread else "",
        error=words_of(args.exc_value or Exception()),
    )


def _say_uncaught(
    kind: type[BaseException],  # noqa: ARG001 (the signature that Python calls)
    error: BaseException,
    trace: TracebackType | None,  # noqa: ARG001
) -> None:
    warn("program_error", error=words_of(error))
