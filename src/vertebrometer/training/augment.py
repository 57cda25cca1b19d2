"""Chance in training: plain numbers are drawn first, then applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.types import FloatArray, GrayImage, PointsRC


def _field(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> GrayImage:
    grain = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(grain, shape[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def vary_grey(image: GrayImage, rng: np.random.Generator, *, strength: float = 1.0) -> GrayImage:
    """Change contrast, curve, sharpness and noise, and lay lines, letters and blocks over the picture.

    `image` lies between 0 and 1; so does the result.
    """
    out = np.clip(image, 0, 1)
    if rng.random() < 0.8:
        out = out ** float(np.exp(rng.normal(0, 0.35 * strength)))
    if rng.random() < 0.5:
        out = out * (1 + 0.25 * strength * _field(rng, out.shape, 2)) + 0.1 * strength * _field(
            rng, out.shape, 2
        )
    if rng.random() < 0.6:
        low, high = rng.uniform(-0.25, 0.25) * strength, 1 + rng.uniform(-0.35, 0.35) * strength
        out = (out - low) / max(high - low, 0.3)
    if rng.random() < 0.35:
        sigma = float(rng.uniform(0.3, 1.6) * strength + 0.05)
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), sigma))
    elif rng.random() < 0.35:
        soft = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.8, 3.0)))
        out = out + float(rng.uniform(0.2, 1.2)) * (out - soft)
    if rng.random() < 0.5:
        out = out + rng.standard_normal(out.shape, dtype=np.float32) * float(
            abs(rng.normal(0, 0.07 * strength))
        )
    if rng.random() < 0.15:
        rough = cv2.resize(
            rng.standard_normal((out.shape[0] // 2, out.shape[1] // 2)).astype(np.float32), out.shape[::-1]
        )
        out = out + rough * float(abs(rng.normal(0, 0.06 * strength)))
    out = np.ascontiguousarray(np.clip(out, 0, 1), dtype=np.float32)
    return _overlay(out, rng)


def degrade(image: GrayImage, rng: np.random.Generator) -> GrayImage:
    """Make a picture as hard to read as a poor film: grainy, smeared along its rows, or lossily compressed.

    `image` lies between 0 and 1; so does the result.
    """
    out = np.clip(image, 0, 1)
    kind = rng.random()
    if kind < 0.45:
        grain = rng.standard_normal(out.shape, dtype=np.float32)
        if rng.random() < 0.5:
            # Grain of a film that was enlarged or denoised holds together over some pixels.
            grain = np.asarray(
                cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.5, 1.2))), dtype=np.float32
            )
            grain /= max(float(grain.std()), 1e-6)
        out = out + grain * np.float32(rng.uniform(0.06, 0.22))
    if 0.3 < kind < 0.65:
        first = int(rng.uniform(-0.3, 0.9) * out.shape[0])
        band = slice(max(first, 0), max(first, 0) + int(rng.uniform(0.1, 0.7) * out.shape[0]))
        along = float(rng.uniform(1.0, 4.0))
        out = np.array(out)
        out[band] = cv2.GaussianBlur(out[band], (0, 0), sigmaX=along, sigmaY=0.3)
    if kind > 0.55:
        written = np.asarray(np.clip(np.round(out * 255), 0, 255), dtype=np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(6, 45))]
        done, coded = cv2.imencode(".jpg", written, quality)
        assert done
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / np.float32(255)
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)


def _overlay(image: GrayImage, rng: np.random.Generator) -> GrayImage:
    rows, cols = image.shape
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 4))):
            ends = [(int(rng.uniform(0, cols)), int(rng.uniform(0, rows))) for _ in range(2)]
            if rng.random() < 0.6:
                ends[1] = (ends[0][0], rows) if rng.random() < 0.5 else (cols, ends[0][1])
            cv2.line(image, ends[0], ends[1], float(rng.choice([0.0, 0.8, 1.0])), 1)
    if rng.random() < 0.12:
        ink = np.zeros(image.shape, np.uint8)
        text = "".join(rng.choice(list("LRAPT0123456789"), int(rng.integers(1, 6))))
        spot = (int(rng.uniform(-0.1, 0.9) * cols), int(rng.uniform(0.1, 1.0) * rows))
        cv2.putText(
            ink,
            text,
            spot,
            cv2.FONT_HERSHEY_SIMPLEX,
            float(rng.uniform(0.4, 1.2)),
            255,
            int(rng.integers(1, 3)),
        )
        image = np.asarray(np.maximum(image, ink.astype(np.float32) / 255), dtype=np.float32)
    if rng.random() < 0.2:
        high, wide = (rng.uniform(0.04, 0.25, 2) * [rows, cols]).astype(int) + 1
        r, c = int(rng.uniform(0, rows - high)), int(rng.uniform(0, cols - wide))
        image[r : r + high, c : c + wide] = (
            image[r : r + high, c : c + wide].mean() if rng.random() < 0.6 else rng.random()
        )
    return image


def marks(count: int, side_px: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw lines, letters and blocks alone: their grey and their opacity, both (count, side, side)."""
    values: list[NDArray[np.uint8]] = []
    inks: list[NDArray[np.uint8]] = []
    number = 0
    while len(values) < count:
        # Half of them coarse, as on a film with large pixels.
        coarse = 1 + number % 2
        small = (side_px // coarse, side_px // coarse)
        black, white = (
            _overlay(np.full(small, grey, np.float32), np.random.default_rng([seed, number]))
            for grey in (0.0, 1.0)
        )
        ink = 1 - (white - black)
        number += 1
        if ink.max() > 0:
            value = np.divide(black, ink, out=np.zeros_like(black), where=ink > 0)
            both = [np.kron(np.clip(each, 0, 1), np.ones((coarse, coarse))) for each in (value, ink)]
            values.append(np.round(255 * both[0]).astype(np.uint8))
            inks.append(np.round(255 * both[1]).astype(np.uint8))
    return np.stack(values), np.stack(inks)


FARTHEST: Final = 1.1
"""Heights of a body above and below it over which a picture may take up what its endplates move."""
THINNEST: Final = 0.15
CARRIED_ON: Final = 0.15
"""Depths of a body in front of and behind it over which the endplates are carried on."""
LEFT: Final = 0.3
"""Part of its height that the tissue above or below keeps at least."""


@dataclass(frozen=True, slots=True)
class Squash:
    """Height that a body loses in the picture, as fractions at its front, middle and back."""

    superior: tuple[float, float, float]
    inferior: tuple[float, float, float]
    taken_up: float = FARTHEST
    """Heights of the body, above and below it, over which the picture is stretched or pressed in turn.

    A disc is 0.2 to 0.4 of them: the neighbours then keep their shape, as a fracture's do. Where it is more,
    their endplates tilt with those of the body, and tell its shape to whoever looks at them."""
    follows: float = 0.0
    """Part of the mean loss by which all that lies beyond comes nearer."""


def draw_squash(rng: np.random.Generator, largest: float = 0.5, gain: float = 0.12) -> Squash:
    """Choose a wedge, biconcave or crush deformity, or a gain of height.

    Losses are as likely small as large, and as likely at the superior as at the
    inferior endplate: a network that seldom sees a height tells one too near to those
    that it sees often. In most of them the discs take up what is uneven.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    largest, gain : float
        Largest loss and largest gain, as parts of the height.
    """
    loss = float(rng.uniform(-gain, largest) if rng.random() < 0.8 else rng.normal(0, 0.05))
    kind = rng.choice(["wedge", "biconcave", "crush", "back"], p=[0.5, 0.25, 0.2, 0.05])
    shape = {
        "wedge": (1.0, 0.55, rng.uniform(0, 0.3)),
        "biconcave": (rng.uniform(0, 0.4), 1.0, rng.uniform(0, 0.3)),
        "crush": (1.0, 1.0, rng.uniform(0.6, 1.0)),
        "back": (rng.uniform(0, 0.2), 0.5, 0.8),
    }[str(kind)]
    share = float(rng.uniform(0.0, 1.0))
    lost = np.array(shape) * loss
    taken_up = float(np.exp(rng.uniform(np.log(THINNEST), np.log(FARTHEST))))
    follows = float(rng.uniform(0.3, 1.0) if rng.random() < 0.75 else 0.0)
    return Squash(tuple((share * lost).tolist()), tuple(((1 - share) * lost).tolist()), taken_up, follows)


def squash_maps(
    squash: Squash, six_crop_rc: PointsRC, side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows to sample from, shape (side, side), for a crop whose body lies level; and the moved knots.

    Returns ``(source_rows, knots)``; `knots` has shape (2, 4, side), before and after: for every column
    the rows where the tissue that is stretched or pressed begins, of the superior and the
    inferior endplate, and where that tissue ends.
    """
    columns = np.arange(side_px, dtype=np.float64)
    sa, _, sp, ip, _, ia = six_crop_rc
    superior, inferior = _line(sa, sp, columns), _line(ia, ip, columns)
    # Chords may cross far outside the body; keep them apart there.
    inferior = np.maximum(inferior, superior + 4)
    height = inferior - superior
    front, back = (sa[1] + ia[1]) / 2, (sp[1] + ip[1]) / 2
    along = np.clip((columns - front) / max(back - front, 1.0), -CARRIED_ON, 1 + CARRIED_ON)
    down = height * _profile(along, squash.superior)
    up = height * _profile(along, squash.inferior)
    taken_up = height.mean() * squash.taken_up
    before = np.stack([superior - taken_up, superior, inferior, inferior + taken_up])
    above, below = (_following(move, along, taken_up, squash.follows) for move in (down, up))
    after = before + np.stack([np.full_like(down, above), down, -up, np.full_like(up, -below)])
    rows = np.arange(side_px, dtype=np.float64)[:, None]
    knots = np.stack([before, after])
    return _carried(rows, after, before).astype(np.float32), knots.astype(np.float32)


def squash_points(points_rc: PointsRC, knots: NDArray[np.float32]) -> PointsRC:
    """Move points of the crop as `squash_maps` moves the picture."""
    columns = np.arange(knots.shape[2])
    before, after = (np.stack([np.interp(points_rc[:, 1], columns, row) for row in each]) for each in knots)
    return np.column_stack([_carried(points_rc[:, 0], before, after), points_rc[:, 1]])


def _following(move: FloatArray, along: FloatArray, taken_up: float, follows: float) -> float:
    """How far what lies beyond comes nearer: as asked, unless the tissue between would be pressed flat."""
    over = (along > 0) & (along < 1)
    wanted = follows * float(move[over].mean()) if over.any() else 0.0
    return min(wanted, float(move.min()) + (1 - LEFT) * taken_up)


def _carried(rows: FloatArray, fro: FloatArray, to: FloatArray) -> FloatArray:
    """Carry rows as four knots, shape (4, n), move; beyond the outer ones they keep their distance."""
    out = rows + (to - fro)[0]
    for upper in range(3):
        between = _between(rows, fro[upper], fro[upper + 1], to[upper], to[upper + 1])
        out = np.where(rows > fro[upper], between, out)
    return np.asarray(np.where(rows > fro[3], rows + (to - fro)[3], out))


def _line(first: FloatArray, second: FloatArray, columns: FloatArray) -> FloatArray:
    slope = (second[0] - first[0]) / (second[1] - first[1] if abs(second[1] - first[1]) > 1 else 1.0)
    return np.asarray(first[0] + np.clip(slope, -1, 1) * (columns - first[1]))


def _profile(along: FloatArray, at: tuple[float, float, float]) -> FloatArray:
    """Quadratic through the values at front (0), middle (0.5) and back (1)."""
    f, m, b = at
    curve = f * (1 - along) * (1 - 2 * along) + 4 * m * along * (1 - along) + b * along * (2 * along - 1)
    return np.asarray(np.clip(curve, -0.3, 0.48))


def _between(
    value: FloatArray, a: FloatArray, b: FloatArray, to_a: FloatArray, to_b: FloatArray
) -> FloatArray:
    return np.asarray(to_a + (value - a) * (to_b - to_a) / np.maximum(b - a, 1e-3))


def elastic(rng: np.random.Generator, side_px: int, largest_px: float) -> NDArray[np.float32]:
    """Smooth displacement, shape (2, side, side), in pixels."""
    strength = abs(float(rng.normal(0, largest_px / 2)))
    return np.stack([_field(rng, (side_px, side_px), int(rng.integers(1, 4))) for _ in range(2)]) * strength


def displaced_points(points_rc: PointsRC, field: NDArray[np.float32]) -> PointsRC:
    """Where points land when a picture is sampled at ``p + field(p)``: solves q + field(q) = p."""
    moved = np.array(points_rc, dtype=np.float64)
    for _ in range(12):
        at = moved[:, ::-1].astype(np.float32)[:, None]
        shift = [
            cv2.remap(  # type: ignore[call-overload]  # both maps come in one array
                np.ascontiguousarray(part), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )[:, 0]
            for part in field
        ]
        moved = points_rc - np.stack(shift, axis=1)
    return moved
