"""Project a spine to a lateral film with exact truth.

The line integral of attenuation is summed slice by slice: a slice nearer to
the focus is magnified more, and tilting the person shifts it. Attenuation
follows Hounsfield units (0.0206 per mm in water); bone is raised further, as a
film is taken at lower energies than a CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, SixPoints
from vertebrometer.projection.bodies import BodySection
from vertebrometer.projection.clutter import clutter_of, smooth_noise
from vertebrometer.projection.deform import Deformation, deformation_of
from vertebrometer.projection.display import developed
from vertebrometer.projection.settings import ProjectionSettings
from vertebrometer.projection.spine import SpineVolume
from vertebrometer.radiographs import PixelSpacing, Radiograph, SpacingSource
from vertebrometer.types import FloatArray, GrayImage, PointsRC

WATER_PER_MM: Final = 0.0206
_WORK_MM: Final = 0.5
"""Pixel of the line integrals; the scan itself is no finer than 1 mm."""
_SLICE_MM: Final = 2.0
_MAP_MM: Final = 1.0
SIDE_MM: Final = 16.0
"""From the mid-sagittal plane to near the side of a lumbar body."""
_FARTHEST: Final = 1.5
"""Times `SIDE_MM` beyond which the sides are moved no farther."""
_GRAIN_MM: Final = 12.0
"""Over which the movement of the sides changes."""


@dataclass(frozen=True, slots=True, eq=False)
class FilmGeometry:
    """Where a point of the spine as shown lies on the film."""

    settings: ProjectionSettings
    middle_mm: float
    """Left-right place of the plane in which the pixel size holds."""

    def to_film(self, points_mm: PointsRC, slice_mm: float) -> PointsRC:
        """Carry points of one slice, shape (n, 2), to pixels of the film."""
        matrix, shift = self.affine(slice_mm)
        return points_mm @ matrix.T + shift

    def affine(self, slice_mm: float, *, pixel_mm: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Return matrix and shift that carry mm of one slice to pixels, (row, col)."""
        s = self.settings
        pixel = pixel_mm or s.pixel_mm
        depth = slice_mm - self.middle_mm
        magnified = s.source_mm / (s.source_mm - depth)
        tilt = np.tan(np.deg2rad([s.coronal_deg, s.axial_deg])) * depth
        angle = np.deg2rad(s.turn_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
            s.stretch_rc
        )
        centre, focus = np.array(s.centre_mm), np.array(s.focus_mm)
        # film = magnified * (turn (p - centre) + tilt - focus) + focus, in mm from the middle of the film
        matrix = magnified * turn
        shift = magnified * (tilt - turn @ centre - focus) + focus
        flip = np.diag([1.0, -1.0 if s.mirror else 1.0])
        size_mm = np.array(s.shape) * s.pixel_mm
        # Pixel n covers [n - 0.5, n + 0.5), whatever the size of a pixel.
        return flip @ matrix / pixel, flip @ shift / pixel + size_mm / 2 / pixel - 0.5


def project(spine: SpineVolume, settings: ProjectionSettings) -> tuple[Radiograph, FilmTruth]:
    """Make one film and its truth; the same arguments give the same film."""
    deformation = _deformation(spine, settings)
    geometry = FilmGeometry(settings, spine.middle_mm)
    bodies = tuple(deformation.body(body) for body in spine.bodies)
    integral, cover = _line_integral(spine, settings, deformation, geometry)
    work_rows, work_cols = integral.shape
    shown = [geometry.to_film(b.contour_mm, b.slice_mm) * (settings.pixel_mm / _WORK_MM) for b in bodies]
    rng = np.random.default_rng(settings.seed)
    full = _surrounded(integral, cover, rng)
    full += (
        settings.soft_mm
        * WATER_PER_MM
        * (1 + 0.04 * smooth_noise(rng, (work_rows, work_cols), 70 / _WORK_MM))
    )
    full += clutter_of(
        rng, shown, (work_rows, work_cols), _WORK_MM, settings.clutter, front_left=not settings.mirror
    )
    image = developed(np.maximum(full, 0), settings, rng, work_mm=_WORK_MM)
    return _radiograph(image, spine, settings), _truth(bodies, geometry, settings)


def _deformation(spine: SpineVolume, settings: ProjectionSettings) -> Deformation:
    count = len(spine.bodies)
    noise = None
    if settings.shape_noise_mm > 0:
        rng = np.random.default_rng([settings.seed, 1])
        coarse = rng.standard_normal((14, 10, 2)).astype(np.float32)
        noise = cv2.GaussianBlur(coarse, (0, 0), 0.6) * np.float32(settings.shape_noise_mm)
    return deformation_of(
        spine.bodies,
        settings.crushes,
        turns_deg=settings.turns_deg or (0.0,) * count,
        discs_mm=settings.discs_mm or (0.0,) * count,
        shape_mm=noise,
    )


def attenuation(
    hu: NDArray[np.int16], *, bone_lift: float, bone_gain: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return attenuation per mm of soft tissue and what bone adds to it."""
    value = np.clip(hu, -1000, 3000).astype(np.float32)
    soft = np.float32(WATER_PER_MM) * (np.minimum(value, 100) + 1000) / 1000
    over = np.maximum(value - 100, 0) / 1000
    lifted = np.maximum(value - 150, 0) / 1000
    bone = bone_gain * WATER_PER_MM * (over + bone_lift * lifted)
    return soft.astype(np.float32), bone.astype(np.float32)


def _line_integral(
    spine: SpineVolume, settings: ProjectionSettings, deformation: Deformation, geometry: FilmGeometry
) -> tuple[GrayImage, GrayImage]:
    """Return line integrals on a grid of `_WORK_MM`, and how far each of them is known (0 to 1)."""
    rows, cols = (max(8, round(n * settings.pixel_mm / _WORK_MM)) for n in settings.shape)
    source, denser, corner = _source_map(spine, deformation, geometry, (rows, cols))
    hu, places_mm, thick_mm = _slices(spine)
    soft, bone = attenuation(hu, bone_lift=settings.bone_lift, bone_gain=settings.bone_gain)
    changed = bool((np.abs(denser - 1) > 1e-3).any())
    total = np.zeros((rows, cols), dtype=np.float32)
    sides = _Sides.of(spine, settings, source)
    for number, place in enumerate(places_mm):
        own = source if sides is None else source + sides.shift(place)
        fields = np.dstack([own, denser]) if changed else own
        at = _warped(fields, geometry, place, corner, (rows, cols))
        if changed:
            total += _sampled(soft[..., number], at) + _sampled(bone[..., number], at) * at[..., 2]
        else:
            total += _sampled(soft[..., number] + bone[..., number], at)
    cover = _cover(spine, _warped(source, geometry, spine.middle_mm, corner, (rows, cols)))
    return total * np.float32(thick_mm), cover


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Moves what lies beside the mid-sagittal plane, so that one spine stands for many.

    Truth lies in the mid-sagittal section, while a film shows the rims of both sides as well. How these lie
    to it differs from person to person; a network that sees few persons learns it for each of them.
    """

    both: NDArray[np.float32]
    """Movement that both sides share, in voxels at `SIDE_MM`, on the grid of the spine as shown."""
    against: NDArray[np.float32]
    """Movement that is opposite on the other side."""
    middle_mm: NDArray[np.float32]
    """Left-right place of the mid-sagittal section."""

    @classmethod
    def of(
        cls, spine: SpineVolume, settings: ProjectionSettings, source: NDArray[np.float32]
    ) -> _Sides | None:
        """Draw a movement; none where none is asked for."""
        if settings.sides_mm <= 0:
            return None
        rng = np.random.default_rng([settings.seed, 2])
        shape = source.shape[:2]
        voxels = settings.sides_mm / np.array(spine.spacing_mm[:2])
        both, against = (
            np.stack([smooth_noise(rng, shape, _GRAIN_MM / _MAP_MM) for _ in range(2)], axis=-1) * voxels
            for _ in range(2)
        )
        # A spine that bends sideways has its bodies' middles in several planes.
        rows = [body.points.centre_rc[0] for body in spine.bodies]
        middle = np.interp(
            source[..., 0] * spine.spacing_mm[0], rows, [body.slice_mm for body in spine.bodies]
        )
        return cls(*(each.astype(np.float32) for each in (both, against, middle)))

    def shift(self, place_mm: float) -> NDArray[np.float32]:
        """Movement in one slice: nothing in the middle, and little near it."""
        aside = np.clip((place_mm - self.middle_mm) / SIDE_MM, -_FARTHEST, _FARTHEST)[..., None]
        return np.asarray(aside**2 * self.both + aside * np.abs(aside) * self.against, dtype=np.float32)


def _slices(spine: SpineVolume) -> tuple[NDArray[np.int16], FloatArray, float]:
    """Return slices about `_SLICE_MM` thick, their places and thickness; thin ones are averaged."""
    step = spine.spacing_mm[2]
    join = max(1, round(_SLICE_MM / step))
    count = spine.hu.shape[2] // join
    start = (spine.hu.shape[2] - count * join) // 2
    kept = spine.hu[..., start : start + count * join]
    if join > 1:
        kept = kept.reshape(*kept.shape[:2], count, join).mean(axis=3).astype(np.int16)
    places = (start + (np.arange(count) + 0.5) * join - 0.5) * step
    return kept, places, step * join


def _source_map(
    spine: SpineVolume, deformation: Deformation, geometry: FilmGeometry, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], PointsRC]:
    """Return, on a grid of the spine as shown, the voxel of the scan that lies there and its density."""
    matrix, shift = geometry.affine(spine.middle_mm, pixel_mm=_WORK_MM)
    edges = np.array([[0, 0], [0, shape[1]], [shape[0], 0], [shape[0], shape[1]]], dtype=float)
    seen = (edges - shift) @ np.linalg.inv(matrix).T
    corner = np.floor(seen.min(axis=0)) - 15
    rows, cols = (int(n) for n in np.ceil((seen.max(axis=0) + 15 - corner) / _MAP_MM))
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1).reshape(-1, 2)
    back, denser = deformation.backward(grid * _MAP_MM + corner)
    index = back / np.array(spine.spacing_mm[:2])
    return (
        index.reshape(rows, cols, 2).astype(np.float32),
        np.clip(denser, 0.7, 3.0).reshape(rows, cols).astype(np.float32),
        corner,
    )


def _warped(
    fields: NDArray[np.float32],
    geometry: FilmGeometry,
    place_mm: float,
    corner: PointsRC,
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Look fields on the grid of the spine up along the rays through one slice."""
    matrix, shift = geometry.affine(place_mm, pixel_mm=_WORK_MM)
    back = np.linalg.inv(matrix)
    # cv2 speaks (x, y) = (col, row)
    inverse = np.zeros((2, 3))
    inverse[:, :2] = back[::-1, ::-1] / _MAP_MM
    inverse[:, 2] = ((-back @ shift - corner) / _MAP_MM)[::-1]
    looked_up = cv2.warpAffine(
        fields,
        inverse,
        shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(looked_up, dtype=np.float32)


def _sampled(layer: NDArray[np.float32], at: NDArray[np.float32]) -> NDArray[np.float32]:
    sampled = cv2.remap(
        np.ascontiguousarray(layer),
        at[..., 1],
        at[..., 0],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(sampled, dtype=np.float32)


def _cover(spine: SpineVolume, source: NDArray[np.float32]) -> GrayImage:
    """Tell where the scan knows what is there: 1 inside, fading over a few mm beyond its edges."""
    rows_mm, cols_mm = source[..., 0] * spine.spacing_mm[0], source[..., 1] * spine.spacing_mm[1]
    high, wide = spine.size_mm
    beyond = np.maximum.reduce([-rows_mm - 1, rows_mm - high + 1, -cols_mm - 1, cols_mm - wide + 1])
    if spine.scanned:
        # A vertebra above the named ones would be on the film but not in the truth.
        first = spine.bodies[0]
        front, back = first.points.point("superior_anterior"), first.points.point("superior_posterior")
        slope = np.clip((back[0] - front[0]) / max(back[1] - front[1], 1.0), -0.7, 0.7)
        above = front[0] + slope * (cols_mm - front[1]) - 4.0 - rows_mm
        beyond = np.maximum(beyond, above)
    fade: GrayImage = np.clip(1 - beyond / 7.0, 0, 1).astype(np.float32)
    return fade * fade * (3 - 2 * fade)


def _surrounded(integral: GrayImage, cover: GrayImage, rng: np.random.Generator) -> GrayImage:
    """Carry the film on beyond the scan: what is far takes the mean of an ever wider neighbourhood."""
    rows, cols = integral.shape
    small = (max(4, cols // 6), max(4, rows // 6))
    weight = cv2.resize(cover, small, interpolation=cv2.INTER_AREA)
    value = cv2.resize(integral * cover, small, interpolation=cv2.INTER_AREA)
    guess = np.full(small[::-1], float(value.sum() / max(weight.sum(), 1e-6)), dtype=np.float32)
    for sigma_mm in (80, 40, 20, 10):
        sigma = sigma_mm / _WORK_MM / 6
        near = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        mean = cv2.GaussianBlur(value, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) / np.maximum(near, 1e-4)
        trust = np.clip(near / 0.15, 0, 1)
        guess = trust * mean + (1 - trust) * guess
    around = np.asarray(cv2.resize(guess, (cols, rows), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    level = float(np.median(guess))
    for grain_mm, part in ((40, 0.025), (10, 0.01), (2, 0.006)):
        around += np.float32(part * level) * smooth_noise(rng, (rows, cols), grain_mm / _WORK_MM)
    return cover * integral + (1 - cover) * around


def _radiograph(image: GrayImage, spine: SpineVolume, settings: ProjectionSettings) -> Radiograph:
    detector_mm = settings.pixel_mm * (settings.source_mm + settings.detector_mm) / settings.source_mm
    spacing = PixelSpacing(detector_mm, detector_mm, SpacingSource.DETECTOR)
    facts = {"made": "projected from CT" if spine.scanned else "projected from a mask with assumed density"}
    return Radiograph(image=image, spacing=spacing, name=f"{spine.name}-{settings.seed}", facts=facts)


def _truth(
    bodies: tuple[BodySection, ...], geometry: FilmGeometry, settings: ProjectionSettings
) -> FilmTruth:
    kinds = {crush.level: crush.kind for crush in settings.crushes}
    found = []
    for body in bodies:
        contour = geometry.to_film(body.contour_mm, body.slice_mm)
        inside = (contour >= -0.5) & (contour <= np.array(settings.shape) - 0.5)
        seen = inside.all(axis=1)
        if not seen.any():
            continue
        found.append(
            BodyTruth(
                level=body.level,
                points=SixPoints(geometry.to_film(body.points.points_rc, body.slice_mm)),
                contour_rc=contour,
                whole=bool(seen.all()) and body.whole,
                fracture=kinds.get(body.level, "none"),
            )
        )
    facing = Facing.RIGHT if settings.mirror else Facing.LEFT
    return FilmTruth(file="", shape=settings.shape, bodies=tuple(found), facing=facing)
