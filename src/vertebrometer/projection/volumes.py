"""Read CT and vertebra masks as VerSe lays them out, and turn them into one set of axes.

All volumes of this room have axes (row, col, slice): rows go from superior to
inferior, columns from anterior to posterior, slices from the left of the
patient to the right. A position in mm is an index times the spacing.

Volumes may be resampled on reading, so that rows and columns are 1 mm apart;
the left-right axis, along which a lateral projection sums, is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vertebrometer.anatomy import LEVELS
from vertebrometer.errors import MissingExtraError, UnreadableFileError

HounsfieldVolume: TypeAlias = NDArray[np.int16]
"""Shape (rows, cols, slices) in Hounsfield units."""

CodeVolume: TypeAlias = NDArray[np.uint8]
"""Shape (rows, cols, slices); 0 is background, other codes name a vertebra."""

SpacingMM: TypeAlias = tuple[float, float, float]

AIR_HU: Final = -1000

VERSE_CODES: Final[dict[int, str]] = {
    **{n: f"C{n}" for n in range(1, 8)},
    **{n + 7: f"T{n}" for n in range(1, 13)},
    **{n + 19: f"L{n}" for n in range(1, 7)},
    28: "T13",
}
"""What the VerSe challenge writes into a mask of whole vertebrae."""

TOTAL_CODES: Final[dict[int, str]] = {
    26: "S1",
    **{32 - n: f"L{n}" for n in range(1, 6)},
    **{44 - n: f"T{n}" for n in range(1, 13)},
    **{51 - n: f"C{n}" for n in range(1, 8)},
}
"""What TotalSegmentator writes; it counts upwards from the sacrum."""

_CT: Final = "_ct.nii.gz"
_MASKS: Final = {"_seg-vert_msk.nii.gz": "verse", "_levels.nii.gz": "total"}


@dataclass(frozen=True, slots=True)
class SpinePaths:
    """Where one spine is kept; without a CT its bone is given an assumed density."""

    name: str
    mask: Path
    ct: Path | None = None
    bodies: Path | None = None
    """Mask that is 1 in vertebral bodies only, where there is one."""
    codes: str = "verse"
    """verse or total: what the numbers of the mask mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A CT and its vertebra mask in the axes of this room."""

    hu: HounsfieldVolume
    codes: CodeVolume
    """Index of the level in `vertebrometer.anatomy.LEVELS` plus one."""
    spacing_mm: SpacingMM
    bodies: NDArray[np.bool_] | None = None


def spines_in(folder: Path) -> list[SpinePaths]:
    """Find every vertebra mask under `folder` and the CT that goes with it, in the order of their names.

    Both ways in which VerSe was published are understood: all files of a subject
    in one folder, or CT under ``rawdata`` and masks under ``derivatives``.
    """
    scans = {path.name.removesuffix(_CT): path for path in sorted(folder.rglob(f"*{_CT}"))}
    found = []
    for suffix, codes in _MASKS.items():
        for mask in sorted(folder.rglob(f"*{suffix}")):
            name = mask.name.removesuffix(suffix)
            bodies = mask.with_name(f"{name}_bodies.nii.gz")
            known = bodies if bodies.exists() else None
            found.append(SpinePaths(name, mask, ct=scans.get(name), bodies=known, codes=codes))
    return sorted(found, key=lambda paths: paths.name)


def read_volume(paths: SpinePaths, *, plane_mm: float = 1.0) -> Volume:
    """Read a mask and, where there is one, its CT; rows and columns `plane_mm` apart.

    Without a CT, `Volume.hu` is soft tissue throughout.
    """
    raw, spacing_mm = _read(paths.mask)
    codes = _level_codes(raw, paths)
    bodies = None if paths.bodies is None else _read(paths.bodies)[0] == 1
    zoom = (spacing_mm[0] / plane_mm, spacing_mm[1] / plane_mm, 1.0)
    if paths.ct is None:
        hu = np.full(codes.shape, 40, dtype=np.int16)
    else:
        hu = _without_padding(np.clip(_read(paths.ct)[0], AIR_HU, 3000).astype(np.int16))
    if hu.shape != codes.shape or (bodies is not None and bodies.shape != codes.shape):
        msg = (
            f"{paths.mask.name} has shape {codes.shape}, its CT {hu.shape}: "
            "they must be on one grid; resample the mask"
        )
        raise UnreadableFileError(msg)
    if max(abs(zoom[0] - 1), abs(zoom[1] - 1)) < 0.02:
        return Volume(hu, codes, spacing_mm, bodies)
    return _resampled(Volume(hu, codes, spacing_mm, bodies), zoom)


def _without_padding(hu: HounsfieldVolume) -> HounsfieldVolume:
    """Fill padding, the air around the body and cut-off tips of lung with soft tissue; whole lungs stay."""
    # A turned crop is padded with air, whose straight edges are on no film; and a
    # corner of lung would end at the edge of the scan as no lung does.
    tip = _from_border(hu < -500)
    outer = tip if tip.mean() < 0.1 else _from_border(hu < -900)
    outer = ndimage.binary_dilation(outer, iterations=2) & (hu < 0)
    tissue = hu[(hu > -200) & (hu < 200)]
    filling = np.int16(np.median(tissue) if tissue.size else 0)
    return np.where(outer, filling, hu)


def _from_border(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    numbers, _ = ndimage.label(air)
    border = [numbers.take(end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    outer: NDArray[np.bool_] = np.isin(numbers, np.setdiff1d(np.concatenate(border), [0]))
    return outer


def _resampled(volume: Volume, zoom: tuple[float, float, float]) -> Volume:
    finer = ndimage.zoom(volume.hu.astype(np.float32), zoom, order=3, mode="nearest", grid_mode=True)
    codes = np.zeros(finer.shape, dtype=np.uint8)
    best = np.full(finer.shape, 0.5, dtype=np.float32)
    for code in np.unique(volume.codes[volume.codes > 0]):
        # Smoothed before the threshold: a stair of 3 mm voxels is no endplate.
        share = _zoomed_share(volume.codes == code, zoom)
        won = share > best
        codes[won], best[won] = code, share[won]
    bodies = None if volume.bodies is None else _zoomed_share(volume.bodies, zoom) > 0.5
    rows_mm, cols_mm, slices_mm = volume.spacing_mm
    return Volume(
        np.clip(finer, AIR_HU, 3000).astype(np.int16),
        codes,
        (rows_mm / zoom[0], cols_mm / zoom[1], slices_mm),
        bodies,
    )


def _zoomed_share(mask: NDArray[np.bool_], zoom: tuple[float, float, float]) -> NDArray[np.float32]:
    soft = ndimage.gaussian_filter(mask.astype(np.float32), (0.5, 0.5, 0.0))
    share: NDArray[np.float32] = ndimage.zoom(soft, zoom, order=1, mode="nearest", grid_mode=True)
    return share


def _level_codes(raw: NDArray[Any], paths: SpinePaths) -> CodeVolume:
    names = VERSE_CODES if paths.codes == "verse" else TOTAL_CODES
    table = np.zeros(256, dtype=np.uint8)
    for number, level in names.items():
        table[number] = LEVELS.index(level) + 1
    codes: CodeVolume = table[np.clip(np.rint(raw), 0, 255).astype(np.uint8)]
    if not codes.any():
        msg = f"{paths.mask.name} names no vertebra; wanted codes such as {dict(list(names.items())[:3])}"
        raise UnreadableFileError(msg)
    return codes


def _read(path: Path) -> tuple[NDArray[Any], SpacingMM]:
    """Return the voxels in this room's axes and their spacing."""
    nibabel = _nibabel()
    try:
        image = nibabel.load(path)
        turned = image.as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.orientations.io_orientation(image.affine),
                nibabel.orientations.axcodes2ornt(("I", "P", "R")),
            )
        )
        voxels = np.asanyarray(turned.dataobj)
    except FileNotFoundError:
        msg = f"no file {path.name} in its folder"
        raise UnreadableFileError(msg) from None
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        msg = f"{path.name} is no NIfTI volume that can be read: {error}"
        raise UnreadableFileError(msg) from error
    if voxels.ndim != 3:
        msg = f"{path.name} has {voxels.ndim} axes; one volume with three is wanted"
        raise UnreadableFileError(msg)
    rows_mm, cols_mm, slices_mm = (float(size) for size in turned.header.get_zooms()[:3])
    return voxels, (rows_mm, cols_mm, slices_mm)


def _nibabel() -> ModuleType:
    try:
        return import_module("nibabel")
    except ModuleNotFoundError as error:
        msg = "reading CT needs nibabel: pip install 'vertebrometer[train]'"
        raise MissingExtraError(msg) from error
