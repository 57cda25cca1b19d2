"""Segmenters: what they are trained on, and the masks that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vertebrometer.evaluation import Confusion
from vertebrometer.experiment.films import Film, unit
from vertebrometer.experiment.fitting import trained
from vertebrometer.experiment.records import RESULT, stored, write_json
from vertebrometer.experiment.settings import FilmAugmentation, FitSettings, Segmenter
from vertebrometer.geometry import Affine
from vertebrometer.segmentation.coarse_view import fed
from vertebrometer.training import MaskLoss, MaskScore, Sample
from vertebrometer.training.augment import vary_grey
from vertebrometer.training.samples import Batch, collate
from vertebrometer.types import FloatArray, GrayImage


@dataclass(frozen=True, slots=True, eq=False)
class CanvasSource:
    """Films on their canvas, a little turned, moved and scaled, with other greys."""

    films: Sequence[Film]
    chance: FilmAugmentation

    def sample(self, rng: np.random.Generator, /) -> Sample:
        """Draw a film: `image` (1, s, s) and `mask` (1, s, s)."""
        film = self.films[int(rng.integers(len(self.films)))]
        side = film.canvas.shape[0]
        middle = np.full(2, (side - 1) / 2)
        moved = Affine.about(
            middle,
            middle + rng.normal(0, self.chance.shift, 2) * side,
            turn_deg=float(rng.normal(0, self.chance.turn_deg)),
            zoom=float(np.exp(rng.normal(0, self.chance.zoom))),
        )
        shape = film.canvas.shape
        if self.chance.window_px != (0, 0):
            shape = self.chance.window_px
            moved = moved.then(Affine(np.eye(2), -_window_start(film, shape, rng)))
        image = _warped(film.canvas, moved, shape)
        if self.chance.grey > 0:
            image = vary_grey(image, rng, strength=self.chance.grey)
        return _sample(image, _warped(film.share, moved, shape))


def _window_start(film: Film, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Draw the first row and column of a window: over the film where it is larger, else round it."""
    top, bottom, left, right = film.inside
    side = film.canvas.shape[0]
    start = [
        np.clip(rng.uniform(*sorted((first, end - size))), 0, max(side - size, 0))
        for first, end, size in ((top, bottom, shape[0]), (left, right, shape[1]))
    ]
    return np.asarray(np.round(start), dtype=np.float64)


def _warped(picture: NDArray[np.uint8], moved: Affine, shape: tuple[int, ...]) -> GrayImage:
    size = (shape[1], shape[0])
    view = cv2.warpAffine(
        picture, moved.as_cv2(), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(np.asarray(view, dtype=np.float32) / 255, dtype=np.float32)


def _sample(image: GrayImage, mask: GrayImage) -> Sample:
    return {"image": fed(image)[None], "mask": mask[None], "mask_valid": np.ones((1, 1, 1), np.float32)}


def film_batches(films: Sequence[Film], size: int) -> list[Batch]:
    """Return films as they are, in their order."""
    samples = [_sample(unit(film.canvas), unit(film.share)) for film in films]
    return [collate(samples[start : start + size]) for start in range(0, len(samples), size)]


def predicted(network: nn.Module, film: Film) -> NDArray[np.uint8]:
    """Return how sure a network is of each pixel, 255 for certain."""
    device = next(network.parameters()).device
    image = torch.from_numpy(fed(unit(film.canvas))[None, None]).to(device)
    with torch.no_grad():
        chance = network(image).float().sigmoid()[0, 0].cpu().numpy()
    return np.asarray(np.round(chance * 255), dtype=np.uint8)


def run_segmenter(
    folder: Path,
    segmenter: Segmenter,
    *,
    settings: FitSettings,
    chance: FilmAugmentation,
    train: Sequence[Film],
    validation: Sequence[Film],
    predict: Sequence[Film],
    seed: int,
    mark: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Train a segmenter and keep its maps of the films `predict`; what is done is taken as it is.

    Returns
    -------
    dict
        `facts` of the run, and `pixels`: for each film the counts of true and
        false pixels within the film, without the padding of its canvas.
    """
    done = stored(folder, mark)
    if done is not None:
        return done
    tell(f"{folder.parent.name} {folder.name}: training on {len(train)} films")
    fits = segmenter.fit or settings
    score = MaskScore(film_batches(validation, fits.batch_size)) if validation else None
    system = trained(
        folder,
        CanvasSource(train, chance),
        network=segmenter.network,
        settings=fits,
        seed=seed,
        loss=MaskLoss(),
        validate=score,
        mark=mark,
    )
    pixels = {}
    for film in predict:
        chances = predicted(system.network, film)
        keep_map(folder, film.name, chances)
        pixels[film.name] = counts(chances, film)
    result = {"fingerprint": mark, "facts": system.facts, "pixels": pixels}
    write_json(folder / RESULT, result)
    return result


def counts(chances: NDArray[np.uint8], film: Film) -> list[int]:
    """Count true positive, false positive, false negative and true negative pixels at one half."""
    own = film.within()
    found = Confusion.of(chances[own] >= 128, film.share[own] >= 128)
    return [found.true_positive, found.false_positive, found.false_negative, found.true_negative]


def keep_map(folder: Path, name: str, chances: NDArray[np.uint8]) -> None:
    """Write a map as a picture."""
    place = folder / "maps"
    place.mkdir(parents=True, exist_ok=True)
    done, coded = cv2.imencode(".png", chances)
    assert done
    part = place / f".{name}.part"
    part.write_bytes(coded.tobytes())
    part.replace(place / f"{name}.png")


def kept_map(folder: Path, name: str) -> GrayImage:
    """Read a map, 0 to 1."""
    picture = cv2.imdecode(
        np.frombuffer((folder / "maps" / f"{name}.png").read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    assert picture is not None
    return np.asarray(picture.astype(np.float32) / 255, dtype=np.float32)
