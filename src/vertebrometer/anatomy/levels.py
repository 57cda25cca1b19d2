"""Names of vertebral levels, from C1 down to S1; T13 and L6 exist."""

from __future__ import annotations

from typing import Final

from vertebrometer.errors import UnknownNameError

LEVELS: Final[tuple[str, ...]] = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 14)),
    *(f"L{n}" for n in range(1, 7)),
    "S1",
)
"""All names that a body may carry, from the top."""

_RANK: Final = {name: rank for rank, name in enumerate(LEVELS)}

# Thirteen thoracic or six lumbar bodies are variants, so these neighbours may
# follow each other without the variant between them.
_SKIPS: Final = {("T12", "L1"), ("L5", "S1"), ("T11", "L1"), ("L4", "S1")}


def level_rank(level: str) -> int:
    """Return the place of a level counted from the top, C1 being 0."""
    try:
        return _RANK[level]
    except KeyError:
        raise UnknownNameError(kind="level", name=level, known=LEVELS) from None


def level_number(level: str) -> int:
    """Place of a level in `LEVELS`; -1 where nobody knows it, such as ``unknown``."""
    return _RANK.get(level, -1)


def is_just_above(upper: str, lower: str) -> bool:
    """Tell whether `lower` may be the next body below `upper`.

    T12 sits on L1 unless there is a T13, L5 on S1 unless there is an L6; T11 on
    L1 and L4 on S1 occur in spines with one body less.

    Examples
    --------
    >>> is_just_above("T12", "L1"), is_just_above("T12", "T13"), is_just_above("T12", "L2")
    (True, True, False)
    """
    return level_rank(lower) - level_rank(upper) == 1 or (upper, lower) in _SKIPS
