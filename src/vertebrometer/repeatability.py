"""How far a value moves when its film is turned, scaled, noisy, stored lossily or mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.geometry import Affine
from vertebrometer.radiographs import PixelSpacing, Radiograph
from vertebrometer.report import FilmReport
from vertebrometer.types import GrayImage, PointsRC

SEED: Final = 20_260_101


@dataclass(frozen=True, slots=True, eq=False)
class Perturbed:
    """The same film otherwise; `to_film` carries its points back to the film's own pixels."""

    name: str
    radiograph: Radiograph
    to_film: Affine


@dataclass(frozen=True, slots=True)
class BodyRepeat:
    """Values of one body under all perturbations, in percent."""

    body: int
    level: str | None
    plain: float
    values: tuple[tuple[str, float], ...]
    """Name of the perturbation and the value under it, where it was measured."""
    tried: int

    @property
    def sd_points(self) -> float | None:
        """Standard deviation over the perturbations, in percentage points."""
        found = [value for _, value in self.values]
        return float(np.std(found, ddof=1)) if len(found) > 1 else None


def perturbations(radiograph: Radiograph) -> Iterator[Perturbed]:
    """Yield the film otherwise: +-5 degrees, +-10 % scale, shift, noise, gamma, JPEG, 8 bit, mirror."""
    rng = np.random.default_rng(SEED)
    image = radiograph.image
    centre = (np.array(image.shape) - 1) / 2
    for turn in (-5.0, -2.5, 2.5, 5.0):
        yield _moved(radiograph, f"turned {turn:+.1f} deg", Affine.about(centre, centre, turn_deg=turn))
    for zoom in (0.9, 1.1):
        yield _scaled(radiograph, zoom)
    for down, right in ((7.3, -4.6), (-3.5, 9.5)):
        yield _moved(
            radiograph, f"shifted {down:+.1f}, {right:+.1f} px", Affine(np.eye(2), np.array([down, right]))
        )
    for sd in (0.01, 0.03):
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sd)
        yield _regreyed(radiograph, f"noise of SD {sd}", image + noise)
    for gamma in (0.7, 1.4):
        yield _regreyed(radiograph, f"gamma {gamma}", image**gamma)
    for quality in (90, 60):
        yield _regreyed(radiograph, f"JPEG {quality}", _jpeg(image, quality))
    yield _regreyed(radiograph, "8 bit", np.round(image * 255) / 255)
    width = image.shape[1]
    mirror = Affine(np.diag([1.0, -1.0]), np.array([0.0, width - 1.0]))
    yield Perturbed("mirrored", replace(radiograph, image=np.ascontiguousarray(image[:, ::-1])), mirror)


def _moved(radiograph: Radiograph, name: str, there: Affine) -> Perturbed:
    shape = radiograph.image.shape
    moved = cv2.warpAffine(
        radiograph.image,
        there.as_cv2(),
        (shape[1], shape[0]),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Perturbed(name, replace(radiograph, image=_grey(moved)), there.inverse())


def _scaled(radiograph: Radiograph, zoom: float) -> Perturbed:
    rows, cols = (round(n * zoom) for n in radiograph.image.shape)
    small = cv2.resize(
        radiograph.image, (cols, rows), interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    )
    scale = np.array([rows / radiograph.image.shape[0], cols / radiograph.image.shape[1]])
    spacing = radiograph.spacing
    new = (
        None
        if spacing is None
        else PixelSpacing(spacing.row_mm / scale[0], spacing.col_mm / scale[1], spacing.source)
    )
    there = Affine(np.diag(scale), 0.5 * scale - 0.5)
    return Perturbed(
        f"scaled by {zoom}", replace(radiograph, image=_grey(small), spacing=new), there.inverse()
    )


def _regreyed(radiograph: Radiograph, name: str, image: NDArray[Any]) -> Perturbed:
    return Perturbed(name, replace(radiograph, image=_grey(image)), Affine.identity())


def _jpeg(image: GrayImage, quality: int) -> GrayImage:
    code = cv2.imencode(".jpg", np.round(image * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / np.float32(255)


def _grey(image: NDArray[Any]) -> GrayImage:
    return np.ascontiguousarray(np.clip(image, 0, 1), dtype=np.float32)


def repeat(radiograph: Radiograph, measure: Callable[[Radiograph], FilmReport]) -> tuple[BodyRepeat, ...]:
    """Measure a film plainly and under all perturbations, and follow each body through them."""
    plain = measure(radiograph)
    bodies = [body for body in plain.vertebrae if body.percent is not None]
    found: dict[int, list[tuple[str, float]]] = {body.index: [] for body in bodies}
    tried = 0
    for other in perturbations(radiograph):
        tried += 1
        report = measure(other.radiograph)
        centres = [(other.to_film(body.corners_rc).mean(axis=0), body.percent) for body in report.vertebrae]
        for body in bodies:
            value = _followed(body.corners_rc, centres)
            if value is not None:
                found[body.index].append((other.name, value))
    return tuple(
        BodyRepeat(body.index, body.level, body.percent, tuple(found[body.index]), tried)
        for body in bodies
        if body.percent is not None
    )


def _followed(corners_rc: PointsRC, centres: list[tuple[PointsRC, float | None]]) -> float | None:
    """Value of the body whose centre lies nearest, if that is within a third of a body's depth."""
    if not centres:
        return None
    middle = corners_rc.mean(axis=0)
    depth = float(np.linalg.norm(corners_rc[1] - corners_rc[0]))
    away, value = min(((float(np.linalg.norm(c - middle)), v) for c, v in centres), key=lambda pair: pair[0])
    return value if away < depth / 3 else None
