"""From the words of a command line to values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vertebrometer.anatomy import LEVELS, Facing, level_rank
from vertebrometer.errors import SettingsError


def spacing_of(text: str | None) -> tuple[float, float] | None:
    """Read ``0.2`` or ``0.2x0.15`` as row and column spacing in mm."""
    if text is None:
        return None
    parts = re.split(r"[x×]", text.strip().lower())
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0.005 <= value <= 10 for value in values):
        msg = f"--spacing wants mm per pixel from 0.005 to 10, as 0.2 or ROWxCOL (0.2x0.15); got {text!r}"
        raise SettingsError(msg)
    return (values[0], values[-1])


def pinned_levels(pins: Sequence[str]) -> dict[int, str]:
    """Read pins such as ``5=L1`` as body number to level."""
    levels: dict[int, str] = {}
    for pin in pins:
        number, _, name = pin.partition("=")
        name = name.strip().upper()
        if not number.strip().isdigit() or int(number) < 1 or name not in LEVELS:
            msg = f"--level wants N=NAME, such as 5=L1 for the fifth body from the top; got {pin!r}"
            raise SettingsError(msg)
        if levels.get(int(number), name) != name:
            msg = f"--level names body {int(number)} twice: {levels[int(number)]} and {name}"
            raise SettingsError(msg)
        levels[int(number)] = name
    return levels


def facing_of(text: str) -> Facing:
    """Read ``auto``, ``left`` or ``right``; UNKNOWN lets the film tell."""
    return Facing.UNKNOWN if text == "auto" else Facing(text)


def level_range(text: str) -> tuple[str, str]:
    """Read ``T4-L5`` as first and last level."""
    first, dash, last = (part.strip().upper() for part in text.partition("-"))
    if not dash or first not in LEVELS or last not in LEVELS or level_rank(first) > level_rank(last):
        msg = f"--levels wants FIRST-LAST from the top, such as T4-L5; got {text!r}"
        raise SettingsError(msg)
    return first, last


def require_folder(path: Path, option: str) -> None:
    """Refuse what is no folder."""
    if not path.is_dir():
        msg = f"{option} wants a folder, got {path.name!r}"
        raise SettingsError(msg)
