"""Pictures that are no lateral films of the spine: frontal spines, chests, hands, noise, text, scenes.

They teach networks what a vertebral body is not, and test that such pictures
are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from vertebrometer.phantom.canvas import noise_field, slow_blur
from vertebrometer.types import GrayImage, PointsRC

SHAPE: Final = (1400, 1100)


def _finish(attenuation: GrayImage, rng: np.random.Generator) -> GrayImage:
    """Harmonise and add noise, as a console would."""
    film = attenuation - 0.7 * slow_blur(attenuation, 70)
    film = film + rng.standard_normal(film.shape, dtype=np.float32) * 0.03
    low, high = np.percentile(film, [1, 99.5])
    return np.asarray(np.clip((film - low) / (high - low), 0, 1), dtype=np.float32)


def _trunk(rng: np.random.Generator) -> GrayImage:
    rows, cols = SHAPE
    across = (np.arange(cols) - cols / 2) / (cols * rng.uniform(0.4, 0.48))
    body = 4 * np.sqrt(np.clip(1 - np.abs(across) ** 3, 0, 1))
    return np.repeat(body[None].astype(np.float32), rows, axis=0)


def _line(film: GrayImage, points: PointsRC, width: int, value: float) -> None:
    layer = np.zeros(film.shape, np.uint8)
    cv2.polylines(
        layer, [np.round(points).astype(np.int32).reshape(-1, 1, 2)], False, 255, width, cv2.LINE_AA
    )
    film += layer.astype(np.float32) / 255 * value


def frontal_spine(rng: np.random.Generator) -> GrayImage:
    """Draw a spine from the front: bodies with two pedicles and a spinous process each, and ribs."""
    film = _trunk(rng)
    row, height = 60.0, float(rng.uniform(70, 130))
    while row < SHAPE[0]:
        half = height * rng.uniform(0.6, 0.7)
        middle = SHAPE[1] / 2 + rng.normal(0, 4)
        box = np.array(
            [
                [middle - half, row],
                [middle + half, row],
                [middle + half * 0.95, row + height * 0.8],
                [middle - half * 0.95, row + height * 0.8],
            ]
        )
        layer = np.zeros(SHAPE, np.uint8)
        cv2.fillPoly(layer, [box.astype(np.int32)], 120)
        cv2.polylines(layer, [box.astype(np.int32)], True, 255, 3)
        for side in (-0.6, 0.6):
            cv2.ellipse(
                layer,
                (int(middle + side * half), int(row + height * 0.3)),
                (int(height * 0.1), int(height * 0.16)),
                0,
                0,
                360,
                255,
                3,
            )
        cv2.line(
            layer, (int(middle), int(row + height * 0.3)), (int(middle), int(row + height * 0.8)), 255, 6
        )
        film += layer.astype(np.float32) / 255 * 0.5
        for side in (-1, 1):
            ends = np.array(
                [
                    [middle + side * half, row + 10],
                    [middle + side * 300, row + 20],
                    [middle + side * 430, row + 160],
                ]
            )
            _line(film, ends, int(height * 0.2), 0.2)
        row += height
        height *= 1.01
    return _finish(film, rng)


def chest(rng: np.random.Generator) -> GrayImage:
    """Draw a chest from the front."""
    film = _trunk(rng)
    for side in (-1, 1):
        lung = np.zeros(SHAPE, np.uint8)
        cv2.ellipse(lung, (int(SHAPE[1] / 2 + side * 230), 650), (170, 480), 0, 0, 360, 255, -1)
        film -= slow_blur(np.asarray(lung / 255, dtype=np.float32), 8) * 2.2
        for number in range(10):
            top = 200 + 90 * number + rng.normal(0, 5)
            ends = np.array(
                [
                    [SHAPE[1] / 2 + side * 40, top],
                    [SHAPE[1] / 2 + side * 300, top - 20],
                    [SHAPE[1] / 2 + side * 420, top + 120],
                    [SHAPE[1] / 2 + side * 250, top + 230],
                ]
            )
            _line(film, ends, 22, 0.35)
    heart = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(heart, (SHAPE[1] // 2 + 70, 850), (200, 230), 20, 0, 360, 255, -1)
    film += slow_blur(np.asarray(heart / 255, dtype=np.float32), 6) * 1.2
    film += noise_field(rng, SHAPE, (20, 20)) * 0.05
    return _finish(film, rng)


def hand(rng: np.random.Generator) -> GrayImage:
    """Draw a hand: five rays of long bones."""
    film = np.zeros(SHAPE, np.float32)
    for number in range(5):
        angle = np.deg2rad(-35 + 17 * number + rng.normal(0, 3))
        start = np.array([SHAPE[1] / 2 + (number - 2) * 60, 1000.0])
        for length in (280, 170, 110, 80):
            end = start + length * np.array([np.sin(angle), -np.cos(angle)])
            _line(film, np.array([start, end]), 95, 0.5)
            _line(film, np.array([start, end]), 46, 0.8)
            _line(film, np.array([start, end]), 26, -0.3)
            start = end + 12 * np.array([np.sin(angle), -np.cos(angle)])
    for _ in range(8):
        spot = (int(rng.uniform(380, 720)), int(rng.uniform(1020, 1180)))
        cv2.circle(film, spot, int(rng.uniform(30, 50)), 1.2, -1)
    return _finish(film, rng)


def noise(rng: np.random.Generator) -> GrayImage:
    """Draw noise of some grain."""
    grain = float(np.exp(rng.uniform(0, 4.5)))
    return np.asarray(np.clip(0.5 + 0.2 * noise_field(rng, SHAPE, (grain, grain)), 0, 1), dtype=np.float32)


def text(rng: np.random.Generator) -> GrayImage:
    """Draw a page of letters."""
    page = np.full(SHAPE, 255, np.uint8)
    size = float(rng.uniform(0.6, 2.2))
    for row in range(60, SHAPE[0], int(40 * size)):
        words = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz     ,."), 70))
        cv2.putText(
            page, words, (40, row), int(rng.integers(0, 3)), size, 0, max(1, int(size * 1.6)), cv2.LINE_AA
        )
    film = np.asarray(page / 255, dtype=np.float32)
    return np.asarray(1 - film, dtype=np.float32) if rng.random() < 0.5 else film


def photograph(rng: np.random.Generator) -> GrayImage:
    """Draw a scene: sky, houses with windows, round trees."""
    rows, cols = SHAPE
    scene = np.linspace(0.9, 0.5, rows, dtype=np.float32)[:, None] * np.ones(SHAPE, np.float32)
    for _ in range(int(rng.integers(6, 16))):
        high, wide = rng.uniform(150, 500), rng.uniform(120, 300)
        left, base = rng.uniform(0, cols - wide), rng.uniform(0.6, 0.95) * rows
        level = float(rng.uniform(0.15, 0.7))
        cv2.rectangle(scene, (int(left), int(base - high)), (int(left + wide), int(base)), level, -1)
        for r in np.arange(base - high + 20, base - 40, 60):
            for c in np.arange(left + 15, left + wide - 30, 50):
                cv2.rectangle(scene, (int(c), int(r)), (int(c + 25), int(r + 35)), level + 0.25, -1)
    for _ in range(int(rng.integers(4, 14))):
        cv2.circle(
            scene,
            (int(rng.uniform(0, cols)), int(rng.uniform(0.5, 1) * rows)),
            int(rng.uniform(30, 130)),
            float(rng.uniform(0.1, 0.4)),
            -1,
        )
    rough = slow_blur(scene, 1.2) + 0.03 * noise_field(rng, SHAPE, (6, 6))
    return np.asarray(np.clip(rough, 0, 1), dtype=np.float32)


KINDS: Final[dict[str, Callable[[np.random.Generator], GrayImage]]] = {
    "frontal spine": frontal_spine,
    "chest": chest,
    "hand": hand,
    "noise": noise,
    "text": text,
    "photograph": photograph,
}


def other_picture(seed: int, *, kind: str | None = None) -> GrayImage:
    """Draw one picture; half of them are frontal spines, which are the likeliest to be mistaken."""
    rng = np.random.default_rng(seed)
    drawn = "frontal spine" if rng.random() < 0.5 else str(rng.choice(list(KINDS)))
    return np.ascontiguousarray(KINDS[kind or drawn](rng), dtype=np.float32)
