"""Bodies cut out of training films once, larger than a crop, so that a GPU can move and change them itself.

What a film shows is cut on the CPU, by as many processes as there are; all chance that makes one body look
like many is drawn where the network is (`drawing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import BodyTruth, level_number
from vertebrometer.geometry import Affine
from vertebrometer.segmentation.frames import CROP_SIDE_PX, DEPTH_SHARE, BodyPose, crop_map, pose_of
from vertebrometer.training.augment import degrade
from vertebrometer.training.bank import BankFilm, polygon_mask
from vertebrometer.training.sources import beside, elsewhere, sampled

FINE_SIDE_PX: Final = 2 * CROP_SIDE_PX
"""Side of the crop that a network's input is cut from: as fine as a patch of the close look."""
CUT_SIDE_PX: Final = 352
"""Side of a cut, as fine as that crop: what lies round it comes into view when the crop moves."""
MASK_SIDE_PX: Final = CUT_SIDE_PX // 2

GROUPS: Final = ("phantom", "real", "ct", "other")
KINDS: Final = ("fractured", "whole", "cut", "nothing", "beside")
"""What a cut shows: a fractured body, any whole body, one that the border cuts, none, or what lies beside
the spine (to be laid over others)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Cuts of some films; n of them."""

    images: NDArray[np.uint8]
    """Shape (n, side, side); front of the spine on the left, superior endplate on top, bone bright."""
    masks: NDArray[np.uint8]
    """Shape (n, side / 2, side / 2); share of each pixel within the outline of the body, of 255."""
    points: NDArray[np.float32]
    """Shape (n, 6, 2), in pixels of the cut; zeros where no body is."""
    facts: NDArray[np.int16]
    """Shape (n, 7), see `FACTS`."""

    def __len__(self) -> int:
        return len(self.images)


FACTS: Final = ("group", "kind", "level", "six", "metal", "cement", "whole")
"""Columns of `Cuts.facts`: places in `GROUPS`, `KINDS` and `LEVELS` (-1: none), then yes or no; `six` is
whether the middles of the endplates are known."""


def cuts_of(films: Sequence[BankFilm], seed: int, *, degraded: float, per_body: float = 0.45) -> Cuts:
    """Cut all bodies out of some films, and places without a body.

    Parameters
    ----------
    seed : int
        Of what is left to chance here: where no body is, and which cuts are spoilt.
    degraded : float
        How often a cut is grainy, smeared or lossily compressed.
    per_body : float
        Cuts without a body, and cuts of what lies beside the spine, for each body.
    """
    rng = np.random.default_rng([seed, 77])
    parts = [part for film in films for part in _of_film(film, rng, degraded, per_body)]
    images, masks, points, facts = zip(*parts, strict=True)
    return Cuts(np.stack(images), np.stack(masks), np.stack(points), np.stack(facts))


def _of_film(
    film: BankFilm, rng: np.random.Generator, degraded: float, per_body: float
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], NDArray[np.int16]]]:
    for body in film.truth.bodies:
        to_cut = _cut_map(pose_of(body.points))
        image = _image(film, to_cut, rng, degraded)
        to_mask = to_cut.then(Affine(np.eye(2) / 2, np.full(2, -0.25)))
        mask = polygon_mask(to_mask(body.contour_rc), (MASK_SIDE_PX, MASK_SIDE_PX))
        yield image, _bytes(mask), to_cut(body.points.points_rc).astype(np.float32), _facts(film, body)
    count = max(len(film.truth.bodies), 12)
    for kind in ("nothing", "beside"):
        if kind == "beside" and film.group == "other":
            continue
        for _ in range(rng.poisson(per_body * count)):
            pose = elsewhere(film, rng) if kind == "nothing" else beside(film, rng)
            if pose is None:
                continue
            image = _image(film, _cut_map(pose), rng, degraded if kind == "nothing" else 0.0)
            row = (GROUPS.index(film.group), KINDS.index(kind), -1, 0, 0, 0, 0)
            blank = np.zeros((MASK_SIDE_PX, MASK_SIDE_PX), np.uint8)
            yield image, blank, np.zeros((6, 2), np.float32), np.array(row, np.int16)


def _cut_map(pose: BodyPose) -> Affine:
    return crop_map(pose, CUT_SIDE_PX, DEPTH_SHARE * FINE_SIDE_PX / CUT_SIDE_PX)


def _image(film: BankFilm, to_cut: Affine, rng: np.random.Generator, degraded: float) -> NDArray[np.uint8]:
    image = sampled(film.image, to_cut, CUT_SIDE_PX)
    return _bytes(degrade(image, rng) if rng.random() < degraded else image)


def _bytes(image: Iterable[object]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.round(np.asarray(image, np.float32) * 255), 0, 255), dtype=np.uint8)


def _facts(film: BankFilm, body: BodyTruth) -> NDArray[np.int16]:
    kind = "cut" if not body.whole else "whole" if body.fracture == "none" else "fractured"
    return np.array(
        [
            GROUPS.index(film.group),
            KINDS.index(kind),
            level_number(body.level),
            film.truth.has_six_points,
            body.implant == "metal",
            body.implant == "cement",
            body.whole,
        ],
        np.int16,
    )
