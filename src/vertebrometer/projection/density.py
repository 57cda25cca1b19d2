"""Give bone of assumed density to spines that are known by their masks or surfaces only.

A shell of compact bone, trabecular bone with a texture inside, soft tissue and
discs around: then the spine is treated like a CT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vertebrometer.projection.bodies import ARCH
from vertebrometer.projection.volumes import CodeVolume, HounsfieldVolume, SpacingMM
from vertebrometer.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneDensity:
    """Assumed Hounsfield units; the defaults are those of a person of sixty."""

    cortical_hu: float = 750.0
    trabecular_hu: float = 190.0
    arch_hu: float = 330.0
    """Inside of arches, whose walls make up more of them."""
    texture_hu: float = 90.0
    soft_hu: float = 45.0
    wall_mm: float = 0.35
    """Thickness of the walls of a body."""
    endplate_mm: float = 0.8
    arch_mm: float = 1.2


def assumed_ct(
    codes: CodeVolume, spacing_mm: SpacingMM, density: BoneDensity, rng: np.random.Generator
) -> HounsfieldVolume:
    """Return Hounsfield units for a mask of bodies and arches (codes above `ARCH`)."""
    hu = np.full(codes.shape, density.soft_hu, dtype=np.float32)
    hu += _texture(rng, codes.shape, 12.0, spacing_mm) * 20 + _texture(rng, codes.shape, 3.0, spacing_mm) * 15
    trabeculae = density.trabecular_hu + density.texture_hu * (
        0.6 * _texture(rng, codes.shape, 1.0, spacing_mm) + 0.6 * _texture(rng, codes.shape, 3.0, spacing_mm)
    )
    for code in np.unique(codes[(codes > 0) & (codes < ARCH)]):
        whole = ((codes == code) | (codes == code + ARCH)).astype(np.int8)
        box = tuple(slice(max(s.start - 5, 0), s.stop + 5) for s in ndimage.find_objects(whole)[0])
        depth, inside = _depth_mm(whole[box] > 0, spacing_mm)
        arch = codes[box] == code + ARCH
        upright = _upright(depth, spacing_mm)
        shell_mm = density.wall_mm + upright * (density.endplate_mm - density.wall_mm)
        shell_mm = np.where(arch, density.arch_mm, shell_mm)
        # A shell thinner than a voxel lends it its share only.
        compact = np.clip((shell_mm - depth) / spacing_mm[0] + 0.5, 0, 1)
        spongy = trabeculae[box] + np.where(arch, density.arch_hu - density.trabecular_hu, 0)
        bone = spongy + compact * (density.cortical_hu - spongy)
        hu[box] += inside * (bone - hu[box])
    return np.clip(hu, -1000, 3000).astype(np.int16)


def _upright(depth: FloatArray, spacing_mm: SpacingMM) -> FloatArray:
    """Tell how far the nearest surface faces up or down: 1 for an endplate, 0 for a wall."""
    slopes = [np.gradient(depth, step, axis=axis) for axis, step in enumerate(spacing_mm)]
    steep = np.abs(slopes[0]) / np.maximum(np.sqrt(sum(slope**2 for slope in slopes)), 1e-3)
    upright: FloatArray = np.clip((steep - 0.4) / 0.4, 0, 1)
    return upright


def _depth_mm(mask: NDArray[np.bool_], spacing_mm: SpacingMM) -> tuple[FloatArray, FloatArray]:
    """Return the depth below the surface, smoothed over the stairs of the voxels, and the share of bone."""
    inner = ndimage.distance_transform_edt(mask, spacing_mm)
    outer = ndimage.distance_transform_edt(~mask, spacing_mm)
    half = spacing_mm[0] / 2
    signed = np.where(mask, inner - half, half - outer)
    smooth = ndimage.gaussian_filter(signed, [0.8 / s for s in spacing_mm])
    return smooth, np.clip(smooth / spacing_mm[0] + 0.5, 0, 1)


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], grain_mm: float, spacing_mm: SpacingMM
) -> NDArray[np.float32]:
    """Return noise of one grain size, mean 0 and deviation 1."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    soft = ndimage.gaussian_filter(noise, [grain_mm / s / 2 for s in spacing_mm])
    out: NDArray[np.float32] = (soft - soft.mean()) / max(float(soft.std()), 1e-6)
    return out
