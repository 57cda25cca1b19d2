"""Height of the disc space between two bodies."""

from __future__ import annotations

from dataclasses import dataclass

from vertebrometer.anatomy import SixPoints
from vertebrometer.geometry import distance


@dataclass(frozen=True, slots=True)
class DiscHeights:
    """Heights of one disc space, in pixel widths."""

    anterior_px: float
    middle_px: float
    posterior_px: float

    @property
    def mean_px(self) -> float:
        """Mean of the anterior and posterior height (Dabbs VM, Dabbs LG, Spine 1990;15:1366-9)."""
        return (self.anterior_px + self.posterior_px) / 2


def disc_heights(upper: SixPoints, lower: SixPoints, *, aspect: float = 1.0) -> DiscHeights:
    """Measure the gap between the inferior endplate of `upper` and the superior one of `lower`.

    Each height is the straight distance between corresponding endplate points;
    the rims that project over the disc make the anterior and posterior ones
    read lower than the disc itself (Kunkel ME et al., J Anat 2011;219:375-87).
    """
    return DiscHeights(
        *(
            distance(upper.point(f"inferior_{place}"), lower.point(f"superior_{place}"), (aspect, 1.0))
            for place in ("anterior", "middle", "posterior")
        )
    )
