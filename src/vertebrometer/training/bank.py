"""Films kept ready for training: scaled once, with their truth, whatever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import Facing, FilmTruth, SixPoints, read_truth
from vertebrometer.errors import TruthFileError
from vertebrometer.geometry import Affine
from vertebrometer.phantom import other_picture, phantom_of
from vertebrometer.radiographs import PixelSpacing, Radiograph, SpacingSource, read_radiograph
from vertebrometer.segmentation.coarse_view import coarse_contrast, resampled
from vertebrometer.types import GrayImage

COARSE_BANK_MM = 0.75
"""Pixel of the copies that coarse training samples come from."""
FINE_BANK_MM = 0.25
"""Finest pixel kept for fine training."""
_OTHER_PIXEL_MM = 0.3
ASSUMED_PIXEL_MM = 0.29
"""Taken for annotated films that state no spacing."""


@dataclass(frozen=True, slots=True, eq=False)
class BankFilm:
    """One film with its truth, in bytes to save memory."""

    image: NDArray[np.uint8]
    """Shape (rows, cols); grey as read, 255 bone-bright."""
    contrast: NDArray[np.uint8]
    """The same film after CLAHE at full size, scaled."""
    truth: FilmTruth
    """In pixels of `image`."""
    pixel_mm: float
    group: str
    """Where it comes from: phantom, real, ct."""


def bank_film(radiograph: Radiograph, truth: FilmTruth, *, pixel_mm: float, group: str) -> BankFilm:
    """Scale a film to isotropic pixels of `pixel_mm` (never finer than it is) with its truth."""
    rc = (
        radiograph.spacing.rc
        if radiograph.spacing
        else (ASSUMED_PIXEL_MM * radiograph.aspect, ASSUMED_PIXEL_MM)
    )
    wanted = max(pixel_mm, min(rc))
    scale = (rc[0] / wanted, rc[1] / wanted)
    plain = resampled(radiograph.image, scale)
    even = resampled(coarse_contrast(radiograph.image), scale)
    return BankFilm(
        image=_bytes(plain.image),
        contrast=_bytes(even.image),
        truth=scaled_truth(truth, plain.scale_rc, plain.image.shape),
        pixel_mm=wanted,
        group=group,
    )


def _bytes(image: GrayImage) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.round(image * 255), 0, 255), dtype=np.uint8)


def scaled_truth(truth: FilmTruth, scale_rc: tuple[float, float], shape: tuple[int, ...]) -> FilmTruth:
    """Return the truth of a film that was scaled about the corner of its first pixel."""
    scale = np.array(scale_rc)
    move = Affine(np.diag(scale), 0.5 * scale - 0.5)
    bodies = tuple(
        replace(body, points=SixPoints(move(body.points.points_rc)), contour_rc=move(body.contour_rc))
        for body in truth.bodies
    )
    s1 = None if truth.s1_endplate_rc is None else move(truth.s1_endplate_rc)
    return replace(truth, bodies=bodies, s1_endplate_rc=s1, shape=(int(shape[0]), int(shape[1])))


def phantom_bank(seeds: Iterable[int], *, pixel_mm: float) -> Iterator[BankFilm]:
    """Make phantoms of the given seeds."""
    for seed in seeds:
        phantom = phantom_of(seed, pixel_mm=max(pixel_mm, 0.2))
        yield bank_film(phantom.radiograph, phantom.truth, pixel_mm=pixel_mm, group="phantom")


def other_bank(seeds: Iterable[int], *, pixel_mm: float) -> Iterator[BankFilm]:
    """Draw pictures that are no lateral spine films; no body is on them."""
    for seed in seeds:
        image = other_picture(seed)
        spacing = PixelSpacing(_OTHER_PIXEL_MM, _OTHER_PIXEL_MM, SpacingSource.USER)
        truth = FilmTruth(file="", shape=(image.shape[0], image.shape[1]), bodies=(), facing=Facing.UNKNOWN)
        yield bank_film(Radiograph(image=image, spacing=spacing), truth, pixel_mm=pixel_mm, group="other")


def annotated_bank(
    truth_file: Path, *, pixel_mm: float, only: Iterable[str] = (), leave_out: Iterable[str] = ()
) -> Iterator[BankFilm]:
    """Read a folder of annotated films; names are file names of the truth file.

    Raises
    ------
    TruthFileError
        A name to keep or leave out is not in the truth file, or a film is missing.
    """
    films = {film.file: film for film in read_truth(truth_file)}
    unknown = sorted((set(only) | set(leave_out)) - set(films))
    if unknown:
        msg = f"{truth_file.name} has no film {unknown[0]!r}; it has {', '.join(sorted(films)[:5])}, ..."
        raise TruthFileError(msg)
    chosen = [name for name in films if (name in set(only) if only else name not in set(leave_out))]
    for name in chosen:
        path = truth_file.parent / name
        if not path.exists():
            msg = f"{truth_file.name} names {name}, which does not lie beside it"
            raise TruthFileError(msg)
        yield bank_film(read_radiograph(path), films[name], pixel_mm=pixel_mm, group="real")


def polygon_mask(contour_rc: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each pixel that lies inside a polygon, shape `shape`."""
    fine = 4
    points = ((contour_rc + 0.5) * fine - 0.5)[:, ::-1]
    low = np.maximum(np.floor(contour_rc.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(contour_rc.max(axis=0)).astype(int) + 2, shape)
    out = np.zeros(shape, np.float32)
    if (high <= low).any():
        return out
    patch = np.zeros(((high[0] - low[0]) * fine, (high[1] - low[1]) * fine), np.uint8)
    inside = np.round((points - low[::-1] * fine) * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(patch, [inside], 255, lineType=cv2.LINE_8, shift=4)
    small = cv2.resize(
        patch.astype(np.float32) / 255, (high[1] - low[1], high[0] - low[0]), interpolation=cv2.INTER_AREA
    )
    out[low[0] : high[0], low[1] : high[1]] = small
    return out
