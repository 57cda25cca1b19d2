"""A spine ready to be projected: densities, labels and the truth of every body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vertebrometer.anatomy import LEVELS, SixPoints
from vertebrometer.errors import UnreadableFileError
from vertebrometer.projection.bodies import BodySection, sections_of, with_arches
from vertebrometer.projection.density import BoneDensity, assumed_ct
from vertebrometer.projection.surfaces import Surface, filled
from vertebrometer.projection.volumes import CodeVolume, HounsfieldVolume, SpacingMM, SpinePaths, read_volume
from vertebrometer.types import FloatArray

_FORM = 9
"""Raised when what a cached file holds changes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpineVolume:
    """One spine; axes are (superior to inferior, anterior to posterior, left to right)."""

    name: str
    hu: HounsfieldVolume
    codes: CodeVolume
    """Index of the level in `LEVELS` plus one in bodies; 100 more in arches."""
    spacing_mm: SpacingMM
    bodies: tuple[BodySection, ...]
    """From the top; S1 is not among them."""
    scanned: bool = True
    """False where the density of bone was assumed."""

    @property
    def middle_mm(self) -> float:
        """Mean left-right place of the mid-sagittal sections."""
        return float(np.mean([body.slice_mm for body in self.bodies]))

    @property
    def size_mm(self) -> tuple[float, float]:
        """Size along rows and columns."""
        return (self.hu.shape[0] * self.spacing_mm[0], self.hu.shape[1] * self.spacing_mm[1])


def load_spine(
    ct: Path | None,
    mask: Path,
    *,
    name: str | None = None,
    codes: str = "verse",
    bodies: Path | None = None,
    density: BoneDensity | None = None,
    cache: Path | None = None,
) -> SpineVolume:
    """Load one spine from its CT and the mask of its whole vertebrae.

    Parameters
    ----------
    ct
        NIfTI volume in Hounsfield units; None gives bone the assumed `density`.
    mask
        NIfTI volume on the same grid, one code for each vertebra.
    codes
        ``verse`` or ``total``: what the codes mean.
    bodies
        Mask that is 1 in vertebral bodies, where there is one.
    cache
        Folder in which the outcome is kept and from which it is taken again.

    Raises
    ------
    UnreadableFileError
        A file cannot be read, or the mask holds no vertebral body.
    """
    paths = SpinePaths(name or mask.name.split("_")[0], mask, ct=ct, bodies=bodies, codes=codes)
    return load_paths(paths, density=density, cache=cache)


def load_paths(
    paths: SpinePaths, *, density: BoneDensity | None = None, cache: Path | None = None
) -> SpineVolume:
    """Load one spine that `spines_in` has found."""
    density = density or BoneDensity()
    kept = None if cache is None else cache / f"{paths.name}-{_key(paths, density)}.npz"
    if kept is not None and kept.exists():
        return _from_cache(kept)
    volume = read_volume(paths)
    sections = sections_of(volume.codes, volume.spacing_mm, volume.bodies)
    if not sections:
        msg = f"{paths.mask.name} holds no thoracic or lumbar body in its mid-sagittal section"
        raise UnreadableFileError(msg)
    spine = _finished(
        paths.name, volume.hu, volume.codes, volume.spacing_mm, sections, scanned=paths.ct is not None
    )
    if paths.ct is None:
        spine = _with_assumed_density(spine, density)
    if kept is not None:
        _to_cache(spine, kept)
    return spine


def spine_of_surfaces(
    name: str,
    surfaces: Mapping[str, Surface],
    *,
    density: BoneDensity | None = None,
    axes: str = "ALS",
) -> SpineVolume:
    """Make a spine of surfaces that lie in one frame, such as one closed mesh for each vertebra.

    Parameters
    ----------
    surfaces
        Level to vertices in mm, shape (n, 3), and triangles, shape (m, 3).
    axes
        Where the three coordinates of a vertex point to: a letter each of A or P,
        L or R, S or I.
    """
    spacing = (1.0, 1.0, 1.0)
    turned = {level: (_in_room_axes(points, axes), faces) for level, (points, faces) in surfaces.items()}
    every = np.vstack([points[np.unique(faces)] for points, faces in turned.values()])
    corner = every.min(axis=0) - np.array([12.0, 12.0, 6.0])
    shape = tuple(int(n) for n in np.ceil(every.max(axis=0) + np.array([12.0, 12.0, 6.0]) - corner))
    codes = np.zeros(shape, dtype=np.uint8)
    for level, (points, faces) in turned.items():
        inside = filled(points - corner, faces, (shape[0], shape[1], shape[2]))
        codes[inside & (codes == 0)] = LEVELS.index(level) + 1
    sections = sections_of(codes, spacing)
    if not sections:
        msg = f"the surfaces of {name} enclose no vertebral body; are they in mm and closed?"
        raise UnreadableFileError(msg)
    empty = np.zeros(shape, dtype=np.int16)
    spine = _finished(name, empty, codes, spacing, sections, scanned=False)
    return _with_assumed_density(spine, density or BoneDensity())


def _finished(
    name: str,
    hu: HounsfieldVolume,
    codes: CodeVolume,
    spacing_mm: SpacingMM,
    sections: tuple[BodySection, ...],
    *,
    scanned: bool,
) -> SpineVolume:
    labels = with_arches(codes, sections, spacing_mm)
    return SpineVolume(
        name=name, hu=hu, codes=labels, spacing_mm=spacing_mm, bodies=sections, scanned=scanned
    )


def _with_assumed_density(spine: SpineVolume, density: BoneDensity) -> SpineVolume:
    seed = int.from_bytes(hashlib.sha256(spine.name.encode()).digest()[:4], "big")
    hu = assumed_ct(spine.codes, spine.spacing_mm, density, np.random.default_rng(seed))
    return replace(spine, hu=hu, scanned=False)


def _in_room_axes(points: FloatArray, axes: str) -> FloatArray:
    columns = []
    for wanted, opposite in (("I", "S"), ("P", "A"), ("R", "L")):
        place = next((k for k, letter in enumerate(axes) if letter in (wanted, opposite)), None)
        if place is None:
            msg = f"axes are a letter each of A or P, L or R, S or I, got {axes!r}"
            raise ValueError(msg)
        columns.append(points[:, place] * (1 if axes[place] == wanted else -1))
    return np.stack(columns, axis=1)


def _key(paths: SpinePaths, density: BoneDensity) -> str:
    parts = [str(_FORM), paths.codes, repr(density) if paths.ct is None else ""]
    for path in (paths.mask, paths.ct, paths.bodies):
        if path is not None and path.exists():
            parts += [path.name, str(path.stat().st_size)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def _to_cache(spine: SpineVolume, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        name=spine.name,
        hu=spine.hu,
        codes=spine.codes,
        spacing_mm=spine.spacing_mm,
        scanned=spine.scanned,
        levels=[body.level for body in spine.bodies],
        points=np.array([body.points.points_rc for body in spine.bodies]),
        contours=np.array([body.contour_mm for body in spine.bodies]),
        slices_mm=[body.slice_mm for body in spine.bodies],
        whole=[body.whole for body in spine.bodies],
    )
    # A run that is stopped here leaves no half-written volume behind.
    part.replace(path)


def _from_cache(path: Path) -> SpineVolume:
    with np.load(path) as kept:
        truth = zip(
            kept["levels"], kept["points"], kept["contours"], kept["slices_mm"], kept["whole"], strict=True
        )
        bodies = tuple(
            BodySection(
                level=str(level),
                points=SixPoints(points),
                contour_mm=contour,
                slice_mm=float(slice_mm),
                whole=bool(whole),
            )
            for level, points, contour, slice_mm, whole in truth
        )
        rows_mm, cols_mm, slices_mm = (float(size) for size in kept["spacing_mm"])
        return SpineVolume(
            name=str(kept["name"]),
            hu=kept["hu"],
            codes=kept["codes"],
            spacing_mm=(rows_mm, cols_mm, slices_mm),
            bodies=bodies,
            scanned=bool(kept["scanned"]),
        )
