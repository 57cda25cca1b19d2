"""Training samples of the corner network: the patches of one body, about points that are a little wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vertebrometer.anatomy import SixPoints
from vertebrometer.errors import SettingsError
from vertebrometer.geometry import Affine
from vertebrometer.segmentation.frames import pose_of
from vertebrometer.segmentation.patches import PATCH_SIDE_PX, patches_of, points_in_patches
from vertebrometer.training.crops import FINE_SIDE_PX
from vertebrometer.training.sources import BodySource, Sample
from vertebrometer.types import PointsRC

ERRORS: Final = (0.008, 0.02, 0.05)
SHARES: Final = (0.4, 0.4, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class CornerSource:
    """Patches about the points of a body, as wrong as the point network leaves them."""

    bodies: BodySource
    errors: tuple[float, ...] = ERRORS
    """How wrong points are, as standard deviations in depths of the body; one is drawn for each body."""
    shares: tuple[float, ...] = SHARES
    """How often each is drawn."""

    @classmethod
    def of(cls, bodies: BodySource) -> CornerSource:
        """Take the whole bodies of a source, in crops of `FINE_SIDE_PX`.

        Raises
        ------
        SettingsError
            No film shows a whole body.
        """
        films = [film for film in bodies.choose.films if any(body.whole for body in film.truth.bodies)]
        if not films:
            msg = "no training film shows a whole body; give more phantoms, films or CT"
            raise SettingsError(msg)
        choose = replace(bodies.choose, films=films)
        return cls(replace(bodies, choose=choose, side_px=FINE_SIDE_PX, negatives=0.0))

    def sample(self, rng: np.random.Generator, /) -> Sample:
        """Draw a body: `image` (12, s, s), `points` (6, 2) in pixels of each patch, `points_valid` (6,)."""
        film = self.bodies.choose(rng)
        whole = [body for body in film.truth.bodies if body.whole]
        drawn = self.bodies.draw(film, self.bodies.one_of(film, whole, rng), rng)
        crop = self.bodies.greys(drawn.crop, rng)
        told = self._told(drawn.points, rng)
        pose = pose_of(told)
        truth = points_in_patches(drawn.points, pose, told)
        six = film.truth.has_six_points
        known = np.array([1, six, 1, 1, six, 1], np.float32)
        seen = ((drawn.points > 1) & (drawn.points < FINE_SIDE_PX - 2)).all(axis=1)
        near = ((truth > 0) & (truth < PATCH_SIDE_PX - 1)).all(axis=1)
        return {
            "image": patches_of(crop, pose, told),
            "points": truth.astype(np.float32),
            "points_valid": known * (seen & near).astype(np.float32),
        }

    def _told(self, points: PointsRC, rng: np.random.Generator) -> SixPoints:
        """Return points as another network might tell them: moved together, and each for itself."""
        true = pose_of(SixPoints(points))
        error = float(rng.choice(self.errors, p=self.shares)) * self.bodies.strength
        moved = Affine.about(
            true.centre_rc,
            true.centre_rc + rng.normal(0, 0.5 * error, 2) * true.depth_px,
            turn_deg=float(rng.normal(0, 40 * error)),
            zoom=float(np.exp(rng.normal(0, 0.5 * error))),
        )
        return SixPoints(moved(points) + rng.normal(0, error, points.shape) * true.depth_px)
