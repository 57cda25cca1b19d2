"""Bones of the spine as sums of thin sagittal sections, so that rims and arches fall as on a film."""

from __future__ import annotations

from typing import Final

import numpy as np

from vertebrometer.phantom.canvas import Canvas, noise_field, smooth_path
from vertebrometer.phantom.settings import PhantomSettings
from vertebrometer.phantom.spine import BodyShape, PlacedBody, Spine, section_outline
from vertebrometer.types import GrayImage, PointsRC

WATER_PER_MM: Final = 0.0206
"""Linear attenuation of water near the mean energy of a spine film."""
_SECTIONS: Final = 13
_CORTEX_HU: Final = 900.0


def bone_per_mm(hu: float) -> float:
    """Attenuation of bone over that of water; bone gains more at film energies than CT numbers say."""
    return WATER_PER_MM * (hu + 0.9 * max(0.0, hu - 150.0)) / 1000.0


def trabecular_texture(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> GrayImage:
    """Multiplier about 1: fine grain with the vertical streaks of trabeculae."""
    fine = noise_field(rng, shape, (1.6 / pixel_mm, 0.9 / pixel_mm))
    coarse = noise_field(rng, shape, (5.0 / pixel_mm, 4.0 / pixel_mm))
    strength = rng.uniform(0.06, 0.22)
    return np.asarray(1 + strength * fine + 0.07 * coarse, dtype=np.float32)


def draw_bodies(canvas: Canvas, spine: Spine, texture: GrayImage) -> None:
    """Add the vertebral bodies."""
    for body in spine.bodies:
        _draw_body(canvas, body, texture)


def _draw_body(canvas: Canvas, body: PlacedBody, texture: GrayImage) -> None:
    shape = body.shape
    sides = (np.arange(_SECTIONS) + 0.5) / _SECTIONS * 2 - 1
    thick = shape.width_mm / _SECTIONS
    for side in sides:
        off = side * shape.width_mm / 2
        outline = _lean(section_outline(shape, float(side), spurs=True), shape, off)
        canvas.add_section(
            canvas.place(body.to_film_mm(outline), off),
            inside=bone_per_mm(shape.trabecular_hu) * thick,
            rim=bone_per_mm(_CORTEX_HU) * thick * 0.62,
            rim_mm=shape.cortex_mm,
            texture=texture,
        )


def _lean(local_mm: PointsRC, shape: BodyShape, off_mm: float) -> PointsRC:
    """Shift a section as the turn and lean of the body ask for."""
    shift = np.array(
        [off_mm * np.tan(np.deg2rad(shape.tilt_deg)), off_mm * np.tan(np.deg2rad(shape.rotation_deg))]
    )
    return np.asarray(local_mm + shift)


def draw_arches(canvas: Canvas, spine: Spine, rng: np.random.Generator, texture: GrayImage) -> None:
    """Add pedicles, articular, transverse and spinous processes."""
    for body in spine.bodies:
        for side_mm, thick_mm, outline in _arch_parts(body.shape, rng):
            jitter = rng.normal(0, 0.6, 2)
            local = _lean(outline + jitter, body.shape, side_mm)
            canvas.add_section(
                canvas.place(body.to_film_mm(local), side_mm),
                inside=bone_per_mm(body.shape.trabecular_hu + 60) * thick_mm,
                rim=bone_per_mm(_CORTEX_HU) * thick_mm * 0.8,
                rim_mm=0.9,
                texture=texture,
            )


def _arch_parts(shape: BodyShape, rng: np.random.Generator) -> list[tuple[float, float, PointsRC]]:
    """Parts as (offset to the side, thickness, outline) in mm of the body's own frame."""
    hp, back, half = shape.posterior_mm, shape.superior_depth_mm / 2, shape.width_mm / 2
    grow = half / 22
    rear = np.array([0.0, back])
    parts: list[tuple[float, float, PointsRC]] = []
    for sign in (-1.0, 1.0):
        pedicle = np.array([[-0.42, -1], [-0.38, 9], [0.02, 9], [0.0, -1]]) * [hp, 1]
        parts.append((sign * 0.62 * half, 7 * grow, _round(pedicle + rear)))
        superior = np.array([[-0.75, 12], [-0.62, 17], [0.05, 15], [0.1, 7], [-0.35, 7]]) * [hp, grow]
        parts.append((sign * 0.75 * half, 8 * grow, _round(superior + rear)))
        inferior = np.array([[-0.1, 12], [0.1, 18], [0.9, 20], [0.95, 15], [0.35, 11]]) * [hp, grow]
        parts.append((sign * 0.55 * half, 8 * grow, _round(inferior + rear)))
        transverse = np.array([[-0.35, 4], [-0.3, 11], [0.02, 11], [0.05, 4]]) * [hp, grow]
        parts.append((sign * 1.25 * half, 14 * grow, _round(transverse + rear)))
    if shape.level[0] == "L":
        spinous = np.array([[-0.1, 16], [-0.12, 44], [0.55, 47], [0.75, 38], [0.45, 18]]) * [hp, 1]
    else:
        drop = rng.uniform(0.7, 1.5)
        spinous = np.array([[-0.05, 12], [drop * 0.75, 42], [drop, 42], [0.5, 14]]) * [hp, grow]
    parts.append((0.0, 6.0, _round(spinous + rear)))
    return parts


def _round(corners: PointsRC) -> PointsRC:
    """Round a polygon's corners by cutting them twice (Chaikin)."""
    points = corners
    for _ in range(3):
        following = np.roll(points, -1, axis=0)
        points = np.stack(
            [0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1
        ).reshape(-1, 2)
    return points


def draw_sacrum(canvas: Canvas, spine: Spine, settings: PhantomSettings, texture: GrayImage) -> None:
    """Add the sacrum below its superior endplate, tapering and bending backwards."""
    posterior, anterior = spine.s1_endplate_mm
    axis = spine.sacrum_axis_deg
    hu = settings.bodies[-1].trabecular_hu
    top_back, top_front = posterior, anterior
    for number, (height, depth) in enumerate(((29, 25), (24, 19), (20, 15), (17, 12))):
        axis += 4 if number == 0 else -14
        a = np.deg2rad(axis)
        down, back = np.array([np.cos(a), -np.sin(a)]), np.array([np.sin(a), np.cos(a)])
        middle = (top_back + top_front) / 2 + down * height + back * 2
        low_back, low_front = middle + back * depth / 2, middle - back * depth / 2
        outline = np.array([top_front, top_back, low_back, low_front])
        for side in np.linspace(-1, 1, 7):
            off = side * 24
            canvas.add_section(
                canvas.place(_dense(outline), off),
                inside=bone_per_mm(hu) * 7,
                rim=bone_per_mm(_CORTEX_HU) * 7 * 0.5,
                rim_mm=0.8,
                texture=texture,
            )
        gap = down * (2.5 if number == 0 else 1.2)
        top_back, top_front = low_back + gap, low_front + gap


def _dense(corners: PointsRC) -> PointsRC:
    steps = np.linspace(0, 1, 12, endpoint=False)[:, None]
    following = np.roll(corners, -1, axis=0)
    return np.vstack(
        [first + steps * (second - first) for first, second in zip(corners, following, strict=True)]
    )


def draw_ribs(canvas: Canvas, spine: Spine, strength: float, rng: np.random.Generator) -> None:
    """Add both ribs of each thoracic body, nearer ones larger."""
    for body in spine.bodies:
        if body.shape.level[0] != "T":
            continue
        number = int(body.shape.level[1:])
        for side_mm in (-1.0, 1.0):
            path = _rib_path(number, rng)
            start = body.to_film_mm(
                np.array([[-0.45 * body.shape.posterior_mm, body.shape.superior_depth_mm / 2]])
            )
            reach = np.linspace(0.25, 1.0, len(path)) * side_mm * 110
            placed = np.vstack([canvas.place(start + p, float(z)) for p, z in zip(path, reach, strict=True)])
            mu = bone_per_mm(500) * 9 * strength
            canvas.add_tube(
                smooth_path(placed), width_mm=float(rng.uniform(6, 9)), wall_mm=1.1, inside=0.45 * mu, wall=mu
            )


def _rib_path(number: int, rng: np.random.Generator) -> PointsRC:
    back = {1: 18, 2: 28, 3: 36}.get(number, 44 if number < 10 else 36) * rng.uniform(0.85, 1.15)
    drop = rng.uniform(0.8, 1.25)
    path = np.array([[0, 0], [6, 0.6 * back], [28 * drop, back], [58 * drop, 0.75 * back]])
    if number <= 10:
        ahead = {1: 40, 2: 70}.get(number, 120)
        path = np.vstack([path, [[95 * drop, -10], [130 * drop, -ahead * 0.6], [150 * drop, -ahead]]])
        path[:, 0] *= 0.5 + 0.03 * number
    return path


def draw_pelvis(canvas: Canvas, spine: Spine, strength: float, rng: np.random.Generator) -> None:
    """Add both iliac wings and femoral heads, nearer ones larger."""
    base = spine.s1_endplate_mm.mean(axis=0)
    turns = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    high, wide = rng.uniform(62, 90), rng.uniform(55, 85)
    for side_mm in (-120.0, 120.0):
        wobble = (
            1 + 0.08 * np.sin(3 * turns + rng.uniform(0, 6)) + 0.05 * np.sin(5 * turns + rng.uniform(0, 6))
        )
        centre = base + np.array([rng.uniform(30, 55), rng.uniform(-25, 10)])
        wing = centre + np.column_stack([high * np.sin(turns), wide * np.cos(turns)]) * wobble[:, None]
        mu = strength * bone_per_mm(300)
        canvas.add_section(canvas.place(wing, side_mm), inside=mu * 12, rim=mu * 18, rim_mm=2.5)
        head = base + np.array([rng.uniform(95, 120), rng.uniform(-55, -15)])
        ball = head + 24 * np.column_stack([np.sin(turns), np.cos(turns)])
        canvas.add_section(canvas.place(ball, side_mm), inside=mu * 40, rim=mu * 20, rim_mm=1.5)
