"""Training samples drawn where the network is, a whole batch at a time, from cuts of bodies.

The same chance as in `sources` and `augment`, in tensors: pose, shape of the body, warp, greys, noise,
letters and lines. Shapes say B for the samples of a batch; points are (row, col) in pixels of a crop of
`FINE_SIDE_PX`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vertebrometer.segmentation.frames import DEPTH_SHARE
from vertebrometer.segmentation.patches import CONTEXT_STEP, INFERIOR, PATCH_SIDE_PX, PATCHES_PER_DEPTH
from vertebrometer.training.augment import CARRIED_ON, FARTHEST, LEFT, THINNEST, marks
from vertebrometer.training.crops import (
    CUT_SIDE_PX,
    FACTS,
    FINE_SIDE_PX,
    GROUPS,
    KINDS,
    MASK_SIDE_PX,
    Cuts,
)
from vertebrometer.training.samples import Batch

_DEPTH_PX: Final = DEPTH_SHARE * FINE_SIDE_PX
_STAMPS: Final = 512
_BLUR_REACH_PX: Final = 8
_FLIPPED: Final = [5, 4, 3, 2, 1, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """How much samples are changed; see `BodySource` for the first ones."""

    negatives: float = 0.14
    squash_rate: float = 0.45
    squash_largest: float = 0.6
    squash_gain: float = 0.2
    fractured: float = 0.5
    upside_down: float = 0.4
    overlaid: float = 0.2
    degraded: float = 0.12
    """How often a cut is grainy, smeared or lossily compressed, once for all."""
    cut: float = 0.06
    """How often a body is one that the border cuts."""


class DeviceCuts:
    """Cuts in the memory of a device; more can be added while others are drawn.

    Parameters
    ----------
    capacity : int
        Cuts that find room: about 155 kB each. Later ones take the places of the oldest.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        side, half = CUT_SIDE_PX, MASK_SIDE_PX
        self.device, self.capacity, self.added = device, capacity, 0
        self.images = torch.zeros((capacity, side, side), dtype=torch.uint8, device=device)
        self.masks = torch.zeros((capacity, half, half), dtype=torch.uint8, device=device)
        self.points = torch.zeros((capacity, 6, 2), device=device)
        self.facts = torch.zeros((capacity, len(FACTS)), dtype=torch.int64, device=device)
        self._facts = np.full((capacity, len(FACTS)), -1, np.int16)
        self._pools: dict[tuple[str, str], NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, cuts: Cuts) -> None:
        """Take cuts in."""
        places = (self.added + np.arange(len(cuts))) % self.capacity
        at = torch.from_numpy(places).to(self.device)
        self.images[at] = torch.from_numpy(cuts.images).to(self.device)
        self.masks[at] = torch.from_numpy(cuts.masks).to(self.device)
        self.points[at] = torch.from_numpy(cuts.points).to(self.device)
        self.facts[at] = torch.from_numpy(cuts.facts).to(self.device).long()
        self._facts[places] = cuts.facts
        self.added += len(cuts)
        self._pools = {}

    def pool(self, group: str, kind: str) -> NDArray[np.int64]:
        """Places of all cuts of a group and kind."""
        if (group, kind) not in self._pools:
            wanted = (GROUPS.index(group), KINDS.index(kind))
            self._pools[group, kind] = np.flatnonzero((self._facts[:, :2] == wanted).all(axis=1))
        return self._pools[group, kind]

    def any_of(self, rng: np.random.Generator, group: str, kinds: Sequence[str]) -> int:
        """Draw a cut of the first of `kinds` that the group has any of; -1 where it has none."""
        for kind in kinds:
            pool = self.pool(group, kind)
            if pool.size:
                return int(pool[rng.integers(pool.size)])
        return -1


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Which cuts make a batch."""

    rows: Tensor
    over: Tensor
    """As many cuts that may be laid over them."""
    bodies: int
    """So many show a body; they come first."""


@dataclass(frozen=True, slots=True, eq=False)
class Chooser:
    """Draws which cuts make a batch."""

    cuts: DeviceCuts
    weights: dict[str, float]
    """How often each of `GROUPS` is drawn."""
    chance: Chance

    def __call__(self, rng: np.random.Generator, count: int) -> Chosen:
        """Choose the cuts of `count` samples; at first a device may hold no cut of a rare kind."""
        nothing = round(self.chance.negatives * count)
        rows = [self._one(rng, nothing=n >= count - nothing) for n in range(count)]
        over = [self._beside(rng) for _ in range(count)]
        device = self.cuts.device
        return Chosen(
            torch.tensor(rows, device=device), torch.tensor(over, device=device), bodies=count - nothing
        )

    def _one(self, rng: np.random.Generator, *, nothing: bool) -> int:
        if nothing:
            kinds = ["nothing"]
        else:
            broken, cut = rng.random() < self.chance.fractured, rng.random() < self.chance.cut
            kinds = [*(["cut"] if cut else []), *(["fractured"] if broken else []), "whole", "fractured"]
        for _ in range(64):
            place = self.cuts.any_of(rng, self._group(rng, nothing=nothing), kinds)
            if place >= 0:
                return place
        msg = "no cut shows a body, or none shows no body; give more films"
        raise ValueError(msg)

    def _group(self, rng: np.random.Generator, *, nothing: bool) -> str:
        names = [name for name in GROUPS if nothing or name != "other"]
        shares = np.array([self.weights.get(name, 0.0) for name in names])
        return names[int(rng.choice(len(names), p=shares / shares.sum()))]

    def _beside(self, rng: np.random.Generator) -> int:
        for _ in range(8):
            place = self.cuts.any_of(rng, self._group(rng, nothing=False), ["beside"])
            if place >= 0:
                return place
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A batch of crops that are as fine as the close look, and what is known of them."""

    image: Tensor
    """(B, 1, s, s), 0 to 1."""
    mask: Tensor
    """(B, 1, s / 4, s / 4), 0 to 1."""
    points: Tensor
    """(B, 6, 2)."""
    facts: Tensor
    """(B, len(FACTS))."""
    upside_down: Tensor
    """(B,) bool."""
    bodies: int
    """So many samples show a body; they come first."""

    def fact(self, name: str) -> Tensor:
        """One column of `FACTS`, shape (B,)."""
        return self.facts[:, FACTS.index(name)]

    @property
    def is_body(self) -> Tensor:
        """Whether a body lies in the middle, shape (B,)."""
        return self.fact("kind") < KINDS.index("nothing")


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Makes batches of the point network and of the corner network from the same crops."""

    cuts: DeviceCuts
    chance: Chance
    stamps: tuple[Tensor, Tensor] = field(init=False)
    """Value and opacity of letters, lines and blocks, (n, s, s)."""

    def __post_init__(self) -> None:
        value, ink = marks(_STAMPS, FINE_SIDE_PX, seed=5)
        stamps = torch.from_numpy(value).to(self.cuts.device), torch.from_numpy(ink).to(self.cuts.device)
        object.__setattr__(self, "stamps", stamps)

    def __call__(self, chosen: Chosen) -> Drawn:
        """Draw a crop from each cut."""
        rows, over = chosen.rows, chosen.over
        image, mask, points = self.shaped(rows)
        image = self._greys(image, self.cuts.images[over])
        facts = self.cuts.facts[rows]
        upside = torch.rand(len(rows), device=image.device) < self.chance.upside_down
        turn = upside.view(-1, 1, 1, 1)
        image, mask = torch.where(turn, image.flip(2), image), torch.where(turn, mask.flip(2), mask)
        turned = torch.stack([FINE_SIDE_PX - 1 - points[..., 0], points[..., 1]], dim=2)[:, _FLIPPED]
        points = torch.where(upside.view(-1, 1, 1), turned, points)
        return Drawn(image, mask, points, facts, upside, chosen.bodies)

    def shaped(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Crops moved, squashed and warped: image, mask and points."""
        device, count, side = rows.device, len(rows), FINE_SIDE_PX
        matrix, centre = _poses(count, device)
        middle = (side - 1) / 2
        points = (self.cuts.points[rows] - centre[:, None]) @ matrix.transpose(1, 2) + middle
        whole = self.cuts.facts[rows, FACTS.index("whole")] > 0
        knots = squash_knots(points, _losses(count, self.chance, device) * whole.view(-1, 1, 1))
        points = squashed_points(points, knots)
        wave = _wave(count, side, device)
        points = _displaced(points, wave)
        ruler = torch.arange(side, device=device, dtype=torch.float32)
        at_rows, at_cols = ruler.view(1, -1, 1) + wave[:, 0], ruler.view(1, 1, -1) + wave[:, 1]
        at_rows = functional.grid_sample(
            _source_rows(knots, ruler).unsqueeze(1),
            _normalised(at_rows, at_cols, side),
            padding_mode="border",
            align_corners=False,
        )[:, 0]
        back = torch.linalg.inv(matrix)
        down, right = at_rows - middle, at_cols - middle
        cut_rows = back[:, 0, 0, None, None] * down + back[:, 0, 1, None, None] * right
        cut_cols = back[:, 1, 0, None, None] * down + back[:, 1, 1, None, None] * right
        grid = _normalised(
            cut_rows + centre[:, 0, None, None], cut_cols + centre[:, 1, None, None], CUT_SIDE_PX
        )
        image = functional.grid_sample(
            self.cuts.images[rows].unsqueeze(1).float() / 255, grid, align_corners=False
        )
        coarser = functional.avg_pool2d(grid.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        mask = functional.grid_sample(
            self.cuts.masks[rows].unsqueeze(1).float() / 255, coarser, align_corners=False
        )
        return image, functional.avg_pool2d(mask, 2), points

    def _greys(self, image: Tensor, over: Tensor) -> Tensor:
        """Change contrast, curve, sharpness and noise, and lay lines, letters, blocks and clutter over."""
        count, side = len(image), image.shape[2]
        draw = _Draws(count, image.device)
        margin = (CUT_SIDE_PX - side) // 2
        clutter = over[:, None, margin : margin + side, margin : margin + side].float() / 255
        clutter = clutter - clutter.mean(dim=(2, 3), keepdim=True)
        spread = image.std(dim=(2, 3), keepdim=True) / clutter.std(dim=(2, 3), keepdim=True).clamp(min=0.02)
        image = image + draw.some(self.chance.overlaid) * draw.uniform(0.15, 0.6) * spread * clutter
        image = _stretched(image)
        image = image.clamp(min=1e-4) ** (draw.some(0.8) * draw.normal(0.35)).exp()
        field, more = _grain(count, 2, side, image.device), _grain(count, 2, side, image.device)
        image = image + draw.some(0.5) * (0.25 * field * image + 0.1 * more)
        windowed, low = draw.some(0.6), draw.uniform(-0.3, 0.15)
        high = 1 + draw.uniform(-0.15, 0.4)
        image = torch.where(windowed > 0, (image - low) / (high - low).clamp(min=0.3), image)
        softer = draw.some(0.35)
        sharper = (1 - softer) * draw.some(0.35)
        gain = sharper * draw.uniform(0.2, 1.2) - softer
        # Finer and coarser than a film blurs: sigma 0.3 to 3 px of the close look.
        sigma = (draw.uniform(-1.2, 1.1)).exp()
        image = image + gain * (image - _blurred(image, sigma.flatten()))
        for coarse, rate, strength in ((1, 0.5, 0.09), (2, 0.35, 0.06), (4, 0.15, 0.05)):
            noise = torch.randn((count, 1, side // coarse, side // coarse), device=image.device)
            if coarse > 1:
                noise = functional.interpolate(noise, size=(side, side), mode="bilinear", align_corners=False)
            image = image + draw.some(rate) * draw.normal(strength).abs() * noise
        image = image.clamp(0, 1)
        image = _without_block(image, draw)
        which = torch.randint(0, _STAMPS, (count,), device=image.device)
        value, ink = (stamp[which].unsqueeze(1).float() / 255 for stamp in self.stamps)
        ink = ink * draw.some(0.3)
        return image * (1 - ink) + value * ink


class _Draws:
    """Numbers of chance, one for each sample, shape (B, 1, 1, 1)."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.shape, self.device = (count, 1, 1, 1), device

    def some(self, rate: float) -> Tensor:
        """1 for this share of the samples, else 0."""
        return (torch.rand(self.shape, device=self.device) < rate).float()

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.shape, device=self.device)

    def normal(self, sd: float) -> Tensor:
        return sd * torch.randn(self.shape, device=self.device)


def thinned(drawn: Drawn, group: str, share: float) -> Drawn:
    """Keep this share of the samples of a group, by chance; others of the batch take the places of the rest.

    The batch keeps its size: where every batch had another, a step on a GPU took seconds.
    """
    if share >= 1:
        return drawn
    count, device = len(drawn.facts), drawn.facts.device
    of_group = drawn.fact("group") == GROUPS.index(group)
    keep = ~of_group | (torch.rand(count, device=device) < share)
    shows = torch.arange(count, device=device) < drawn.bodies
    rows = torch.arange(count, device=device)
    for alike in (shows, ~shows):
        given = (keep & alike).nonzero()[:, 0]
        lost = ~keep & alike
        if len(given):
            rows[lost] = given[torch.randint(len(given), (int(lost.sum()),), device=device)]
    parts = (drawn.image, drawn.mask, drawn.points, drawn.facts, drawn.upside_down)
    image, mask, points, facts, upside_down = (part[rows] for part in parts)
    return Drawn(image, mask, points, facts, upside_down, drawn.bodies)


def points_batch(drawn: Drawn) -> Batch:
    """Say what the point network is fed and asked; see `losses` for the names."""
    body, facts = drawn.is_body, drawn.fact
    points = (drawn.points + 0.5) / 2 - 0.5
    side = FINE_SIDE_PX // 2
    inside = ((points > 1) & (points < side - 2)).all(dim=2)
    known = inside & ((facts("whole") > 0) & body).unsqueeze(1)
    six = facts("six") > 0
    phantom = (facts("group") == GROUPS.index("phantom")) & body
    level = torch.where(body & ~drawn.upside_down, facts("level"), torch.full_like(facts("level"), -1))
    flags = torch.stack([facts("metal"), facts("cement"), 1 - facts("whole")], dim=1).float()
    return {
        "image": _even(functional.avg_pool2d(drawn.image, 2)),
        "points": points,
        "points_valid": (known & _with_middles(six)).float(),
        "mask": drawn.mask,
        # Corners alone make a straight-sided outline: better than nothing, but not the body's own.
        "mask_valid": (body * torch.where(six, 1.0, 0.3)).view(-1, 1, 1, 1),
        "body": body.float(),
        "body_valid": torch.ones_like(body, dtype=torch.float32),
        "level": level,
        "flags": flags,
        "flags_valid": phantom.float().unsqueeze(1).expand(-1, flags.shape[1]),
    }


def corners_batch(drawn: Drawn, errors: Sequence[float], shares: Sequence[float]) -> Batch:
    """Say what the corner network is fed and asked, about points as wrong as the point network leaves them.

    Samples without a body are left out.

    Parameters
    ----------
    errors, shares : sequence of float
        How wrong points are, as standard deviations in depths of the body, and how often.
    """
    image, points, facts = (
        drawn.image[: drawn.bodies],
        drawn.points[: drawn.bodies],
        drawn.facts[: drawn.bodies],
    )
    told = _told(points, errors, shares)
    front, back = told[:, [0, 5]].mean(dim=1), told[:, [2, 3]].mean(dim=1)
    along = back - front
    depth = along.norm(dim=1).clamp(min=1e-3)
    backward = along / depth[:, None]
    down = torch.stack([backward[:, 1], -backward[:, 0]], dim=1)
    sign = torch.tensor([-1.0 if upside else 1.0 for upside in INFERIOR], device=image.device)
    zoom = PATCHES_PER_DEPTH / depth
    # Rows of a patch run down the body (up, in those of the inferior endplate), columns from front to back.
    axes = torch.stack(
        [sign.view(1, -1, 1) * down[:, None], backward[:, None].expand(-1, len(INFERIOR), -1)], dim=2
    )
    offset = ((points - told).unsqueeze(2) * axes).sum(dim=3) * zoom.view(-1, 1, 1)
    truth = offset + (PATCH_SIDE_PX - 1) / 2
    soft = _blurred(image, torch.full((len(image),), 0.42 * CONTEXT_STEP, device=image.device))
    close, wide = (
        _patches(picture, told, axes, zoom, step) for picture, step in ((image, 1.0), (soft, CONTEXT_STEP))
    )
    mean, spread = wide.mean(dim=(2, 3), keepdim=True), wide.std(dim=(2, 3), keepdim=True) + 1e-4
    patches = torch.stack([(close - mean) / spread, (wide - mean) / spread], dim=2).flatten(1, 2)
    seen = ((points > 1) & (points < FINE_SIDE_PX - 2)).all(dim=2)
    near = ((truth > 0) & (truth < PATCH_SIDE_PX - 1)).all(dim=2)
    whole, six = (facts[:, FACTS.index(name)] > 0 for name in ("whole", "six"))
    known = seen & near & whole.unsqueeze(1) & _with_middles(six)
    return {"image": patches, "points": truth, "points_valid": known.float()}


def _with_middles(six: Tensor) -> Tensor:
    """Which of the six points are known, shape (B, 6): corners always, middles of endplates where `six`."""
    corner = torch.tensor([True, False, True, True, False, True], device=six.device)
    return corner | six.unsqueeze(1)


def _told(points: Tensor, errors: Sequence[float], shares: Sequence[float]) -> Tensor:
    """Points as another network might tell them: moved together, and each for itself."""
    count, device = len(points), points.device
    kind = torch.multinomial(torch.tensor(list(shares), device=device), count, replacement=True)
    error = torch.tensor(list(errors), device=device)[kind].view(-1, 1, 1)
    corners = points[:, [0, 2, 3, 5]]
    depth = (corners[:, 1:3].mean(dim=1) - corners[:, [0, 3]].mean(dim=1)).norm(dim=1).view(-1, 1, 1)
    centre = corners.mean(dim=1, keepdim=True)
    turn = torch.deg2rad(40 * error * torch.randn_like(error))
    zoom = (0.5 * error * torch.randn_like(error)).exp()
    away = points - centre
    turned = torch.cat(
        [
            turn.cos() * away[..., :1] - turn.sin() * away[..., 1:],
            turn.sin() * away[..., :1] + turn.cos() * away[..., 1:],
        ],
        dim=2,
    )
    moved = centre + 0.5 * error * depth * torch.randn_like(centre) + zoom * turned
    told: Tensor = moved + error * depth * torch.randn_like(points)
    return told


def _patches(image: Tensor, told: Tensor, axes: Tensor, zoom: Tensor, step: float) -> Tensor:
    """Patches about six points, shape (B, 6, side, side)."""
    side = PATCH_SIDE_PX
    ruler = (torch.arange(side, device=image.device) - (side - 1) / 2) * step
    scaled = axes / zoom.view(-1, 1, 1, 1)
    # (B, 6, rows, cols, 2)
    places = (
        told[:, :, None, None]
        + ruler.view(1, 1, -1, 1, 1) * scaled[:, :, None, None, 0]
        + ruler.view(1, 1, 1, -1, 1) * scaled[:, :, None, None, 1]
    )
    grid = _normalised(places[..., 0], places[..., 1], image.shape[2]).flatten(1, 2)
    return functional.grid_sample(image, grid, align_corners=False).view(len(image), 6, side, side)


def _normalised(rows: Tensor, cols: Tensor, side: int) -> Tensor:
    """Places in pixels as `grid_sample` wants them."""
    return torch.stack([(cols + 0.5) * (2.0 / side) - 1.0, (rows + 0.5) * (2.0 / side) - 1.0], dim=-1)


def _even(image: Tensor) -> Tensor:
    """Mean 0 and SD 1, sample by sample."""
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return (image - mean) / (image.std(dim=(1, 2, 3), keepdim=True, unbiased=False) + 1e-4)


def _stretched(image: Tensor) -> Tensor:
    """Stretch to 0 to 1 by percentiles 1 and 99, so that changes of grey mean the same everywhere."""
    some = image[:, 0, ::4, ::4].flatten(1).sort(dim=1).values
    count = some.shape[1] - 1
    low, high = some[:, round(0.01 * count)], some[:, round(0.99 * count)]
    low, high = low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1)
    return ((image - low) / (high - low).clamp(min=1e-3)).clamp(0, 1)


def _grain(count: int, cells: int, side: int, device: torch.device, channels: int = 1) -> Tensor:
    grain = torch.randn((count, channels, cells + 2, cells + 2), device=device)
    return functional.interpolate(grain, size=(side, side), mode="bicubic", align_corners=False)


def _blurred(image: Tensor, sigma_px: Tensor) -> Tensor:
    """Gaussian blur with a sigma of its own for each sample, shape (B,)."""
    reach = torch.arange(-_BLUR_REACH_PX, _BLUR_REACH_PX + 1, device=image.device, dtype=torch.float32)
    kernel = (-0.5 * (reach / sigma_px.view(-1, 1)) ** 2).softmax(dim=1)
    count, side = len(image), image.shape[2:]
    flat = functional.pad(image, (_BLUR_REACH_PX,) * 4, mode="replicate").view(
        1, count, *(s + 2 * _BLUR_REACH_PX for s in side)
    )
    flat = functional.conv2d(flat, kernel.view(count, 1, -1, 1), groups=count)
    return functional.conv2d(flat, kernel.view(count, 1, 1, -1), groups=count).view_as(image)


def _without_block(image: Tensor, draw: _Draws) -> Tensor:
    """Cover a block of some samples with the mean of the sample."""
    side = image.shape[2]
    ruler = torch.arange(side, device=image.device)
    rows, cols = ruler.view(1, 1, -1, 1), ruler.view(1, 1, 1, -1)
    high, wide = draw.uniform(0.04, 0.25) * side, draw.uniform(0.04, 0.25) * side
    top, left = draw.uniform(0, 1) * (side - high), draw.uniform(0, 1) * (side - wide)
    inside = (rows >= top) & (rows < top + high) & (cols >= left) & (cols < left + wide)
    return torch.where(inside & (draw.some(0.12) > 0), image.mean(dim=(2, 3), keepdim=True), image)


def _poses(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices (B, 2, 2) and centres (B, 2) that carry points of a cut to a crop: M (p - c) + middle."""
    wide = torch.where(torch.rand(count, device=device) < 0.15, 2.0, 1.0)
    shift = 0.07 * _DEPTH_PX * wide[:, None] * torch.randn((count, 2), device=device)
    turn = torch.deg2rad(5.0 * wide * torch.randn(count, device=device))
    zoom = (0.09 * wide * torch.randn(count, device=device)).exp()
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    matrix = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
    return matrix, shift + (CUT_SIDE_PX - 1) / 2


_KINDS_OF_LOSS: Final = (0.5, 0.25, 0.2, 0.05)
"""Wedge, biconcave, crush, posterior; as `augment.draw_squash` draws them."""


def _losses(count: int, chance: Chance, device: torch.device) -> Tensor:
    """Height lost at the superior and the inferior endplate, at front, middle and back, shape (B, 2, 3)."""
    draw = torch.rand((8, count), device=device)
    even = -chance.squash_gain + (chance.squash_largest + chance.squash_gain) * draw[0]
    loss = torch.where(draw[1] < 0.8, even, 0.05 * torch.randn(count, device=device))
    loss = loss * (draw[2] < chance.squash_rate)
    one = torch.ones_like(loss)
    shapes = torch.stack(
        [
            torch.stack([one, 0.55 * one, 0.3 * draw[3]]),
            torch.stack([0.4 * draw[4], one, 0.3 * draw[3]]),
            torch.stack([one, one, 0.6 + 0.4 * draw[3]]),
            torch.stack([0.2 * draw[4], 0.5 * one, 0.8 * one]),
        ]
    )
    kind = torch.multinomial(torch.tensor(_KINDS_OF_LOSS, device=device), count, replacement=True)
    lost = shapes[kind, :, torch.arange(count, device=device)] * loss[:, None]
    share = draw[5][:, None]
    return torch.stack([share * lost, (1 - share) * lost], dim=1)


def squash_knots(points: Tensor, lost: Tensor) -> Tensor:
    """Rows of the knots of `augment.squash_maps` for every column, before and after: (B, 2, 4, side)."""
    count, device = len(points), points.device
    columns = torch.arange(FINE_SIDE_PX, device=device, dtype=torch.float32)

    def line(first: Tensor, second: Tensor) -> Tensor:
        run = second[:, 1] - first[:, 1]
        slope = (second[:, 0] - first[:, 0]) / torch.where(run.abs() > 1, run, torch.ones_like(run))
        return first[:, :1] + slope.clamp(-1, 1)[:, None] * (columns - first[:, 1:])

    sa, _, sp, ip, _, ia = points.unbind(dim=1)
    superior, inferior = line(sa, sp), line(ia, ip)
    # Chords may cross far outside the body; keep them apart there.
    inferior = torch.maximum(inferior, superior + 4)
    height = inferior - superior
    front, back = (sa[:, 1] + ia[:, 1]) / 2, (sp[:, 1] + ip[:, 1]) / 2
    along = (columns - front[:, None]) / (back - front).clamp(min=1.0)[:, None]
    over = ((along > 0) & (along < 1)).float()
    along = along.clamp(-CARRIED_ON, 1 + CARRIED_ON)

    def profile(at: Tensor) -> Tensor:
        f, m, b = (at[:, n, None] for n in range(3))
        curve = f * (1 - along) * (1 - 2 * along) + 4 * m * along * (1 - along) + b * along * (2 * along - 1)
        return curve.clamp(-0.3, 0.48)

    span = math.log(FARTHEST / THINNEST) * torch.rand(count, device=device)
    taken_up = (THINNEST * span.exp() * height.mean(dim=1))[:, None]
    follows = (0.3 + 0.7 * torch.rand(count, device=device)) * (torch.rand(count, device=device) < 0.75)

    def following(move: Tensor) -> Tensor:
        wanted = follows * (move * over).sum(dim=1) / over.sum(dim=1).clamp(min=1)
        return torch.minimum(wanted, move.amin(dim=1) + (1 - LEFT) * taken_up[:, 0])[:, None]

    down, up = height * profile(lost[:, 0]), height * profile(lost[:, 1])
    before = torch.stack([superior - taken_up, superior, inferior, inferior + taken_up], dim=1)
    wide = torch.ones_like(down)
    moves = torch.stack([following(down) * wide, down, -up, -following(up) * wide], dim=1)
    return torch.stack([before, before + moves], dim=1)


def _carried(rows: Tensor, fro: Sequence[Tensor], to: Sequence[Tensor]) -> Tensor:
    """Carry rows as four knots move; beyond the outer ones they keep their distance."""
    out = rows + to[0] - fro[0]
    for n in range(3):
        stretch = (to[n + 1] - to[n]) / (fro[n + 1] - fro[n]).clamp(min=1e-3)
        out = torch.where(rows > fro[n], to[n] + (rows - fro[n]) * stretch, out)
    return torch.where(rows > fro[3], rows + to[3] - fro[3], out)


def _source_rows(knots: Tensor, ruler: Tensor) -> Tensor:
    """Row of the unsquashed crop that each pixel is taken from, shape (B, side, side)."""
    before, after = ([each[:, n, None] for n in range(4)] for each in knots.unbind(dim=1))
    return _carried(ruler.view(1, -1, 1), after, before)


def squashed_points(points: Tensor, knots: Tensor) -> Tensor:
    """Move points as `_source_rows` moves the picture."""
    r, c = points[..., 0], points[..., 1]
    low = c.floor().clamp(0, FINE_SIDE_PX - 2)
    part = (c - low).clamp(0, 1).unsqueeze(1)
    index = low.long().unsqueeze(1).expand(-1, 8, -1)
    flat = knots.flatten(1, 2)
    at = flat.gather(2, index) * (1 - part) + flat.gather(2, index + 1) * part
    rows = at.unbind(dim=1)
    return torch.stack([_carried(r, rows[:4], rows[4:]), c], dim=2)


def _wave(count: int, side: int, device: torch.device) -> Tensor:
    """Smooth displacement of half of the samples, shape (B, 2, side, side), in pixels."""
    cells = 1 + int(torch.randint(0, 3, ()).item())
    size = 2.5 * torch.randn(count, device=device).abs() * (torch.rand(count, device=device) < 0.5)
    return _grain(count, cells, side, device, channels=2) * size.view(-1, 1, 1, 1)


def _displaced(points: Tensor, wave: Tensor) -> Tensor:
    """Where points land when a picture is sampled at ``p + wave(p)``: solves q + wave(q) = p."""
    moved = points
    for _ in range(8):
        grid = _normalised(moved[..., 0], moved[..., 1], wave.shape[2]).unsqueeze(2)
        shift = functional.grid_sample(wave, grid, padding_mode="border", align_corners=False)
        moved = points - shift[..., 0].transpose(1, 2)
    return moved
