"""What a compression is: a percentage with the definition that it follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vertebrometer.errors import SettingsError


class Definition(StrEnum):
    """What the height of a body is compared with."""

    ADJACENT_MEAN = "adjacent-mean"
    """Equation 1 of the paper: the anterior height against the mean of the two next bodies'."""
    NEAREST_INTACT = "nearest-intact"
    """The same against the nearest intact body above and below, up to three away."""
    SAME_BODY = "same-body"
    """The anterior against the body's own posterior height."""


@dataclass(frozen=True, slots=True)
class Compression:
    """How much height one body lost; signed, never clipped.

    Negative means taller than expected.
    """

    percent: float
    definition: Definition
    method: str = "geometry"
    interval_90: tuple[float, float] | None = None
    """Where the true value lies in nine of ten cases, in percent; None where the points state no spread."""
    compared_with: tuple[int, ...] = ()
    """Places, counted from 0 at the top, of the bodies it was compared with; empty for the same body."""

    def __post_init__(self) -> None:
        if self.interval_90 is not None and not self.interval_90[0] <= self.percent <= self.interval_90[1]:
            msg = f"an interval round {self.percent} is wanted, got {self.interval_90}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.percent:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalCalibration:
    """How far intervals that follow from the spread of points are widened, by band of severity.

    Half the width of an interval is `factors` times 1.645 standard deviations,
    plus nothing less than `floors_points`. Factor 1 and floor 0 leave first-order
    propagation as it is; conformal calibration on held-out films sets them.
    """

    limits_percent: tuple[float, ...] = (10.0, 20.0, 40.0)
    """Limits between bands; a value on a limit belongs to the higher band."""
    factors: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    floors_points: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Least half width, in percentage points."""

    def __post_init__(self) -> None:
        bands = len(self.limits_percent) + 1
        if len(self.factors) != bands or len(self.floors_points) != bands:
            msg = (
                f"{bands} factors and {bands} floors are wanted for {bands - 1} limits, "
                f"got {len(self.factors)} and {len(self.floors_points)}"
            )
            raise SettingsError(msg)
        if list(self.limits_percent) != sorted(self.limits_percent):
            msg = f"limits must rise, got {self.limits_percent}"
            raise SettingsError(msg)
        if min(self.factors) <= 0 or min(self.floors_points) < 0:
            msg = f"factors above 0 and floors from 0 are wanted, got {self.factors}, {self.floors_points}"
            raise SettingsError(msg)

    @classmethod
    def uniform(cls, *, interval_scale: float = 1.0, interval_floor: float = 0.0) -> IntervalCalibration:
        """Return the same factor and floor for every band."""
        return cls(factors=(interval_scale,) * 4, floors_points=(interval_floor,) * 4)

    def half_width(self, percent: float, sd_points: float) -> float:
        """Half the width of the 90 % interval round `percent`, in percentage points."""
        band = sum(percent >= limit for limit in self.limits_percent)
        return max(self.factors[band] * Z_90 * sd_points, self.floors_points[band])


Z_90: Final = 1.6448536269514722
"""The 95th percentile of the normal distribution: 90 % lie within as many standard deviations."""
