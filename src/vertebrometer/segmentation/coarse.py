"""From the coarse network's maps to single bodies: seeds, poses, a chain from the top, its front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.segmentation.coarse_view import CORE_SHARE, CoarseView, fed, resampled
from vertebrometer.segmentation.frames import BodyPose, downward
from vertebrometer.types import BoolMask, ChannelImage, FloatArray, GrayImage, LabelMap, Predictor

IndexArray = NDArray[np.intp]

TYPICAL_DEPTH_PX: Final = 18.0
"""Depth of a middling body in the coarse view; the scale is chosen to come near it."""
_MULTIPLE: Final = 16
"""Where a predictor does not say what multiples its sides must have."""
_COARSEST_PIXEL_MM: Final = 1.5
_SEED_LEVELS: Final = (0.45, 0.6, 0.75, 0.88)
_LEAST_CORE_PX: Final = 4
_USUAL_CHANGE: Final = 0.25
"""How much the logarithm of the depth changes, at most, between neighbours that are seen rightly."""
_LADDER_PX: Final = (110, 155, 220, 311, 440, 622)
"""Longer sides of a film at which it is looked at where its scale is not known."""
_QUICK_PX: Final = _LADDER_PX[:4]
"""Those that take a quarter of the time of all."""
_FITS: Final = 2.0
"""Fitness from which a scale is believed without a look at others: two or three bodies in order."""
_JUDGED: Final = 3
"""Scales that are looked at more closely."""
_CLEARLY: Final = 1.5
"""How many times as much another scale must be worth to be taken instead of the one that fits best."""
_ALONE: Final = 0.3
"""Evenness of a body without neighbours."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FoundBody:
    """A body as the coarse stage sees it, in pixels of the image that was looked at."""

    pose: BodyPose
    height_px: float
    score: float
    """0 to 1: mean probability over its pixels."""
    touches_border: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CoarseFinding:
    """All bodies of a film in a chain from the top, and what was seen beside them."""

    bodies: tuple[FoundBody, ...]
    front_right: float
    """-1 the spine surely faces left, 1 surely right, about 0 unsure."""
    sacrum_rc: FloatArray | None
    """Centre of the upper sacrum where it was seen, shape (2,)."""
    sacrum_score: float
    scale: float
    """Coarse pixels per pixel of the image that was looked at."""


def probability_maps(image: GrayImage, predictor: Predictor) -> ChannelImage:
    """Return maps of `COARSE_CHANNELS`, each 0 to 1, for a coarse image of any size."""
    rows, cols = image.shape
    step = getattr(predictor, "multiple_of_px", _MULTIPLE)
    high, wide = (-(-n // step) * step for n in (rows, cols))
    canvas = np.zeros((high, wide), np.float32)
    canvas[:rows, :cols] = image
    logits = predictor(fed(canvas)[None, None])["mask"][0, :, :rows, :cols]
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


def look(even: GrayImage, scale: float, predictor: Predictor) -> CoarseFinding:
    """Find bodies at one scale; poses come back in pixels of `even`."""
    view = resampled(even, (scale, scale))
    return finding_of(probability_maps(view.image, predictor), view)


def finding_of(maps: ChannelImage, view: CoarseView) -> CoarseFinding:
    """Turn maps into bodies, in pixels of the image that `view` was made of."""
    seeds = _seeds(maps[1])
    regions = _regions(maps[0], seeds)
    bodies = chain([body for pixels in _pixels_of(regions) if (body := _body(maps, *pixels)) is not None])
    back = np.array([body.pose.backward_rc[1] * body.score for body in bodies])
    front_right = float(-back.sum() / max(np.abs(back).sum(), 1e-9)) if bodies else 0.0
    sacrum, score = _sacrum(maps[3])
    return CoarseFinding(
        bodies=tuple(_enlarged(body, view) for body in bodies),
        front_right=front_right,
        sacrum_rc=None if sacrum is None else _to_image(sacrum, view),
        sacrum_score=score,
        scale=view.scale_rc[0],
    )


def _labelled(mask: BoolMask) -> tuple[LabelMap, list[tuple[slice, slice]]]:
    """Return the components of a mask, numbered from 1, and the box of each."""
    # OpenCV and not scipy.ndimage, whose import takes longer than the work.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    boxes = [(slice(top, top + high), slice(left, left + wide)) for left, top, wide, high, _ in stats[1:]]
    return np.asarray(labels, dtype=np.int32), boxes


def _seeds(core: GrayImage) -> LabelMap:
    """One seed per body: a component of the core map, split where a higher threshold splits it."""
    labels, boxes = _labelled(core > _SEED_LEVELS[0])
    out: LabelMap = np.zeros(core.shape, np.int32)
    number = 0
    for n, where in enumerate(boxes, 1):
        part = labels[where] == n
        for piece in _split(core[where], part, 1):
            number += 1
            out[where][piece] = number
    return out


def _split(core: GrayImage, part: BoolMask, step: int) -> list[BoolMask]:
    if part.sum() < _LEAST_CORE_PX:
        return []
    if step == len(_SEED_LEVELS):
        return [part]
    pieces, boxes = _labelled(part & (core > _SEED_LEVELS[step]))
    count = len(boxes)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = [n + 1 for n in range(count) if sizes[n] >= max(_LEAST_CORE_PX, 0.2 * part.sum())]
    if len(large) >= 2:
        return [kept for n in large for kept in _split(core, pieces == n, step + 1)]
    return [part] if not large or step + 1 >= len(_SEED_LEVELS) else _deeper(core, part, step)


def _deeper(core: GrayImage, part: BoolMask, step: int) -> list[BoolMask]:
    """Look whether a still higher threshold splits the part; keep the whole part where none does."""
    pieces = _split(core, part & (core > _SEED_LEVELS[step]), step + 1)
    return pieces if len(pieces) >= 2 else [part]


def _regions(body: GrayImage, seeds: LabelMap) -> LabelMap:
    """Give each body pixel to the seed nearest to it."""
    if not seeds.any():
        return seeds
    # A seed covers the inner part of its body; what is farther than that part is large is another body's.
    reach = np.sqrt(np.bincount(seeds.ravel()).astype(float)) * (1 / CORE_SHARE - 1) * 0.95 + 1.5
    margin = int(np.ceil(reach[1:].max()))
    away_squared = np.full(seeds.shape, np.inf)
    labels = np.zeros_like(seeds)
    tied = np.zeros(seeds.shape, np.bool_)
    for n, pixels in enumerate(_pixels_of(seeds), 1):
        near = tuple(slice(max(int(at.min()) - margin, 0), int(at.max()) + margin + 1) for at in pixels)
        others = (seeds[near] != n).astype(np.uint8)
        # Squares are whole numbers, so that equal distances come out equal.
        own = np.rint(cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) ** 2)
        nearer = own < away_squared[near]
        tied[near] = (tied[near] & ~nearer) | (own == away_squared[near])
        away_squared[near][nearer] = own[nearer]
        labels[near][nearer] = n
    inside = (body > 0.5) | (seeds > 0)
    rows, cols = np.nonzero(seeds)
    for row, col in np.argwhere(tied & inside):
        # Of several that are nearest the one farthest to the left decides, as with scipy's transform: on a
        # faint film a single pixel can tip how many bodies are told.
        first = np.argmin(((rows - row) ** 2 + (cols - col) ** 2) * seeds.shape[1] + cols)
        labels[row, col] = seeds[rows[first], cols[first]]
    return np.where(inside & (np.sqrt(away_squared) <= reach[labels]), labels, 0).astype(np.int32)


def _pixels_of(labels: LabelMap) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield rows and columns of the pixels of each label from 1."""
    rows, cols = np.nonzero(labels)
    owner = labels[rows, cols]
    for n in range(1, int(owner.max(initial=0)) + 1):
        own = owner == n
        yield rows[own], cols[own]


def _body(maps: ChannelImage, rows: IndexArray, cols: IndexArray) -> FoundBody | None:
    """Pose of one region by its moments; front and back from the map of front halves."""
    if rows.size < 3 * _LEAST_CORE_PX:
        return None
    weight = maps[0][rows, cols].astype(float)
    front = weight * maps[2][rows, cols]
    rear = weight * (1 - maps[2][rows, cols])
    if min(front.sum(), rear.sum()) < 0.02 * weight.sum():
        return None
    points = np.column_stack([rows, cols]).astype(float)
    centre = weight @ points / weight.sum()
    back = rear @ points / rear.sum() - front @ points / front.sum()
    length = float(np.linalg.norm(back))
    if length < 1.0:
        return None
    back = back / length
    down = downward(back)
    off = points - centre
    depth, height = (
        float(np.sqrt(12 * (weight @ (off @ axis) ** 2) / weight.sum()) + 0.3) for axis in (back, down)
    )
    edge = maps.shape[1:]
    touches = bool(
        rows.min() <= 0 or cols.min() <= 0 or rows.max() >= edge[0] - 1 or cols.max() >= edge[1] - 1
    )
    return FoundBody(
        pose=BodyPose(centre, back, depth),
        height_px=height,
        score=float(np.clip(weight.mean(), 0, 1)),
        touches_border=touches,
    )


def chain(bodies: Sequence[FoundBody]) -> list[FoundBody]:
    """Keep the bodies that stand in one line, from the top: the chain of the largest total score."""
    ordered = sorted(bodies, key=lambda body: float(body.pose.centre_rc[0]))
    best: list[tuple[float, int]] = []
    for n, body in enumerate(ordered):
        options = [(best[m][0] + body.score + _link(ordered[m], body), m) for m in range(n)]
        good = max((option for option in options if option[0] > body.score), default=(body.score, -1))
        best.append(good)
    if not best:
        return []
    place = int(np.argmax([score for score, _ in best]))
    kept = []
    while place >= 0:
        kept.append(ordered[place])
        place = best[place][1]
    return kept[::-1]


def _link(upper: FoundBody, lower: FoundBody) -> float:
    """How well `lower` follows `upper`: about 0 for neighbours, very negative where it can't."""
    step = lower.pose.centre_rc - upper.pose.centre_rc
    size = (upper.pose.depth_px + lower.pose.depth_px) / 2
    length = float(np.linalg.norm(step)) / size
    down = downward(upper.pose.backward_rc) + downward(lower.pose.backward_rc)
    cosine = float(step @ down / max(float(np.linalg.norm(step) * np.linalg.norm(down)), 1e-9))
    ratio = abs(float(np.log(upper.pose.depth_px / lower.pose.depth_px)))
    if length < 0.3 or cosine < 0.6 or length > 6 or ratio > 0.9:
        return -1e9
    gap = max(0.0, length - 1.5)
    return -0.25 * gap - 0.8 * max(0.0, 0.9 - cosine) - 0.4 * max(0.0, ratio - 0.3)


def _sacrum(probability: GrayImage) -> tuple[FloatArray | None, float]:
    labels, boxes = _labelled(probability > 0.4)
    if not boxes:
        return None, 0.0
    weights = np.bincount(labels.ravel(), probability.ravel())
    place = int(np.argmax(weights[1:])) + 1
    if weights[place] < 12:
        return None, 0.0
    where = np.argwhere(labels == place)
    weight = probability[labels == place].astype(float)
    return weight @ where / weight.sum(), float(weight.mean())


def _to_image(point: FloatArray, view: CoarseView) -> FloatArray:
    return np.asarray((point + 0.5) / np.array(view.scale_rc) - 0.5)


def _enlarged(body: FoundBody, view: CoarseView) -> FoundBody:
    scale = float(np.mean(view.scale_rc))
    pose = BodyPose(_to_image(body.pose.centre_rc, view), body.pose.backward_rc, body.pose.depth_px / scale)
    return replace(body, pose=pose, height_px=body.height_px / scale)


def faced_alike(finding: CoarseFinding) -> CoarseFinding:
    """Turn the few bodies round whose front was seen on the other side than the spine's."""
    sign = -1.0 if finding.front_right > 0 else 1.0
    bodies = tuple(
        body
        if body.pose.backward_rc[1] * sign > 0
        else replace(body, pose=BodyPose(body.pose.centre_rc, -body.pose.backward_rc, body.pose.depth_px))
        for body in finding.bodies
    )
    return replace(finding, bodies=bodies)


def scale_fitness(finding: CoarseFinding) -> float:
    """How well the bodies' size suits the network: their number, weighed by score, by size and by order.

    At a wrong scale rims, ribs and bowel make bodies too, and often more of them,
    but not of one size and not in even steps.
    """
    depths = np.array([body.pose.depth_px * finding.scale for body in finding.bodies])
    scores = np.array([body.score for body in finding.bodies])
    if depths.size == 0:
        return 0.0
    suits = np.exp(-0.5 * (np.log(depths / TYPICAL_DEPTH_PX) / 0.4) ** 2)
    return float((scores * suits * _order(finding.bodies)).sum())


def _order(bodies: Sequence[FoundBody]) -> FloatArray:
    """0 to 1 for each body: how evenly it follows the one above and is followed by the one below."""
    if len(bodies) < 2:
        return np.full(len(bodies), _ALONE)
    links = np.array([_evenness(upper, lower) for upper, lower in pairwise(bodies)])
    return np.asarray((np.append(links[0], links) + np.append(links, links[-1])) / 2)


def _evenness(upper: FoundBody, lower: FoundBody) -> float:
    """1 for neighbours of one size, a usual step apart along the spine; 0 for any two bodies."""
    step = lower.pose.centre_rc - upper.pose.centre_rc
    down = downward(upper.pose.backward_rc) + downward(lower.pose.backward_rc)
    long = max(float(np.linalg.norm(step)), 1e-9)
    cosine = float(step @ down / (long * max(float(np.linalg.norm(down)), 1e-9)))
    size = (upper.pose.depth_px + lower.pose.depth_px) / 2
    uneven = abs(float(np.log(upper.pose.depth_px / lower.pose.depth_px))) / _USUAL_CHANGE
    # Steps from 0.85 to 1.4 depths are all usual; beside a crushed body they are shorter.
    astray = max(0.0, abs(float(np.log(long / size / 1.1))) - 0.25) / 0.2
    return max(0.0, cosine) * float(np.exp(-0.5 * (uneven**2 + astray**2)))


def _by_fitness(finding: CoarseFinding, _: float) -> float:
    return scale_fitness(finding)


class CoarseLooks:
    """The coarse network looking at one film; it looks at the same scale only once.

    Parameters
    ----------
    even : GrayImage
        The film with square pixels, its contrast evened out.
    predictor : Predictor
        The trained network.
    """

    def __init__(self, even: GrayImage, predictor: Predictor) -> None:
        self.even = even
        self._predictor = predictor
        self._findings: dict[float, CoarseFinding] = {}

    def at(self, scale: float) -> CoarseFinding:
        """Find bodies at one scale, in coarse pixels per pixel of the film."""
        if scale not in self._findings:
            self._findings[scale] = look(self.even, scale, self._predictor)
        return self._findings[scale]


def likely_findings(looks: CoarseLooks, *, pixel_mm: float | None, coarse_mm: float) -> list[CoarseFinding]:
    """Find bodies at the scale that the spacing says or, where that finds little, at many; best fit first."""
    first = _stated(looks, pixel_mm, coarse_mm)
    if first and scale_fitness(first[0]) >= _FITS:
        return first
    return _fitting_first([*first, *_at_sides(looks, _LADDER_PX)])


def first_impression(looks: CoarseLooks, *, pixel_mm: float | None, coarse_mm: float) -> CoarseFinding:
    """Find bodies where that costs little; at all scales only where little is found so."""
    likely = _stated(looks, pixel_mm, coarse_mm) or _fitting_first(_at_sides(looks, _QUICK_PX))
    if scale_fitness(likely[0]) < _FITS:
        likely = likely_findings(looks, pixel_mm=pixel_mm, coarse_mm=coarse_mm)
    return likely[0]


def _stated(looks: CoarseLooks, pixel_mm: float | None, coarse_mm: float) -> list[CoarseFinding]:
    # A film of larger pixels than these would be enlarged; such a spacing is wrong or of no use.
    if pixel_mm is None or not 0 < pixel_mm <= _COARSEST_PIXEL_MM:
        return []
    return [looks.at(pixel_mm / coarse_mm)]


def _at_sides(looks: CoarseLooks, sides_px: Sequence[int]) -> list[CoarseFinding]:
    return [looks.at(side / max(looks.even.shape)) for side in sides_px]


def _fitting_first(findings: Sequence[CoarseFinding]) -> list[CoarseFinding]:
    return sorted(findings, key=scale_fitness, reverse=True)


def find_bodies(
    looks: CoarseLooks,
    *,
    pixel_mm: float | None,
    coarse_mm: float,
    judge: Callable[[CoarseFinding, float], float] = _by_fitness,
) -> CoarseFinding:
    """Find the bodies of a film whose contrast was evened out.

    With a known pixel the nominal scale is tried first; without one, or when
    that finds little, a ladder of scales. The scale is then set by the bodies'
    own size and the film is looked at once more.

    `judge` decides between the scales that fit best: a burned-in ruler has one
    size and even steps too, and only a closer look tells its ticks from bodies.
    It is told what a finding must exceed to be taken and may stop as soon as
    that is out of reach.
    """
    likely = likely_findings(looks, pixel_mm=pixel_mm, coarse_mm=coarse_mm)[:_JUDGED]
    first = likely[0] if len(likely) == 1 else _chosen(likely, judge)
    if not first.bodies:
        return first
    depths = [body.pose.depth_px for body in first.bodies]
    wanted = TYPICAL_DEPTH_PX / float(np.median(depths))
    change = wanted / first.scale
    if 0.85 < change < 1.18:
        return faced_alike(first)
    second = looks.at(wanted)
    better = second if scale_fitness(second) >= 0.9 * scale_fitness(first) else first
    return faced_alike(better)


def _chosen(likely: Sequence[CoarseFinding], judge: Callable[[CoarseFinding, float], float]) -> CoarseFinding:
    """Take the finding that fits best, unless the judge finds another clearly worth more."""
    chosen = likely[0]
    least = _CLEARLY * judge(chosen, 0.0)
    for finding in likely[1:]:
        worth = judge(finding, least)
        if worth > least:
            chosen, least = finding, worth
    return chosen
