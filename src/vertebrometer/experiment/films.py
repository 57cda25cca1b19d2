"""A film ready for the experiment: on the padded canvas, with its truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import Facing, FilmTruth, level_rank
from vertebrometer.evaluation import true_compressions
from vertebrometer.experiment.settings import DataSettings
from vertebrometer.geometry import Letterbox, distance
from vertebrometer.preprocess import clahe, prepare
from vertebrometer.radiographs import Radiograph
from vertebrometer.segmentation.coarse_view import resampled
from vertebrometer.training.bank import polygon_mask
from vertebrometer.triplets import TrueBody
from vertebrometer.types import GrayImage, PointsRC


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Film:
    """One film on its canvas, front on the left where `mirror` was asked for; pictures in bytes."""

    name: str
    patient: str
    group: str
    """phantom, ct or folder."""
    plain: NDArray[np.uint8]
    canvas: NDArray[np.uint8]
    """After CLAHE, which comes before the padding."""
    share: NDArray[np.uint8]
    """How much of each pixel lies in a body, 255 all of it."""
    labels: NDArray[np.uint8]
    """n is the n-th true body from the top."""
    inside: tuple[int, int, int, int]
    """Rows and columns of the film within the canvas: first, one beyond the last, twice."""
    bodies: tuple[TrueBody, ...]
    split: str = ""
    """Given by a user: train, validation or test."""

    @property
    def measurable(self) -> int:
        """Bodies with a known value."""
        return sum(body.percent is not None for body in self.bodies)

    def within(self) -> tuple[slice, slice]:
        """Rows and columns of the film within its canvas."""
        top, bottom, left, right = self.inside
        return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, slots=True, eq=False)
class OnCanvas:
    """A film brought to the canvas, before its truth is."""

    plain: GrayImage
    canvas: GrayImage
    letterbox: Letterbox
    aspect: float
    mirrored: bool

    @classmethod
    def of(cls, radiograph: Radiograph, facing: Facing, data: DataSettings) -> OnCanvas:
        """Even the contrast, make pixels square, scale, pad and, where it faces right, mirror."""
        even = clahe(radiograph.image, clip_limit=data.clahe_clip, tiles=data.clahe_tiles)
        aspect = radiograph.aspect if radiograph.spacing is None else _aspect(radiograph)
        squared = [_squared(image, aspect) for image in (radiograph.image, even)]
        plain, canvas = (prepare(image, data.canvas_px) for image in squared)
        mirrored = data.mirror and facing is Facing.RIGHT
        images = [_flipped(each.image, mirrored=mirrored) for each in (plain, canvas)]
        return cls(images[0], images[1], canvas.letterbox, aspect, mirrored)

    def points(self, points_rc: PointsRC) -> PointsRC:
        """Carry points of the film as stored to the canvas."""
        squared = (np.asarray(points_rc, dtype=np.float64) + 0.5) * (self.aspect, 1.0) - 0.5
        out = self.letterbox.to_canvas(squared)
        if self.mirrored:
            out[:, 1] = self.canvas.shape[1] - 1 - out[:, 1]
        return out

    def share(self, mask: NDArray[Any]) -> GrayImage:
        """Carry a mask of the film as stored to the canvas, averaged over the pixels that fall together."""
        square = prepare(_squared(np.asarray(mask, dtype=np.float32), self.aspect), self.canvas.shape[0])
        return _flipped(square.image, mirrored=self.mirrored)

    def inside(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Where on the canvas the film of `shape` lies."""
        corners = self.points(np.array([[-0.5, -0.5], [shape[0] - 0.5, shape[1] - 0.5]]))
        (top, left), (bottom, right) = np.round(np.sort(corners, axis=0) + 0.5).astype(int).tolist()
        side = self.canvas.shape[0]
        return max(top, 0), min(bottom, side), max(left, 0), min(right, side)


def film_of_truth(
    radiograph: Radiograph,
    truth: FilmTruth,
    data: DataSettings,
    *,
    name: str,
    patient: str,
    group: str,
    facing: Facing = Facing.UNKNOWN,
) -> Film:
    """Prepare a film whose bodies are known by their outlines and corners; values follow equation 1."""
    on = OnCanvas.of(radiograph, truth.facing if facing is Facing.UNKNOWN else facing, data)
    ordered = sorted(truth.bodies, key=lambda body: level_rank(body.level))
    whole = [body for body in ordered if body.whole]
    percents = dict(zip((b.level for b in whole), true_compressions(whole, on.aspect), strict=True))
    shares, bodies = [], []
    for number, body in enumerate(ordered, 1):
        shares.append(polygon_mask(on.points(body.contour_rc), on.canvas.shape))
        front = on.points(body.points.points_rc[[0, 5]])
        bodies.append(
            TrueBody(
                number=number,
                percent=percents.get(body.level),
                anterior_px=distance(front[0], front[1]) if body.whole else None,
                level=body.level,
            )
        )
    return film_of(on, shares, bodies, radiograph.image.shape, name=name, patient=patient, group=group)


def film_of(
    on: OnCanvas,
    shares: Sequence[GrayImage],
    bodies: Sequence[TrueBody],
    shape: tuple[int, ...],
    *,
    name: str,
    patient: str,
    group: str,
    split: str = "",
) -> Film:
    """Put a film together; `shares` are the bodies on the canvas, from the top."""
    side = on.canvas.shape[0]
    total, labels = np.zeros((side, side), np.float32), np.zeros((side, side), np.uint8)
    most = np.full((side, side), 0.5 - 1e-6, np.float32)
    for number, share in enumerate(shares, 1):
        total = np.minimum(total + share, 1.0)
        labels[share > most] = number
        most = np.maximum(most, share)
    return Film(
        name=name,
        patient=patient,
        group=group,
        plain=_bytes(on.plain),
        canvas=_bytes(on.canvas),
        share=_bytes(total),
        labels=labels,
        inside=on.inside(shape),
        bodies=tuple(bodies),
        split=split,
    )


def unit(picture: NDArray[np.uint8]) -> GrayImage:
    """Bring bytes to 0 to 1."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def save_film(path: Path, film: Film) -> None:
    """Write a film; a kill while writing leaves none."""
    told = {
        "name": film.name,
        "patient": film.patient,
        "group": film.group,
        "inside": film.inside,
        "bodies": [asdict(body) for body in film.bodies],
        "split": film.split,
    }
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            plain=film.plain,
            canvas=film.canvas,
            share=film.share,
            labels=film.labels,
            told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        )
    part.replace(path)


def load_film(path: Path) -> Film:
    """Read a film that `save_film` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        told = json.loads(kept["told"].tobytes())
        return Film(
            name=told["name"],
            patient=told["patient"],
            group=told["group"],
            plain=kept["plain"],
            canvas=kept["canvas"],
            share=kept["share"],
            labels=kept["labels"],
            inside=tuple(told["inside"]),
            bodies=tuple(TrueBody(**body) for body in told["bodies"]),
            split=told["split"],
        )


def hash_of(films: Sequence[Film]) -> str:
    """Return one short hash of all that systems are trained and tested on."""
    digest = hashlib.sha256()
    for film in films:
        digest.update(json.dumps([film.name, film.patient, film.split], sort_keys=True).encode())
        digest.update(json.dumps([asdict(body) for body in film.bodies], sort_keys=True).encode())
        for picture in (film.canvas, film.share, film.labels):
            digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:16]


def _aspect(radiograph: Radiograph) -> float:
    row, col = radiograph.pixel_rc
    return row / col


def _squared(image: GrayImage, aspect: float) -> GrayImage:
    return image if aspect == 1.0 else resampled(image, (aspect, 1.0)).image


def _flipped(image: GrayImage, *, mirrored: bool) -> GrayImage:
    return np.ascontiguousarray(image[:, ::-1]) if mirrored else image


def _bytes(image: GrayImage) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.round(image * 255), 0, 255), dtype=np.uint8)
