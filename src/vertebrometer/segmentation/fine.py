"""The fine stage: each found body is looked at again in crops that make all bodies alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import SixPoints
from vertebrometer.geometry import Affine, polygon_area
from vertebrometer.segmentation.field import OpenField, open_field
from vertebrometer.segmentation.frames import CROP_SIDE_PX, BodyPose, crop_map, crop_of, normalised, pose_of
from vertebrometer.types import BoolMask, FloatArray, GrayImage, PointsRC, Predictor


class View(NamedTuple):
    """One look at a body: how far it is moved from the plain crop."""

    down: float = 0.0
    """Shift along the body, in depths."""
    back: float = 0.0
    """Shift towards its back, in depths."""
    turn_deg: float = 0.0
    zoom: float = 1.0
    upside_down: bool = False
    """Superior and inferior change places: a body either way, and errors differ."""


PLAIN: Final = View()
"""The first look, which mends the pose; it counts as one of `VIEWS` where it was near enough."""
VIEWS: Final[tuple[View, ...]] = (
    PLAIN,
    View(0.05, 0.03, 4.0, 0.95),
    View(-0.04, 0.05, 7.0, 0.9),
    View(upside_down=True),
    View(-0.05, -0.03, -4.0, 1.06, upside_down=True),
    View(0.04, -0.05, -7.0, 1.0, upside_down=True),
)
"""Looks that are averaged; each sees the body a little otherwise. A plain body is spared some."""
_SPARED: Final = (VIEWS[2], VIEWS[5])
"""Looks that a body which the others agree on does without: one upright, one upside down."""
_ASKED: Final = tuple(view for view in VIEWS if view not in _SPARED)
"""Looks that every body gets, the plain one first."""
_PLAIN_CHANCE: Final = 0.95
"""Probability from which a look says plainly that a body is there."""
_PLAIN_SD_PX: Final = 4.0
"""Spread of points, in pixels of the crop, up to which looks agree."""
_NEAR_SHIFT: Final = 0.1
"""Depths by which the pose of the first look may be off to count as one of `VIEWS`."""
_NEAR_TURN_DEG: Final = 7.0
_NEAR_ZOOM: Final = 1.1
_BATCH: Final = 24
_CONTOUR_STEP: Final = 4
_LOST_PX: Final = 14.0
"""A point whose spread is a quarter of the body's depth was not found."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FineReading:
    """What the fine network says of one body, in pixels of the image that was looked at."""

    points: SixPoints
    point_sd_px: PointsRC
    """Shape (6, 2): spread of each point down the body and along its depth."""
    contour_rc: PointsRC
    corners_found: bool
    broken: bool
    """The outline fell into several parts."""
    merged: bool
    """The outline runs over a neighbour."""
    is_body: float
    """Probability that a vertebral body lies in the middle of the crop."""
    level_log_chance: FloatArray
    """Logarithm of the chance of each level in `LEVELS`, by the look of this body alone."""
    turned_log_chance: FloatArray
    """The same by looks that turn it upside down: what it looks like where the film stands on its head."""
    metal: float
    cement: float
    cut: float
    pose: BodyPose
    seen: bool = True
    """False where nothing was seen and the points only show where neighbours expect the body."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Glance:
    """What the plain crop alone says: enough to mend a pose, and to tell whether a body is there."""

    points: SixPoints
    point_sd_px: PointsRC
    """Shape (6, 2): spread of each point down the body and along its depth."""
    is_body: float
    """Probability that a vertebral body lies in the middle of the crop."""


class FineLooks:
    """The fine network looking at one film; it glances at the same pose only once.

    Parameters
    ----------
    image : GrayImage
        The film with square pixels, air dark and bone bright.
    predictor : Predictor
        The trained network.
    """

    def __init__(self, image: GrayImage, predictor: Predictor) -> None:
        self.image = image
        self._predictor = predictor
        self._first: dict[BodyPose, tuple[Glance, _BodyLooks]] = {}

    @cached_property
    def field(self) -> OpenField:
        """The part of the film that shows something."""
        return open_field(self.image)

    def glances(self, poses: Sequence[BodyPose]) -> list[Glance]:
        """Look at each body once, in its plain crop."""
        new = [pose for pose in dict.fromkeys(poses) if pose not in self._first]
        plain = _looks(self.image, new, [(PLAIN,)] * len(new), self._predictor)
        for pose, seen in zip(new, plain, strict=True):
            self._first[pose] = _glance(pose, seen), seen
        return [self._first[pose][0] for pose in poses]

    def readings(self, poses: Sequence[BodyPose]) -> list[FineReading]:
        """Look at each body once to mend its pose, then in the other `VIEWS`; in all where it was far off.

        A body that is plain to all other looks is spared the last two.
        """
        mended = [_mended(pose, glance) for pose, glance in zip(poses, self.glances(poses), strict=True)]
        near = [_is_near(pose, better) for pose, better in zip(poses, mended, strict=True)]
        views = [_ASKED[1:] if close else _ASKED for close in near]
        further = _looks(self.image, mended, views, self._predictor)
        looks = [
            _joined(self._first[pose][1], more) if close else more
            for pose, close, more in zip(poses, near, further, strict=True)
        ]
        doubted = [n for n, seen in enumerate(looks) if not _is_plain(mended[n], seen)]
        again = _looks(self.image, [mended[n] for n in doubted], [_SPARED] * len(doubted), self._predictor)
        for n, more in zip(doubted, again, strict=True):
            looks[n] = _joined(looks[n], more)
        return [_combined(pose, seen) for pose, seen in zip(mended, looks, strict=True)]


def read_bodies(image: GrayImage, poses: Sequence[BodyPose], predictor: Predictor) -> list[FineReading]:
    """Look at each body once to mend its pose, then in the other `VIEWS`.

    `image` has square pixels, air dark and bone bright.
    """
    return FineLooks(image, predictor).readings(poses)


def _mended(pose: BodyPose, first: Glance) -> BodyPose:
    """Pose by the points of the first look, unless these ran off."""
    better = pose_of(first.points)
    moved, ratio, turned = _change(pose, better)
    return better if moved < 0.5 and 0.55 < ratio < 1.8 and turned > 0.75 else pose


def _is_near(pose: BodyPose, mended: BodyPose) -> bool:
    """Whether a crop at `pose` shows the body about as centred as any other look would."""
    moved, ratio, turned = _change(mended, pose)
    return (
        moved < _NEAR_SHIFT
        and 1 / _NEAR_ZOOM < ratio < _NEAR_ZOOM
        and turned > np.cos(np.deg2rad(_NEAR_TURN_DEG))
    )


def _change(pose: BodyPose, other: BodyPose) -> tuple[float, float, float]:
    """How far `other` lies away in depths of `pose`, its depth over that, and the cosine of its turn."""
    moved = float(np.linalg.norm(other.centre_rc - pose.centre_rc)) / pose.depth_px
    return moved, other.depth_px / pose.depth_px, float(other.backward_rc @ pose.backward_rc)


class _BodyLooks(NamedTuple):
    """What the network says of some looks at one body."""

    views: tuple[View, ...]
    maps: list[Affine]
    """From film points to each crop."""
    out: dict[str, NDArray[np.float32]]
    """The network's outputs, one row a look, carried back upright."""


def _joined(first: _BodyLooks, second: _BodyLooks) -> _BodyLooks:
    out = {name: np.concatenate([first.out[name], second.out[name]]) for name in first.out}
    return _BodyLooks(first.views + second.views, first.maps + second.maps, out)


def _looks(
    image: GrayImage,
    poses: Sequence[BodyPose],
    views: Sequence[Sequence[View]],
    predictor: Predictor,
) -> list[_BodyLooks]:
    """Look at each body in its own views, all of them through the network a batch at a time."""
    wanted = [(pose, view) for pose, own in zip(poses, views, strict=True) for view in own]
    if not wanted:
        return []
    maps = [
        crop_map(pose.moved(shift=(view.down, view.back), turn_deg=view.turn_deg, zoom=view.zoom))
        for pose, view in wanted
    ]
    crops = np.stack([normalised(crop_of(image, to_crop))[None] for to_crop in maps])
    flipped = np.array([view.upside_down for _, view in wanted])
    crops[flipped] = crops[flipped, :, ::-1]
    parts = [predictor(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    _turn_upright(out, flipped)
    ends = np.cumsum([len(own) for own in views])
    rows = [slice(end - len(own), end) for own, end in zip(views, ends, strict=True)]
    return [
        _BodyLooks(tuple(own), maps[row], {name: values[row] for name, values in out.items()})
        for own, row in zip(views, rows, strict=True)
    ]


def _turn_upright(out: dict[str, NDArray[np.float32]], flipped: BoolMask) -> None:
    """Carry what was seen upside down back to the upright crop, in place."""
    points = out["points"][flipped][:, ::-1].copy()
    points[..., 0] = CROP_SIDE_PX - 1 - points[..., 0]
    out["points"][flipped] = points
    out["spread"][flipped] = out["spread"][flipped][:, ::-1]
    out["mask"][flipped] = out["mask"][flipped][:, :, ::-1]


class _Average(NamedTuple):
    """Six points by all views of a body."""

    to_crop: Affine
    """Map of film points to the plain crop, which the points lie in."""
    points: PointsRC
    sd: PointsRC
    zoom: float
    """Pixels of the crop per pixel of the film."""


def _averaged(pose: BodyPose, seen: _BodyLooks) -> _Average:
    """Average the points of the views in the frame of the plain crop, surer ones counting more."""
    to_crop = crop_map(pose)
    told = zip(seen.maps, seen.out["points"].astype(float), strict=True)
    points = np.stack([to_crop(to_view.inverse()(own)) for to_view, own in told])
    variance = np.exp(np.clip(seen.out["spread"].astype(float), -6, 8))
    weight = 1 / variance
    mean = (weight * points).sum(axis=0) / weight.sum(axis=0)
    between = (weight * (points - mean) ** 2).sum(axis=0) / weight.sum(axis=0)
    within = variance.mean(axis=0)
    zoom = float(np.sqrt(abs(np.linalg.det(to_crop.matrix))))
    return _Average(to_crop, mean, np.sqrt(within + between), zoom)


def _glance(pose: BodyPose, first: _BodyLooks) -> Glance:
    mean = _averaged(pose, first)
    return Glance(
        points=SixPoints(mean.to_crop.inverse()(mean.points)),
        point_sd_px=mean.sd / mean.zoom,
        is_body=_body_chance(first.out),
    )


def _body_chance(out: dict[str, NDArray[np.float32]]) -> float:
    return float(_sigmoid(out["body"].astype(float)).mean())


def _is_plain(pose: BodyPose, looks: _BodyLooks) -> bool:
    """Whether every look is sure of a body and all agree where its points lie."""
    chances = _sigmoid(looks.out["body"].astype(float))
    return bool(chances.min() > _PLAIN_CHANCE and _averaged(pose, looks).sd.max() < _PLAIN_SD_PX)


def _combined(pose: BodyPose, looks: _BodyLooks) -> FineReading:
    """Join all looks at a body: its points, its outline and what it is."""
    seen, out = _averaged(pose, looks), looks.out
    upright = ~np.array([view.upside_down for view in looks.views])
    # Upside down the network was never told a level.
    level, turned = (
        _log_softmax(out["level"][those].astype(float)).mean(axis=0) for those in (upright, ~upright)
    )
    flags = _sigmoid(out["flags"].astype(float)).mean(axis=0)
    to_film = seen.to_crop.inverse()
    outline = outline_of(_mean_mask(looks.maps, seen.to_crop, out["mask"]), seen.points)
    return FineReading(
        points=SixPoints(to_film(seen.points)),
        point_sd_px=seen.sd / seen.zoom,
        contour_rc=to_film(outline.contour_rc),
        corners_found=outline.found and bool((seen.sd < _LOST_PX).all()),
        broken=outline.broken,
        merged=outline.merged,
        is_body=_body_chance(out),
        level_log_chance=level,
        turned_log_chance=turned,
        metal=float(flags[0]),
        cement=float(flags[1]),
        cut=float(flags[2]),
        pose=pose,
    )


def _mean_mask(maps: Sequence[Affine], to_crop: Affine, masks: NDArray[np.float32]) -> GrayImage:
    """Mean probability of all views in the frame of the plain crop, `_CONTOUR_STEP` times finer."""
    side = CROP_SIDE_PX * _CONTOUR_STEP // 2
    fine = side / CROP_SIDE_PX
    total = np.zeros((side, side), np.float32)
    for view, logits in zip(maps, masks[:, 0], strict=True):
        step = CROP_SIDE_PX / logits.shape[0]
        # Points of the fine frame to points of this view's mask.
        fine_to_crop = Affine(np.eye(2) / fine, np.full(2, 0.5 / fine - 0.5))
        crop_to_mask = Affine(np.eye(2) / step, np.full(2, 0.5 / step - 0.5))
        chain = fine_to_crop.then(to_crop.inverse()).then(view).then(crop_to_mask)
        total += cv2.warpAffine(
            _sigmoid(logits.astype(np.float32)).astype(np.float32),
            chain.as_cv2(),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0.0,
        )
    return np.asarray(total / len(maps), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Outline of one body in crop pixels, and whether its mask was of one piece and of one body."""

    contour_rc: PointsRC
    found: bool
    """False where no mask was seen, so that the six points stand for the outline."""
    broken: bool
    """The mask fell into several large parts."""
    merged: bool
    """The mask reaches far beyond the corners, over a neighbour."""


def outline_of(mask: GrayImage, points: PointsRC) -> Outline:
    """Outline of the mask at one half; `mask` is `_CONTOUR_STEP` / 2 times finer than the crop."""
    fine = mask.shape[0] / CROP_SIDE_PX
    found, _ = cv2.findContours((mask > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = sorted((part for part in found if len(part) >= 12), key=cv2.contourArea)
    if not parts:
        return Outline(points, found=False, broken=False, merged=False)
    areas = [float(cv2.contourArea(part)) / fine**2 for part in parts]
    wanted = polygon_area(points)
    outline = (_on_half(mask, parts[-1][:, 0, ::-1].astype(float)) + 0.5) / fine - 0.5
    return Outline(
        outline,
        found=areas[-1] > 0.3 * wanted,
        broken=len(areas) > 1 and areas[-2] > 0.2 * wanted and areas[-1] < 0.85 * wanted,
        merged=areas[-1] > 1.6 * wanted,
    )


def _on_half(mask: GrayImage, outline: PointsRC) -> PointsRC:
    """Move outline pixels along the slope of the mask to where it is one half; then thin them out."""
    soft = cv2.GaussianBlur(mask, (0, 0), 1.0)
    slope = np.stack(
        [cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125), cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125)]
    )
    rows, cols = outline.astype(int).T
    value, gradient = soft[rows, cols], slope[:, rows, cols].T
    steep = np.maximum((gradient**2).sum(axis=1), 1e-3)
    shift = ((0.5 - value) / steep)[:, None] * gradient
    return np.asarray(outline + np.clip(shift, -1.5, 1.5))[::3]


def _sigmoid(value: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -30, 30))))


def _log_softmax(value: FloatArray) -> FloatArray:
    shifted = value - value.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
