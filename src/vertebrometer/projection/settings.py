"""Everything that decides how a projected film looks, as plain numbers, and one way to draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vertebrometer.projection.bodies import BodySection
from vertebrometer.projection.deform import Crush
from vertebrometer.projection.spine import SpineVolume
from vertebrometer.types import FloatArray

PROJECTION_EDITION: Final = 2
"""Grows whenever the same seed gives another film or truth than before, so that kept films are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionSettings:
    """One film; the same settings and the same spine give the same film, always."""

    shape: tuple[int, int]
    """Rows and columns of the film."""
    pixel_mm: float
    """Size of a pixel in the mid-sagittal plane of the spine."""
    centre_mm: tuple[float, float]
    """What lies in the middle of the film, (row, col) in mm of the undeformed spine."""
    seed: int = 0
    """Of the noise and of all fields that only decorate."""
    mirror: bool = False
    """False: the front of the spine is on the left."""
    turn_deg: float = 0.0
    stretch_rc: tuple[float, float] = (1.0, 1.0)
    """Size of the person against the scan, along rows and columns."""
    axial_deg: float = 0.0
    coronal_deg: float = 0.0
    source_mm: float = 1100.0
    """From the focus to the mid-sagittal plane."""
    detector_mm: float = 250.0
    """From the mid-sagittal plane to the detector."""
    focus_mm: tuple[float, float] = (0.0, 0.0)
    """Where the central ray passes, against the middle of the film."""
    crushes: tuple[Crush, ...] = ()
    turns_deg: tuple[float, ...] = ()
    """How far each body leans forward against the one below it; empty means not at all."""
    discs_mm: tuple[float, ...] = ()
    shape_noise_mm: float = 0.0
    sides_mm: float = 0.0
    """How far, as an SD, what lies `SIDE_MM` beside the mid-sagittal plane is moved against it."""
    bone_gain: float = 1.0
    """Bone against the scan: below one for osteoporosis."""
    bone_lift: float = 0.9
    soft_mm: float = 150.0
    """Soft tissue that the scan lacks on both sides."""
    clutter: float = 1.0
    """Ribs, bowel gas, pelvis and folds: 0 is none."""
    scatter: float = 0.45
    """Part of what reaches the detector that was scattered on its way."""
    photons: float = 2500.0
    """That reach a square of 0.3 mm behind the spine; low is noisy."""
    blur_mm: float = 0.25
    flatten: float = 0.72
    """Part of the blurred film that is subtracted, as X-ray processing does."""
    flatten_mm: float = 22.0
    sharpen: float = 0.5
    window_percent: tuple[float, float] = (0.5, 99.7)
    gamma: float = 1.0


def draw_projection(
    rng: np.random.Generator, spine: SpineVolume, *, crush_rate: float = 0.3, facing_left: float = 0.5
) -> ProjectionSettings:
    """Draw one film of a spine.

    Parameters
    ----------
    crush_rate
        Chance of each whole body to be crushed.
    facing_left
        Chance that the front of the spine is on the left.
    """
    pixel_mm = float(rng.uniform(0.22, 0.38))
    rows_mm, cols_mm, centre = _frame_mm(rng, spine)
    return ProjectionSettings(
        shape=(round(rows_mm / pixel_mm), round(cols_mm / pixel_mm)),
        pixel_mm=pixel_mm,
        centre_mm=centre,
        seed=int(rng.integers(2**31)),
        mirror=bool(rng.random() >= facing_left),
        turn_deg=float(rng.normal(0, 4)),
        stretch_rc=_pair(rng.uniform(0.93, 1.07) * rng.uniform(0.94, 1.06, size=2)),
        axial_deg=float(np.clip(rng.normal(0, 2), -5, 5)),
        coronal_deg=float(np.clip(rng.normal(0, 1.5), -5, 5)),
        source_mm=float(rng.uniform(750, 1600)),
        detector_mm=float(rng.uniform(150, 350)),
        focus_mm=_pair(rng.normal(0, 30, size=2)),
        crushes=_crushes(rng, spine, crush_rate),
        turns_deg=tuple(float(t) for t in rng.normal(0, 2.0, size=len(spine.bodies)).clip(-5, 5)),
        discs_mm=tuple(float(t) for t in rng.normal(0, 0.9, size=len(spine.bodies)).clip(-1.5, 3)),
        shape_noise_mm=float(rng.uniform(0, 0.9)),
        bone_gain=float(rng.uniform(0.45, 1.2)),
        bone_lift=float(rng.uniform(0.6, 1.2)),
        soft_mm=float(rng.uniform(80, 240)),
        clutter=float(rng.uniform(0, 1.4)),
        scatter=float(rng.uniform(0.2, 0.65)),
        photons=float(np.exp(rng.uniform(np.log(400), np.log(9000)))),
        blur_mm=float(rng.uniform(0.12, 0.4)),
        flatten=float(rng.uniform(0.5, 0.85)),
        flatten_mm=float(rng.uniform(18, 30)),
        sharpen=float(rng.uniform(0, 1.2)),
        window_percent=(float(rng.uniform(0, 2)), float(rng.uniform(99, 99.95))),
        gamma=float(np.exp(rng.normal(0, 0.18))),
    )


def _frame_mm(rng: np.random.Generator, spine: SpineVolume) -> tuple[float, float, tuple[float, float]]:
    """Draw how much of the spine is in the field, and how much else beside it."""
    lines = [body.contour_mm for body in spine.bodies]
    top, bottom = lines[0][:, 0].min(), lines[-1][:, 0].max()
    if len(lines) > 6 and rng.random() < 0.6:
        first = int(rng.integers(0, len(lines) - 4))
        last = min(len(lines) - 1, first + int(rng.integers(4, 10)))
        top, bottom = lines[first][:, 0].min(), lines[last][:, 0].max()
    else:
        first, last = 0, len(lines) - 1
    cols = np.concatenate(lines[first : last + 1])[:, 1]
    above, below = rng.uniform(-6, 22), rng.uniform(-4, 32)
    front, back = rng.uniform(15, 75), rng.uniform(30, 75)
    rows_mm = bottom - top + above + below
    cols_mm = float(np.ptp(cols)) + front + back
    centre = ((top - above + bottom + below) / 2, (cols.min() - front + cols.max() + back) / 2)
    return float(rows_mm), cols_mm, (float(centre[0]), float(centre[1]))


def _crushes(rng: np.random.Generator, spine: SpineVolume, rate: float) -> tuple[Crush, ...]:
    # A third of the films shows no fracture, so that one film does not always show all.
    if rng.random() < 0.33:
        return ()
    hit = [body for body in spine.bodies if body.whole and rng.random() < rate]
    return tuple(draw_crush(rng, body) for body in hit)


def draw_crush(rng: np.random.Generator, body: BodySection) -> Crush:
    """Draw how one body is crushed; losses from 8 to 60 %."""
    kind = str(rng.choice(["wedge", "biconcave", "crush"], p=[0.5, 0.25, 0.25]))
    loss = float(rng.uniform(0.08, 0.6))
    if kind == "wedge":
        posterior = float(rng.choice([0.0, rng.uniform(0, 0.4)])) * loss
        anterior, middle = loss, float(rng.uniform(0.5, 1.0)) * loss
    elif kind == "biconcave":
        anterior, posterior = (float(rng.uniform(0, 0.35)) * loss for _ in range(2))
        middle = min(loss, 0.5)
    else:
        anterior, posterior = loss, float(rng.uniform(0.6, 1.0)) * loss
        middle = loss
    superior = float(rng.uniform(0.4, 0.6) if kind == "biconcave" else rng.choice([0.85, 0.95, 0.5, 0.2]))
    return Crush(
        level=body.level,
        kind=kind,
        anterior=anterior,
        middle=middle,
        posterior=posterior,
        superior_share=superior,
        kyphosis_share=float(rng.uniform(0.3, 0.9)),
    )


def _pair(values: FloatArray) -> tuple[float, float]:
    return (float(values[0]), float(values[1]))
