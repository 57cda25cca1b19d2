"""Names of levels: the one run of neighbours that the bodies' looks and the sacrum speak for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import LEVELS, level_rank
from vertebrometer.errors import SettingsError
from vertebrometer.types import FloatArray

NAMED_FROM: Final = 0.7
"""Names are given from this chance on; below it levels stay unknown."""
NAMED_BY_LOOKS_FROM: Final = 0.99
"""The same where no sacrum was seen. On phantoms and on an unseen patient in projection looks alone were
right from 0.9 on, but of nine parts of seven real films with chances from 0.9 to 0.983 they were wrong on
six: all bodies of a patient look like the level above or below together."""
_TEMPER: Final = 0.45
"""Bodies of one film err together, so their votes count less than independent ones would, ..."""
_VOTES: Final = 1.5
"""... and however many there are, all together no more than this many: all may be off by one level together,
which happens far more often than a spine has one body more or less."""
_GAPS: Final = 3
_GAP_SD: Final = 0.2
"""Standard deviation of the number of levels in a gap, over the number that its length says."""
_FOLLOWS_UNSEEN: Final = 0.25
_FOLLOWS_SEEN: Final = 0.74
"""Chance that the last body is the last of the spine: the first where no sacrum was seen, the sum where it
surely was (26 of 26 phantoms in which it was seen, one of them with four lumbar bodies)."""
_NOTHING_SAID: Final = (0.5 - _FOLLOWS_UNSEEN) / _FOLLOWS_SEEN
"""How surely a sacrum would be seen to leave both as likely."""
_VARIANT_PRIOR: Final = {"plain": 0.9, "L6": 0.04, "T13": 0.03, "no L5": 0.03}
# Prevalence of transitional counts is a few percent each; see docs/concepts/levels.md.


@dataclass(frozen=True, slots=True)
class Naming:
    """Names from the top, None where unknown, with the chance of the whole run."""

    levels: tuple[str | None, ...]
    confidence: float


def sequences(variant: str) -> list[str]:
    """Names from the top in a spine of the usual count or of one of its variants."""
    usual = [name for name in LEVELS if name not in ("T13", "L6")]
    if variant == "L6":
        usual.insert(usual.index("S1"), "L6")
    elif variant == "T13":
        usual.insert(usual.index("L1"), "T13")
    elif variant == "no L5":
        usual.remove("L5")
    return usual


def name_levels(
    log_chances: Sequence[FloatArray],
    steps: Sequence[int],
    *,
    sacrum_below_last: float,
    pinned: Mapping[int, str] | None = None,
) -> Naming:
    """Name a chain of bodies.

    Parameters
    ----------
    log_chances : sequence of arrays
        For each body from the top, the logarithm of the chance of each name in `LEVELS`.
    steps : sequence of int
        For each body but the first, how many levels it lies below the one before: 1 for neighbours.
    sacrum_below_last : float
        0 to 1: how sure it is that the sacrum follows the last body.
    pinned : mapping, optional
        Place in the chain (from 0) to the name that a reader gave it.

    Raises
    ------
    SettingsError
        The pinned names can't all hold, or one is that of a body that the chain does not have.
    """
    if not log_chances:
        return Naming((), 0.0)
    pinned = pinned or {}
    if beyond := [place for place in pinned if place >= len(log_chances)]:
        msg = (
            f"body {beyond[0] + 1} was to be named {pinned[beyond[0]]}, but {len(log_chances)} bodies were "
            "found; count them from the top, as in the table and the overlay"
        )
        raise SettingsError(msg)
    runs = [
        run
        for run in _all_runs(log_chances, steps, sacrum_below_last)
        if all(run.names[place] == name for place, name in pinned.items())
    ]
    if not runs and not pinned:
        return Naming((None,) * len(log_chances), 0.0)
    if not runs:
        raise SettingsError(_why_none_holds(pinned, steps))
    chances = _chances(runs)
    best = runs[int(np.argmax(chances))].names
    # The same names may come from several variants; their chances add up.
    together = float(sum(c for run, c in zip(runs, chances, strict=True) if run.names == best))
    least = NAMED_FROM if sacrum_below_last >= 0.5 else NAMED_BY_LOOKS_FROM
    if pinned or together >= least:
        return Naming(best, 1.0 if pinned else together)
    return Naming((None,) * len(log_chances), together)


def _why_none_holds(pinned: Mapping[int, str], steps: Sequence[int]) -> str:
    if len(pinned) > 1:
        wanted = ", ".join(f"{place + 1}={name}" for place, name in sorted(pinned.items()))
        return (
            f"no spine has {wanted} together where the bodies lie; name one body only, and all others follow"
        )
    place, name = next(iter(pinned.items()))
    return (
        f"body {place + 1} can't be {name}: the film shows {sum(steps[:place])} levels above it and "
        f"{sum(steps[place:])} below, which no spine has; count bodies from the top, as in the table and the "
        "overlay"
    )


def end_chance(log_chances: Sequence[FloatArray], steps: Sequence[int]) -> float:
    """Return the chance, by looks alone, that the last body of a chain is the last of its spine, from 0 to 1.

    Parameters are those of `name_levels`; without bodies the chance is 0.
    """
    if not log_chances:
        return 0.0
    runs = _all_runs(log_chances, steps, _NOTHING_SAID)
    if not runs:
        return 0.0
    return float(_chances(runs)[[run.ends for run in runs]].sum())


class _Run(NamedTuple):
    """Names of a chain from the top."""

    names: tuple[str, ...]
    weight: float
    """Logarithm of how likely it is, up to a constant."""
    ends: bool
    """Whether the last body is the last of the spine."""


def _chances(runs: Sequence[_Run]) -> FloatArray:
    """Chance of each run among these."""
    weights = np.array([run.weight for run in runs])
    chances = np.exp(weights - weights.max())
    return np.asarray(chances / chances.sum())


def _all_runs(log_chances: Sequence[FloatArray], steps: Sequence[int], sacrum: float) -> list[_Run]:
    return [
        run
        for variant, prior in _VARIANT_PRIOR.items()
        for places, share in _placings(steps)
        for run in _runs(sequences(variant), places, log_chances, sacrum, prior * share)
    ]


def _placings(steps: Sequence[int]) -> list[tuple[NDArray[np.int_], float]]:
    """Places of the bodies along the spine with the share of each; a gap may hold one body more or less."""
    gaps = sorted((n for n, step in enumerate(steps) if step > 1), key=lambda n: -steps[n])[:_GAPS]
    placings = []
    for changes in product(*(_gap_changes(steps[gap]) for gap in gaps)):
        changed = np.array(steps, dtype=int)
        share = 1.0
        for gap, (change, chance) in zip(gaps, changes, strict=True):
            changed[gap] += change
            share *= chance
        placings.append((np.r_[0, np.cumsum(changed)].astype(int), share))
    return placings


def _gap_changes(step: int) -> list[tuple[int, float]]:
    """Levels more or less than a gap's length says, with their chances; a longer gap is surer to be off."""
    changes = [change for change in range(-2, 3) if step + change >= 1]
    likely = np.exp(-0.5 * (np.array(changes) / (_GAP_SD * step + 0.2)) ** 2)
    return list(zip(changes, (likely / likely.sum()).tolist(), strict=True))


def _runs(
    spine: list[str], places: NDArray[np.int_], log_chances: Sequence[FloatArray], sacrum: float, prior: float
) -> list[_Run]:
    runs = []
    last_body = spine.index("S1") - 1
    for start in range(last_body - int(places[-1]) + 1):
        names = tuple(spine[start + int(place)] for place in places)
        looks = sum(float(chance[level_rank(name)]) for chance, name in zip(log_chances, names, strict=True))
        ends_at_sacrum = start + int(places[-1]) == last_body
        # A sacrum that was not seen may well be there: it is the dimmest part of many films.
        follows = _FOLLOWS_UNSEEN + _FOLLOWS_SEEN * sacrum
        anchor = np.log(follows if ends_at_sacrum else 1 - follows)
        vote = min(_TEMPER, _VOTES / len(names))
        weight = vote * looks + float(anchor) + float(np.log(prior))
        runs.append(_Run(names, weight, ends_at_sacrum))
    return runs
