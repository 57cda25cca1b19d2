"""Writing files so that a kill at any moment leaves the old file or the new one, never half of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from vertebrometer.errors import OutputError

TEMPORARY_SUFFIX: Final = ".vertebrometer-part"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file at once, replacing what was there.

    Raises
    ------
    OutputError
        It cannot be written; what was there before is still there.
    """
    # In the same folder, so that the rename is one step; under our own number, so that two runs do not meet.
    part = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(error) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def cannot_write(error: OSError) -> OutputError:
    """Word a failure to write without saying where the file lies."""
    return OutputError(f"the results cannot be written: {error.strerror or type(error).__name__}")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once, in UTF-8 and with the line ends given."""
    write_bytes(path, text.encode("utf-8"))


def remove_leftovers(folder: Path) -> None:
    """Delete what killed runs left half-written in `folder`."""
    for part in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        part.unlink(missing_ok=True)
