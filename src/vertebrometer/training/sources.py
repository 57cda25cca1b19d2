"""Training samples drawn from banks of films: coarse views of a stretch of spine, crops of one body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import BodyTruth, SixPoints, level_number
from vertebrometer.geometry import Affine
from vertebrometer.segmentation.coarse_view import (
    COARSE_CHANNELS,
    COARSE_PIXEL_MM,
    CORE_SHARE,
    SACRUM_SHARE,
    fed,
)
from vertebrometer.segmentation.frames import (
    BLUR_PER_STEP,
    BLURRED_FROM,
    CROP_SIDE_PX,
    BodyPose,
    crop_map,
    normalised,
    pose_of,
)
from vertebrometer.training import degeneration
from vertebrometer.training.augment import (
    degrade,
    displaced_points,
    draw_squash,
    elastic,
    squash_maps,
    squash_points,
    vary_grey,
)
from vertebrometer.training.bank import BankFilm, polygon_mask
from vertebrometer.types import FloatArray, GrayImage, PointsRC

Sample = dict[str, "NDArray[Any] | np.generic"]

_BESIDE: Final = 1.6
"""Depths of a body from which on a crop of that size shows none in its middle."""
_TRIES: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class FilmChoice:
    """Draws a film: first its group by weight, then any film of the group."""

    films: Sequence[BankFilm]
    weights: Mapping[str, float]
    members: dict[str, list[BankFilm]] = field(init=False, default_factory=dict)
    """Films of each group."""

    def __post_init__(self) -> None:
        for film in self.films:
            self.members.setdefault(film.group, []).append(film)

    def __call__(self, rng: np.random.Generator) -> BankFilm:
        """Draw one film."""
        groups = sorted(self.members)
        shares = np.array([self.weights.get(group, 1.0) for group in groups])
        members = self.members[groups[int(rng.choice(len(groups), p=shares / shares.sum()))]]
        return members[int(rng.integers(len(members)))]


def sacrum_outline(s1_endplate_rc: PointsRC) -> PointsRC:
    """Outline the marked part of the sacrum: below its superior endplate, as deep as that is long."""
    posterior, anterior = s1_endplate_rc
    along = anterior - posterior
    down = np.array([abs(along[1]), -along[0] * np.sign(along[1])])
    low = SACRUM_SHARE * down
    narrow = 0.12 * along
    return np.array([posterior, anterior, anterior + low - narrow, posterior + low + narrow])


def front_half(points: SixPoints) -> PointsRC:
    """Outline of the front half of a body, between its corners and mid-endplate points."""
    sa, sm, _, _, im, ia = points.points_rc
    return np.array([sa, sm, im, ia])


@dataclass(frozen=True, slots=True, eq=False)
class CoarseSource:
    """Views of about 24 cm of spine at coarse scale, with the masks of `COARSE_CHANNELS`."""

    choose: FilmChoice
    side_px: int = 160
    channels: int = len(COARSE_CHANNELS)
    """How many of `COARSE_CHANNELS` are taught."""
    largest_zoom: float = 0.45
    """Natural logarithm of the largest change of scale."""
    sacrum: float = 0.2
    """How often a view of a film that shows the sacrum is centred near it."""
    degraded: float = 0.0
    """How often a view is grainy, smeared or lossily compressed."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw one view: `image` (1, s, s), `mask` (4, s, s), `mask_valid` (4, 1, 1)."""
        film = self.choose(rng)
        to_view = self._view(film, rng)
        image = _warp(film.contrast, to_view, self.side_px)
        squeeze = vary_grey(image, rng, strength=0.6)
        if self.degraded and rng.random() < self.degraded:
            squeeze = degrade(squeeze, rng)
        target, valid = coarse_targets(film, to_view, self.side_px)
        return {
            "image": fed(squeeze)[None],
            "mask": target[: self.channels],
            "mask_valid": valid[: self.channels].reshape(-1, 1, 1),
        }

    def _view(self, film: BankFilm, rng: np.random.Generator) -> Affine:
        bodies, s1 = film.truth.bodies, film.truth.s1_endplate_rc
        if s1 is not None and rng.random() < self.sacrum:
            about = s1.mean(axis=0) + rng.normal(0, 0.2, 2) * self.side_px * COARSE_PIXEL_MM / film.pixel_mm
        elif bodies and rng.random() < 0.85:
            about = bodies[int(rng.integers(len(bodies)))].points.centre_rc
            about = about + rng.normal(0, 0.18, 2) * self.side_px * COARSE_PIXEL_MM / film.pixel_mm
        else:
            about = rng.uniform(0, 1, 2) * film.image.shape
        zoom = film.pixel_mm / COARSE_PIXEL_MM * np.exp(rng.uniform(-self.largest_zoom, self.largest_zoom))
        turn = float(rng.normal(0, 6) if rng.random() < 0.85 else rng.uniform(-30, 30))
        middle = np.full(2, (self.side_px - 1) / 2)
        stretch = Affine(np.diag(np.exp(rng.normal(0, 0.05, 2))), np.zeros(2))
        base = Affine.about(about, middle, turn_deg=turn, zoom=float(zoom), mirror=bool(rng.random() < 0.5))
        centred = Affine(np.eye(2), -middle).then(stretch).then(Affine(np.eye(2), middle))
        return base.then(centred)


@dataclass(frozen=True, slots=True, eq=False)
class CanvasSource:
    """Whole films, zero-padded to a square as the paper does, a little turned and scaled."""

    choose: FilmChoice
    side_px: int = 512
    channels: int = 1
    """How many of `COARSE_CHANNELS` are taught."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw one canvas: `image` (1, s, s), `mask` (k, s, s), `mask_valid` (k, 1, 1)."""
        film = self.choose(rng)
        rows, cols = film.contrast.shape
        middle = np.array([rows - 1, cols - 1]) / 2
        zoom = self.side_px / max(rows, cols) * float(np.exp(rng.normal(0, 0.06)))
        centre = np.full(2, (self.side_px - 1) / 2) + rng.normal(0, 0.02, 2) * self.side_px
        mirror = bool(rng.random() < 0.5)
        to_view = Affine.about(middle, centre, turn_deg=float(rng.normal(0, 4)), zoom=zoom, mirror=mirror)
        image = vary_grey(_warp(film.contrast, to_view, self.side_px), rng, strength=0.6)
        target, valid = coarse_targets(film, to_view, self.side_px)
        return {
            "image": fed(image)[None],
            "mask": target[: self.channels],
            "mask_valid": valid[: self.channels].reshape(-1, 1, 1),
        }


def coarse_targets(
    film: BankFilm, to_view: Affine, side_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Masks of `COARSE_CHANNELS` in a view, and which of them are known."""
    shape = (side_px, side_px)
    target = np.zeros((len(COARSE_CHANNELS), *shape), np.float32)
    for body in film.truth.bodies:
        outline = to_view(body.contour_rc)
        if (outline.max(axis=0) < 0).any() or (outline.min(axis=0) > side_px).any():
            continue
        centre = to_view(body.points.centre_rc)
        target[0] = np.maximum(target[0], polygon_mask(outline, shape))
        target[1] = np.maximum(target[1], polygon_mask(centre + CORE_SHARE * (outline - centre), shape))
        target[2] = np.maximum(target[2], polygon_mask(to_view(front_half(body.points)), shape))
    if film.truth.s1_endplate_rc is not None:
        outline = to_view(sacrum_outline(film.truth.s1_endplate_rc))
        target[3] = polygon_mask(outline, shape)
    knows_sacrum = film.group in ("phantom", "other") or film.truth.s1_endplate_rc is not None
    return target, np.array([1, 1, 1, float(knows_sacrum)], np.float32)


def _warp(image: NDArray[np.uint8], to_view: Affine, side_px: int) -> GrayImage:
    """Sample a view, averaging over the pixels that fall together."""
    zoom = float(np.sqrt(abs(np.linalg.det(to_view.matrix))))
    fine = int(np.clip(round(0.8 / zoom), 1, 4))
    grown = to_view.then(Affine(np.eye(2) * fine, np.full(2, 0.5 * (fine - 1))))
    size = (side_px * fine, side_px * fine)
    view = cv2.warpAffine(
        image, grown.as_cv2(), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    if fine > 1:
        view = cv2.resize(view, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(np.asarray(view, dtype=np.float32) / 255, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBody:
    """One body in its crop."""

    crop: GrayImage
    points: PointsRC
    """The six points in pixels of the crop."""
    outline: PointsRC
    upside_down: bool


@dataclass(frozen=True, slots=True, eq=False)
class BodySource:
    """Crops of one body each, as the fine network sees them, and some of no body at all."""

    choose: FilmChoice
    side_px: int = CROP_SIDE_PX
    negatives: float = 0.12
    squash_rate: float = 0.45
    squash_largest: float = 0.5
    """Largest part of its height that a body loses by squashing."""
    squash_gain: float = 0.12
    """Largest part of its height that a body gains by it."""
    fractured: float = 0.0
    """How often a crop is taken from the fractured bodies of a film that has some."""
    upside_down: float = 0.15
    """How often superior and inferior change places, as in half of the looks at a body in use."""
    degraded: float = 0.0
    """How often a crop is grainy, smeared or lossily compressed."""
    overlaid: float = 0.0
    """How often a part of a film without vertebral bodies lies over a crop, as ribs, gas and folds do."""
    worn: float = 0.0
    """How often a disc next to the body is narrowed, slipped or between dense endplates."""
    crests: float = 0.0
    """How often a bony border crosses the crop, as the iliac crest crosses L5."""
    strength: float = 1.0
    """Of all chance in pose, shape and grey; 0 gives the plain crop."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw one crop and all that is known of it; see the losses for the names."""
        film = self.choose(rng)
        whole = [body for body in film.truth.bodies if body.whole]
        if not film.truth.bodies:
            return self._negative(film, rng)
        if rng.random() < self.negatives or not whole:
            return self._negative(film, rng)
        bodies = whole if rng.random() < 0.93 else list(film.truth.bodies)
        return self._positive(film, self.one_of(film, bodies, rng), rng)

    def _positive(self, film: BankFilm, body: BodyTruth, rng: np.random.Generator) -> Sample:
        return self._sample(film, body, self.draw(film, body, rng), rng)

    def one_of(self, film: BankFilm, bodies: Sequence[BodyTruth], rng: np.random.Generator) -> BodyTruth:
        """Draw one of `bodies`, or of the film's fractured ones as often as asked for."""
        broken = [body for body in film.truth.bodies if body.whole and body.fracture != "none"]
        if broken and self.fractured and rng.random() < self.fractured:
            bodies = broken
        return bodies[int(rng.integers(len(bodies)))]

    def draw(self, film: BankFilm, body: BodyTruth, rng: np.random.Generator) -> DrawnBody:
        """Cut one body out, by chance moved, turned, squashed, warped and upside down; greys as they are."""
        to_crop = crop_map(jittered(pose_of(body.points), rng, strength=self.strength), self.side_px)
        points = to_crop(body.points.points_rc)
        outline = to_crop(body.contour_rc)
        source_rows, knots = self._squash(points, rng)
        if knots is not None:
            points, outline = squash_points(points, knots), squash_points(outline, knots)
        largest = 2.5 * self.strength * self.side_px / CROP_SIDE_PX
        wave = elastic(rng, self.side_px, largest) if rng.random() < 0.5 * self.strength else None
        if wave is not None:
            points, outline = displaced_points(points, wave), displaced_points(outline, wave)
        discs = self._worn(film, body, to_crop, rng)
        crop = sampled(film.image, to_crop, self.side_px, source_rows, wave, discs=discs)
        upside = False
        if rng.random() < self.upside_down * self.strength:
            # Upside down a body is still a body: superior and inferior change places.
            crop, upside = crop[::-1].copy(), True
            points = np.column_stack([self.side_px - 1 - points[:, 0], points[:, 1]])[[5, 4, 3, 2, 1, 0]]
            outline = np.column_stack([self.side_px - 1 - outline[:, 0], outline[:, 1]])
        return DrawnBody(crop, points, outline, upside)

    def _worn(
        self, film: BankFilm, body: BodyTruth, to_crop: Affine, rng: np.random.Generator
    ) -> list[tuple[degeneration.WornDisc, degeneration.DiscPlace]]:
        """Choose which discs next to the body are worn, and how."""
        if not self.worn or rng.random() >= self.worn * self.strength:
            return []
        places = discs_of(film, body, to_crop)
        if len(places) > 1 and rng.random() < 0.7:
            places = [places[int(rng.integers(len(places)))]]
        return [(degeneration.draw_worn_disc(rng), place) for place in places]

    def greys(self, crop: GrayImage, rng: np.random.Generator) -> GrayImage:
        """Change greys by chance, as much as `strength` says."""
        if self.strength <= 0:
            return crop
        if self.crests and rng.random() < self.crests * self.strength:
            crest = degeneration.draw_crest(rng, self.side_px, crop.shape)
            crop = np.asarray(crop + crop.std() * crest, dtype=np.float32)
        if self.overlaid and rng.random() < self.overlaid * self.strength:
            crop = self._overlaid(crop, rng)
        varied = vary_grey(_stretched(crop), rng, strength=self.strength)
        if self.degraded and rng.random() < self.degraded * self.strength:
            varied = degrade(varied, rng)
        return varied

    def _overlaid(self, crop: GrayImage, rng: np.random.Generator) -> GrayImage:
        """Add what another film shows beside its spine: attenuations of what lies in one ray add up."""
        film = self.choose(rng)
        pose = beside(film, rng)
        if pose is None:
            return crop
        over = sampled(film.image, crop_map(pose, self.side_px), self.side_px)
        share = float(rng.uniform(0.15, 0.6)) * float(crop.std()) / max(float(over.std()), 0.02)
        return np.asarray(crop + np.float32(share) * (over - over.mean()), dtype=np.float32)

    def _squash(
        self, points: PointsRC, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        if rng.random() >= self.squash_rate * self.strength:
            return None, None
        return squash_maps(draw_squash(rng, self.squash_largest, self.squash_gain), points, self.side_px)

    def _sample(
        self,
        film: BankFilm,
        body: BodyTruth,
        drawn: DrawnBody,
        rng: np.random.Generator,
    ) -> Sample:
        points, outline = drawn.points, drawn.outline
        crop = self.greys(drawn.crop, rng)
        six = film.truth.has_six_points
        known = np.array([1, six, 1, 1, six, 1], np.float32)
        inside = ((points > 1) & (points < self.side_px - 2)).all(axis=1)
        knows_points = float(body.whole)
        return {
            "image": normalised(crop)[None],
            "points": points.astype(np.float32),
            "points_valid": known * inside.astype(np.float32) * knows_points,
            "mask": polygon_mask(outline, (self.side_px, self.side_px))[None],
            # Corners alone make a straight-sided outline: better than nothing, but not the body's own.
            "mask_valid": np.full((1, 1, 1), 1.0 if six else 0.3, np.float32),
            "body": np.float32(1.0),
            "body_valid": np.float32(1.0),
            "level": np.int64(-1 if drawn.upside_down else level_number(body.level)),
            "flags": np.array(
                [body.implant == "metal", body.implant == "cement", not body.whole], np.float32
            ),
            "flags_valid": np.full(3, float(film.group == "phantom"), np.float32),
        }

    def _negative(self, film: BankFilm, rng: np.random.Generator) -> Sample:
        """Draw a crop that is not centred on a body: a disc, the sacrum, anything else."""
        pose = elsewhere(film, rng, strength=self.strength)
        crop = sampled(film.image, crop_map(pose, self.side_px), self.side_px)
        crop = self.greys(crop, rng)
        nothing = np.zeros((1, self.side_px, self.side_px), np.float32)
        return {
            "image": normalised(crop)[None],
            "points": np.full((6, 2), self.side_px / 2, np.float32),
            "points_valid": np.zeros(6, np.float32),
            "mask": nothing,
            "mask_valid": np.zeros((1, 1, 1), np.float32),
            "body": np.float32(0.0),
            "body_valid": np.float32(1.0),
            "level": np.int64(-1),
            "flags": np.zeros(3, np.float32),
            "flags_valid": np.zeros(3, np.float32),
        }


def discs_of(film: BankFilm, body: BodyTruth, to_crop: Affine) -> list[degeneration.DiscPlace]:
    """Where the discs above and below a body lie in its crop, as far as both of their endplates are known."""
    bodies = film.truth.bodies
    at = next(n for n, one in enumerate(bodies) if one is body)
    sa, sp, ip, ia = to_crop(body.points.corners_rc)
    places = []
    if at > 0:
        _, _, ip_above, ia_above = to_crop(bodies[at - 1].points.corners_rc)
        above = np.array([ia_above, ip_above])
        places.append(degeneration.DiscPlace(np.array([sa, sp]), above, below=False))
    if at + 1 < len(bodies):
        sa_below, sp_below, _, _ = to_crop(bodies[at + 1].points.corners_rc)
        places.append(degeneration.DiscPlace(np.array([ia, ip]), np.array([sa_below, sp_below]), below=True))
    elif film.truth.s1_endplate_rc is not None:
        sp_s1, sa_s1 = to_crop(film.truth.s1_endplate_rc)
        places.append(degeneration.DiscPlace(np.array([ia, ip]), np.array([sa_s1, sp_s1]), below=True))
    return places


def elsewhere(film: BankFilm, rng: np.random.Generator, *, strength: float = 1.0) -> BodyPose:
    """Draw a pose on a film that is not centred on a body: a disc, the sacrum, anything else."""
    bodies = film.truth.bodies
    draw = rng.random()
    if bodies and draw < 0.6:
        pose = pose_of(bodies[int(rng.integers(len(bodies)))].points)
        away = rng.choice([-1, 1]) * rng.uniform(0.42, 0.6)
        along = (float(away), float(rng.normal(0, 0.15)))
        if rng.random() < 0.5:
            along = (float(rng.normal(0, 0.4)), float(rng.choice([-1, 1]) * rng.uniform(0.55, 1.6)))
        return jittered(pose.moved(shift=along), rng, strength=strength)
    s1 = film.truth.s1_endplate_rc
    if s1 is not None and draw < 0.8:
        back = s1[0] - s1[1]
        length = float(np.linalg.norm(back))
        pose = BodyPose(s1.mean(axis=0), back / length, length)
        return jittered(pose.moved(shift=(float(rng.uniform(0.25, 1.2)), 0.0)), rng, strength=strength)
    angle = rng.uniform(-0.5, 0.5)
    back = np.array([np.sin(angle), np.cos(angle) * rng.choice([-1, 1])])
    where: FloatArray = rng.uniform(0.02, 0.98, 2) * film.image.shape
    far = all(
        float(np.linalg.norm(where - b.points.centre_rc)) > 0.6 * pose_of(b.points).depth_px for b in bodies
    )
    if not far:
        return elsewhere(film, rng, strength=strength)
    return BodyPose(where, back, float(rng.uniform(18, 45)) / film.pixel_mm)


def beside(film: BankFilm, rng: np.random.Generator) -> BodyPose | None:
    """Draw a pose, turned at will, where a film shows what lies beside its spine; None if none is found."""
    angle = rng.uniform(-np.pi, np.pi)
    back = np.array([np.sin(angle), np.cos(angle)])
    centres = np.array([body.points.centre_rc for body in film.truth.bodies]).reshape(-1, 2)
    for _ in range(_TRIES):
        where: FloatArray = rng.uniform(0.05, 0.95, 2) * film.image.shape
        depth = float(rng.uniform(18, 45)) / film.pixel_mm
        if (np.linalg.norm(centres - where, axis=1) > _BESIDE * depth).all():
            return BodyPose(where, back, depth)
    return None


def jittered(pose: BodyPose, rng: np.random.Generator, *, strength: float = 1.0) -> BodyPose:
    """Move, turn and scale a pose by chance, as wrong as the coarse stage may leave it."""
    s = strength * (2.0 if rng.random() < 0.15 else 1.0)
    return pose.moved(
        shift=(float(rng.normal(0, 0.07 * s)), float(rng.normal(0, 0.07 * s))),
        turn_deg=float(rng.normal(0, 5 * s)),
        zoom=float(np.exp(rng.normal(0, 0.09 * s))),
    )


def _stretched(crop: GrayImage) -> GrayImage:
    """Stretch a crop to 0 to 1 by its own percentiles, so that changes of grey mean the same everywhere."""
    # Every other pixel tells the percentiles as well, in a quarter of the time.
    low, high = np.percentile(crop[::2, ::2], [1, 99])
    return np.asarray(np.clip((crop - low) / max(float(high - low), 1e-3), 0, 1), dtype=np.float32)


def sampled(
    image: NDArray[np.uint8],
    to_crop: Affine,
    side_px: int,
    source_rows: NDArray[np.float32] | None = None,
    wave: NDArray[np.float32] | None = None,
    *,
    discs: Sequence[tuple[degeneration.WornDisc, degeneration.DiscPlace]] = (),
) -> GrayImage:
    """Sample a crop through the chain: film, crop, discs worn, squashed, displaced."""
    rows, cols = np.mgrid[0:side_px, 0:side_px].astype(np.float32)
    if wave is not None:
        rows, cols = rows + wave[0], cols + wave[1]
    if source_rows is not None:
        rows = cv2.remap(source_rows, cols, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    denser = np.zeros(rows.shape)
    moved = np.zeros((2, *rows.shape))
    for worn, place in discs:
        moved += degeneration.beyond(worn, place, rows, cols)
    rows, cols = rows + moved[0].astype(np.float32), cols + moved[1].astype(np.float32)
    for worn, place in discs:
        denser += degeneration.density(worn, place, rows, cols)
    back = to_crop.inverse()
    (rr, rc), (cr, cc) = back.matrix.astype(np.float32)
    down, right = back.shift.astype(np.float32)
    rows, cols = rr * rows + rc * cols + down, cr * rows + cc * cols + right
    step = float(np.sqrt(abs(np.linalg.det(back.matrix))))
    if step > BLURRED_FROM:
        low = np.floor([rows.min(), cols.min()]).astype(int) - 3
        low = np.clip(low, 0, np.array(image.shape) - 1)
        high = np.clip(np.ceil([rows.max(), cols.max()]).astype(int) + 4, low + 1, image.shape)
        patch = image[low[0] : high[0], low[1] : high[1]]
        image = np.asarray(cv2.GaussianBlur(patch, (0, 0), BLUR_PER_STEP * step), dtype=np.uint8)
        rows, cols = rows - np.float32(low[0]), cols - np.float32(low[1])
    crop = cv2.remap(image, cols, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    crop = np.asarray(crop, dtype=np.float32) / 255
    return np.asarray(crop + crop.std() * denser, dtype=np.float32)
