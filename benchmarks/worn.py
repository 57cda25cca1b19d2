"""Real films with worn discs in the picture: narrowed, slipped, dense endplates; bodies keep their shape.

    python benchmarks/worn.py --truth truth.json --films DIR [--only NAME...]

Every third disc of each film of a truth file loses two thirds of its height, and all below it comes up; the
annotated corners move with the picture, so that the compression of every body stays the annotated one. What
such a film cannot show: spurs, gas in the disc, endplates that are eaten away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crushed import Change, print_table, warped
from variants import moved

from vertebrometer.anatomy import FilmTruth
from vertebrometer.segmentation.frames import downward, pose_of
from vertebrometer.training.degeneration import DiscPlace, Sclerosis, WornDisc, beyond, density
from vertebrometer.types import FloatArray, GrayImage, PointsRC

_DENSE = Sclerosis(gain=1.0, thickness=0.15, middle=0.4, breadth=0.7)
CHANGES = {
    "none": None,
    "narrowed": WornDisc((0.67, 0.67), 0.0, None, None),
    "narrowed, dense": WornDisc((0.67, 0.67), 0.0, _DENSE, _DENSE),
    "narrowed, slipped": WornDisc((0.67, 0.67), 0.2, None, None),
    "narrowed, slipped, dense": WornDisc((0.67, 0.67), 0.2, _DENSE, _DENSE),
}
"""Lines of the table; the upper body slips forwards by a fifth of its depth."""
_SOLVED = 60


def main() -> None:
    def change(worn: WornDisc | None) -> Change:
        return lambda image, truth, begin: worn_film(image, truth, worn, begin)

    print_table(__doc__, "bodies beside a worn disc", {name: change(worn) for name, worn in CHANGES.items()})


@dataclass(frozen=True, slots=True)
class Step:
    """One disc in the frame of the body above it, and how it is worn."""

    centre_rc: PointsRC
    axes: FloatArray
    """Rows: downwards across the body, and backwards along it; shape (2, 2), as (row, col)."""
    worn: WornDisc
    place: DiscPlace

    @classmethod
    def of(cls, truth: FilmTruth, above: int, worn: WornDisc) -> Step:
        """Wear the disc below a body of a film."""
        upper, lower = (truth.bodies[n].points for n in (above, above + 1))
        pose = pose_of(upper)
        axes = np.stack([downward(pose.backward_rc), pose.backward_rc])
        corners = [(points.corners_rc - pose.centre_rc) @ axes.T for points in (upper, lower)]
        own, other = corners[0][[3, 2]], corners[1][[0, 1]]
        return cls(pose.centre_rc, axes, worn, DiscPlace(own, other, below=True))

    def source(self, points_rc: PointsRC) -> PointsRC:
        """Where the picture at these points comes from."""
        own = (points_rc - self.centre_rc) @ self.axes.T
        return self.centre_rc + (own + self._beyond(own)) @ self.axes

    def moved(self, points_rc: PointsRC) -> PointsRC:
        """Where these points of the picture go."""
        wanted = (points_rc - self.centre_rc) @ self.axes.T
        own = wanted.copy()
        for _ in range(_SOLVED):
            own += 0.3 * (wanted - own - self._beyond(own))
        return np.asarray(self.centre_rc + own @ self.axes)

    def denser(self, points_rc: PointsRC) -> FloatArray:
        """Brightness that the endplates gain at points of the unchanged picture, in SD of the film."""
        own = (points_rc - self.centre_rc) @ self.axes.T
        return density(self.worn, self.place, own[:, 0], own[:, 1])

    def _beyond(self, own: PointsRC) -> PointsRC:
        return beyond(self.worn, self.place, own[:, 0], own[:, 1]).T


def worn_film(
    image: GrayImage, truth: FilmTruth, worn: WornDisc | None, begin: int
) -> tuple[GrayImage, FilmTruth, set[str]]:
    """Wear every third disc; return picture, truth and levels of the bodies beside these discs."""
    above = [n for n in range(len(truth.bodies) - 1) if n % 3 == begin]
    beside = {truth.bodies[n + side].level for n in above for side in (0, 1)}
    if worn is None:
        return image, truth, beside
    steps: list[Step] = []
    bright = np.array(image, dtype=np.float32)
    for number in above:
        bright = _denser(bright, Step.of(truth, number, worn))
    # From the bottom, so that a disc that is still to be worn lies where the film shows it.
    for number in reversed(above):
        step = Step.of(truth, number, worn)
        steps.append(step)
        truth = moved(truth, step.moved)
    return warped(bright, steps), truth, beside


def _denser(image: GrayImage, step: Step) -> GrayImage:
    """Brighten the endplates of one disc, by the spread of greys around it."""
    if step.worn.own is None and step.worn.other is None:
        return image
    reach = 2 * float(np.ptp(step.place.own[:, 1]))
    low = np.clip(np.floor(step.centre_rc - reach).astype(int), 0, image.shape)
    high = np.clip(np.ceil(step.centre_rc + reach).astype(int), 0, image.shape)
    rows, cols = np.mgrid[low[0] : high[0], low[1] : high[1]]
    part = image[low[0] : high[0], low[1] : high[1]]
    gain = step.denser(np.stack([rows.ravel(), cols.ravel()], axis=1).astype(float)).reshape(part.shape)
    out = image.copy()
    out[low[0] : high[0], low[1] : high[1]] = part + part.std() * gain
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)


if __name__ == "__main__":
    main()
