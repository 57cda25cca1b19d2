"""Many films of many spines, one after the other, from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vertebrometer.anatomy import FilmTruth
from vertebrometer.errors import SettingsError
from vertebrometer.projection.projector import project
from vertebrometer.projection.settings import draw_projection
from vertebrometer.projection.spine import SpineVolume
from vertebrometer.radiographs import Radiograph


def projected_films(
    spines: Sequence[SpineVolume],
    count: int,
    seed: int,
    *,
    crush_rate: float = 0.3,
    first: int = 0,
    sides_mm: float = 0.0,
) -> Iterator[tuple[Radiograph, FilmTruth]]:
    """Make films `first` to before `count`, taking the spines in turn; film n is the same however many.

    The `sides_mm` of each film are drawn from 0 to those given.
    """
    if not spines:
        msg = "no spine to project; give at least one, such as those that spines_in finds"
        raise SettingsError(msg)
    for number in range(first, count):
        # One stream for each film, so that any of them can be made alone.
        rng = np.random.default_rng([seed, number])
        spine = spines[number % len(spines)]
        settings = draw_projection(rng, spine, crush_rate=crush_rate)
        if sides_mm > 0:
            settings = replace(settings, sides_mm=float(rng.uniform(0, sides_mm)))
        yield project(spine, settings)
