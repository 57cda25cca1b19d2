"""Found triplets and what is truly there: which body is which, and its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vertebrometer.triplets.dividing import Divided, Exclusion, LeftOut, Triplet
from vertebrometer.types import LabelMap

_MATCHED_FROM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueBody:
    """What is known of one true body of a film."""

    number: int
    """In the true label map, from the top."""
    percent: float | None
    """Its compression by equation 1, signed; None where it is not known."""
    anterior_px: float | None = None
    """Anterior height in pixels of the canvas, where corners are known."""
    level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedTriplet:
    """A triplet with the value that its middle body truly has."""

    film: str
    triplet: Triplet
    body: int
    """Number of the middle body in the true label map."""
    level: str | None
    percent: float
    """May be negative: such triplets are kept."""
    anterior_px: tuple[float, float, float] | None
    """True anterior heights of all three, in pixels of the canvas; None where corners are not known."""


def with_values(
    divided: Divided, true_labels: LabelMap, bodies: Sequence[TrueBody]
) -> tuple[list[ValuedTriplet], list[Exclusion]]:
    """Give each triplet its true value; those without one are logged.

    A found body is the true one that it overlaps by at least half (intersection
    over union). All three must be true bodies that follow one another.

    Returns
    -------
    triplets, left_out
    """
    partner = _partners(divided.found.labels, true_labels)
    known = {body.number: body for body in bodies}
    valued: list[ValuedTriplet] = []
    left_out: list[Exclusion] = []
    for triplet in divided.triplets:
        true = [known.get(partner.get(number, 0)) for number in triplet.numbers]
        above, target, below = true
        if above is None or target is None or below is None:
            at_fault = triplet.numbers[true.index(None)]
            left_out.append(Exclusion(divided.film, triplet.target, LeftOut.NO_TRUE_BODY, at_fault))
        elif (above.number, below.number) != (target.number - 1, target.number + 1):
            left_out.append(Exclusion(divided.film, triplet.target, LeftOut.NOT_ADJACENT, triplet.target))
        elif target.percent is None:
            left_out.append(Exclusion(divided.film, triplet.target, LeftOut.NO_VALUE, triplet.target))
        else:
            fronts = (above.anterior_px, target.anterior_px, below.anterior_px)
            h1, h2, h3 = fronts
            valued.append(
                ValuedTriplet(
                    film=divided.film,
                    triplet=triplet,
                    body=target.number,
                    level=target.level,
                    percent=target.percent,
                    anterior_px=None if h1 is None or h2 is None or h3 is None else (h1, h2, h3),
                )
            )
    return valued, left_out


def _partners(found: LabelMap, true: LabelMap) -> dict[int, int]:
    """Return the true body of each found one, where they overlap by at least half."""
    shape = (int(found.max(initial=0)) + 1, int(true.max(initial=0)) + 1)
    shared = np.zeros(shape, dtype=np.int64)
    np.add.at(shared, (found.ravel(), true.ravel()), 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared[1:, 1:] / np.maximum(union[1:, 1:], 1)
    if not overlap.size:
        return {}
    return {
        n + 1: int(row.argmax()) + 1 for n, row in enumerate(overlap) if float(row.max()) >= _MATCHED_FROM
    }
