"""What lies round the spine: skin, lung, diaphragm, heart, shoulders, bowel gas, implants."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from vertebrometer.phantom.bones import WATER_PER_MM, bone_per_mm
from vertebrometer.phantom.canvas import Canvas, noise_field, slow_blur
from vertebrometer.phantom.settings import BodyHabitus
from vertebrometer.phantom.spine import PlacedBody, Spine
from vertebrometer.types import FloatArray, GrayImage


def draw_soft_tissue(canvas: Canvas, spine: Spine, habitus: BodyHabitus, rng: np.random.Generator) -> None:
    """Add the trunk, its lung and what hangs in it."""
    rows, cols = canvas.shape
    px = canvas.pixel_mm
    column = _spine_column(canvas, spine)
    back = column + (habitus.back_mm + _slow(rng, rows, 6)) / px
    depth = habitus.trunk_depth_mm * (1 + 0.06 * _slow(rng, rows, 1.0)) / px
    width = habitus.trunk_width_mm * (1 + 0.05 * _slow(rng, rows, 1.0))
    depth, width = _neck(canvas, spine, depth, width)
    centre = back - depth / 2
    across = (np.arange(cols, dtype=np.float32)[None, :] - centre[:, None]) / (depth[:, None] / 2)
    trunk = width[:, None] * np.sqrt(np.clip(1 - np.abs(across) ** 2.6, 0, 1))
    tissue = trunk * (1 - habitus.lung * 0.72 * _lung(canvas, spine, habitus, across, rng))
    tissue += _organs(canvas, spine, habitus, across, rng)
    fat = (
        1
        + 0.02 * noise_field(rng, canvas.shape, (60 / px, 40 / px))
        + 0.006 * noise_field(rng, canvas.shape, (9 / px, 9 / px))
    )
    canvas.attenuation += (WATER_PER_MM * np.clip(tissue, 0, None) * fat).astype(np.float32)


def _spine_column(canvas: Canvas, spine: Spine) -> FloatArray:
    """Column of the spine's middle at each row of the film."""
    centres = np.array([canvas.place(body.centre_mm[None])[0] for body in spine.bodies])
    order = np.argsort(centres[:, 0])
    rows = np.arange(canvas.shape[0])
    column = np.interp(rows, centres[order, 0], centres[order, 1])
    reach = max(3, int(60 / canvas.pixel_mm)) | 1
    smooth = cv2.GaussianBlur(column.astype(np.float32)[:, None], (1, reach * 2 + 1), reach / 2)
    return np.asarray(smooth[:, 0], dtype=np.float64)


def _slow(rng: np.random.Generator, rows: int, size: float) -> FloatArray:
    knots = rng.normal(0, size, 6)
    line = cv2.resize(knots.astype(np.float32)[:, None], (1, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(line[:, 0], dtype=np.float64)


def _row_of(canvas: Canvas, spine: Spine, level: str) -> float:
    for body in spine.bodies:
        if body.shape.level == level:
            return float(canvas.place(body.centre_mm[None])[0, 0])
    return float(canvas.place(spine.bodies[0].centre_mm[None])[0, 0])


def _neck(
    canvas: Canvas, spine: Spine, depth: FloatArray, width: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Narrow the trunk above the shoulders."""
    row = np.arange(canvas.shape[0])
    shoulder = _row_of(canvas, spine, "T1")
    trunk = 1 / (1 + np.exp(-(row - shoulder) * canvas.pixel_mm / 14))
    return depth * (0.5 + 0.5 * trunk), width * (0.38 + 0.62 * trunk)


def _lung(
    canvas: Canvas, spine: Spine, habitus: BodyHabitus, across: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Share of the path that is lung, 0 to 1, with two domes and vessels."""
    rows = np.arange(canvas.shape[0], dtype=np.float64)[:, None]
    base = _row_of(canvas, spine, habitus.diaphragm_level)
    top = _row_of(canvas, spine, "T2")
    px = canvas.pixel_mm
    share = np.zeros(canvas.shape)
    inside = np.clip((0.88 - np.abs(across - 0.02)) / 0.12, 0, 1)
    for _ in range(2):
        lift = rng.uniform(35, 75) / px
        dome = base + rng.normal(0, 8) / px - lift * np.clip(1 - (across + rng.uniform(0.0, 0.4)) ** 2, 0, 1)
        share += 0.5 * _falling((rows - dome) * px / rng.uniform(0.7, 2.0))
    share *= inside * _falling((top - rows) * px / 12)
    vessels = (
        noise_field(rng, canvas.shape, (3 / px, 4 / px)) * 0.03
        + noise_field(rng, canvas.shape, (14 / px, 18 / px)) * 0.05
    )
    return np.asarray(np.clip(share * (1 + vessels), 0, 1))


def _falling(value: FloatArray) -> FloatArray:
    """Fall smoothly from 1 to 0 round the value 0; far from it exp() would overflow."""
    return np.asarray(1 / (1 + np.exp(np.clip(value, -500, 500))))


def _organs(
    canvas: Canvas, spine: Spine, habitus: BodyHabitus, across: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Thickness of heart, shoulders and gas (negative) in mm."""
    px = canvas.pixel_mm
    rows = np.arange(canvas.shape[0], dtype=np.float64)[:, None]
    out = np.zeros(canvas.shape)
    heart = _row_of(canvas, spine, "T8")
    out += 110 * habitus.heart * np.exp(-(((rows - heart) * px / 45) ** 4) - ((across + 0.45) / 0.38) ** 4)
    arm = _row_of(canvas, spine, "T2")
    out += 170 * habitus.shoulder * np.exp(-(((rows - arm) * px / 48) ** 2) - ((across + 0.15) / 0.62) ** 4)
    return out + _gas(canvas, spine, habitus.bowel_gas, across, rng)


def _gas(
    canvas: Canvas, spine: Spine, count: int, across: FloatArray, rng: np.random.Generator
) -> FloatArray:
    px = canvas.pixel_mm
    layer = np.zeros(canvas.shape, np.float32)
    for _ in range(count):
        row = _row_of(canvas, spine, str(rng.choice(["L1", "L2", "L3", "L4", "L5"]))) + rng.normal(0, 20) / px
        column = float(
            np.interp(rng.uniform(-0.85, 0.45), across[canvas.shape[0] // 2], np.arange(canvas.shape[1]))
        )
        axes = (max(2, int(rng.uniform(5, 30) / px)), max(2, int(rng.uniform(4, 18) / px)))
        blob = np.zeros(canvas.shape, np.uint8)
        cv2.ellipse(blob, (int(column), int(row)), axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
        layer -= blob.astype(np.float32) * (float(rng.uniform(8, 45)) / 255)
    return np.asarray(slow_blur(layer, 1.2 / px), dtype=np.float64)


def draw_arms(canvas: Canvas, spine: Spine, rng: np.random.Generator) -> None:
    """Add an arm held forward: a long bone in its flesh."""
    start = np.array([_row_of(canvas, spine, "T2"), float(canvas.shape[1]) * rng.uniform(0.2, 0.6)])
    reach = np.array([rng.uniform(120, 260), -rng.uniform(60, 260)]) / canvas.pixel_mm
    path = np.array([start, start + 0.5 * reach, start + reach])
    flesh = WATER_PER_MM * 55
    canvas.add_tube(path, width_mm=float(rng.uniform(60, 90)), wall_mm=8, inside=flesh, wall=0.8 * flesh)
    mu = bone_per_mm(900)
    canvas.add_tube(path, width_mm=float(rng.uniform(20, 26)), wall_mm=4, inside=mu * 6, wall=mu * 12)


def draw_aorta(canvas: Canvas, spine: Spine, strength: float, rng: np.random.Generator) -> None:
    """Add the calcified wall of the aorta before the lumbar spine, in broken pieces."""
    fronts = [
        b.to_film_mm(np.array([[0.0, -b.shape.superior_depth_mm / 2 - 8]]))[0] for b in spine.bodies[-6:]
    ]
    for offset in (0.0, -18.0):
        for upper, lower in pairwise(fronts):
            if rng.random() < 0.6:
                path = canvas.place(
                    np.array([upper, (upper + lower) / 2 + rng.normal(0, 1, 2), lower])
                    + np.array([0.0, offset])
                )
                mu = bone_per_mm(700) * 5 * strength
                canvas.add_tube(path, width_mm=1.6, wall_mm=0.4, inside=mu, wall=mu)


def draw_cement(canvas: Canvas, body: PlacedBody, rng: np.random.Generator) -> None:
    """Fill part of a body with cement."""
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for _ in range(int(rng.integers(1, 4))):
        spot = rng.normal(0, 1, 2) * [body.shape.middle_mm / 9, body.shape.superior_depth_mm / 8]
        radius = (
            rng.uniform(0.15, 0.34)
            * body.shape.middle_mm
            * (1 + 0.15 * np.sin(3 * turns + rng.uniform(0, 6)))
        )
        blob = spot + radius[:, None] * np.column_stack([np.sin(turns), np.cos(turns) * 1.3])
        canvas.add_section(
            canvas.place(body.to_film_mm(blob)), inside=float(rng.uniform(0.4, 1.0)), rim=0, rim_mm=1
        )


def draw_rods(canvas: Canvas, bodies: list[PlacedBody], rng: np.random.Generator) -> None:
    """Add screws through the pedicles and the rods that join them."""
    metal = float(rng.uniform(2.0, 3.5))
    for side_mm in (-14.0, 14.0):
        heads = []
        for body in bodies:
            hp, back = body.shape.posterior_mm, body.shape.superior_depth_mm / 2
            local = np.array([[-0.22 * hp, back + 24.0], [-0.18 * hp, -0.35 * back]]) + rng.normal(0, 0.8, 2)
            screw = canvas.place(body.to_film_mm(local), side_mm)
            canvas.add_tube(screw, width_mm=5.5, wall_mm=0.8, inside=metal, wall=0.7 * metal)
            heads.append(body.to_film_mm(np.array([[-0.22 * hp, back + 25.0]]))[0])
        rod = canvas.place(np.array(heads), side_mm)
        if len(rod) > 1:
            canvas.add_tube(rod, width_mm=5.5, wall_mm=0.6, inside=metal, wall=metal)


def implants(spine: Spine, rods: bool, rng: np.random.Generator) -> list[PlacedBody]:
    """Choose the run of bodies that rods hold; empty without rods."""
    if not rods:
        return []
    count = int(rng.integers(2, 8))
    first = int(rng.integers(7, max(8, len(spine.bodies) - count + 1)))
    return list(spine.bodies[first : first + count])


def slow_unevenness(rng: np.random.Generator, shape: tuple[int, int], strength: float) -> GrayImage:
    """Multiplier about 1 that changes slowly over the film."""
    return np.asarray(
        1 + strength * noise_field(rng, shape, (shape[0] / 2.5, shape[1] / 2.5)), dtype=np.float32
    )
