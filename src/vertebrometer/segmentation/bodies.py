"""A film to vertebral bodies: coarse chain, fine reading, missed bodies looked for, doubts told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from vertebrometer.anatomy import LEVELS, Facing, Reason, SixPoints, Vertebra
from vertebrometer.errors import SettingsError
from vertebrometer.geometry import polygon_area
from vertebrometer.segmentation.close import look_closely
from vertebrometer.segmentation.coarse import CoarseFinding, CoarseLooks, find_bodies, first_impression
from vertebrometer.segmentation.coarse_view import COARSE_PIXEL_MM, coarse_contrast, resampled
from vertebrometer.segmentation.curve import Gap, following, gaps_between, guessed
from vertebrometer.segmentation.field import OpenField
from vertebrometer.segmentation.fine import FineLooks, FineReading, Glance
from vertebrometer.segmentation.frames import BodyPose, downward, pose_of
from vertebrometer.segmentation.naming import end_chance, name_levels
from vertebrometer.segmentation.order import on_its_head, order_log_chance
from vertebrometer.types import FloatArray, GrayImage, PointsRC, Predictor

BODY_FROM: Final = 0.35
"""Below this chance a found body is dropped."""
TOLD_FROM: Final = 0.2
"""Below this confidence a body is told only where one must be: in a gap whose bodies can be counted."""
SURE_FROM: Final = 0.4
"""Confidence from which bodies tell where their neighbours should lie."""
EXTRA_FROM: Final = 0.7
"""A body that the coarse stage missed is added from this chance on."""
PROMISING_FROM: Final = 0.05
"""Chance at a glance below which no second look is taken where the coarse stage saw nothing: of 25 such
poses on 25 phantoms and 10 real training films (seen once) none had a chance above 0.53 in all views."""
FACING_FROM: Final = 0.5
"""Share by which votes for one side must outweigh the other's before the film counts as facing it."""
HARDLY_SEEN_SD: Final = 0.09
"""Spread of the anterior points over the body's height beyond which a body can hardly be seen."""
_GLANCES_AT_ONCE: Final = 8
"""Bodies that are looked at before it is asked whether their scale can still win."""
_CLIMBS: Final = 8
"""How often the spine is followed beyond the bodies found so far, while each step finds some."""
_MOST_FOLLOWING: Final = 2
"""Hardly seen bodies that are told beyond the first body, and beyond the last, at most."""
_FOLLOWING_FROM: Final = 0.5
"""Chance of a body from which a hardly seen one may follow the others."""
_FOLLOWING_SIZE: Final = 1.25
"""Its depth over the expected one, or the other way round, at most."""
_NEAR: Final = 0.4
"""Distance in depths up to which what is seen may be the body that is expected."""
_NO_LEVEL: Final = np.full(len(LEVELS), -np.log(len(LEVELS)))
_CERVICAL: Final = np.array([level.startswith("C") for level in LEVELS])
_FLAG_FROM: Final = 0.6
_CUT_FROM: Final = 0.85
_AT_BORDER: Final = 0.035
"""Heights from the border within which a corner counts as cut off: of 17 bodies found so near to that of the
file on 88 phantoms and 40 projections 14 were cut in truth, of seven from there to 0.08 two (seen once)."""
_SACRUM_FROM: Final = 0.42
_NO_SACRUM_FROM: Final = 0.5
"""Chance of a body, at the sacrum's place and where the next body would lie, from which it is no sacrum: of
33 sacra of 50 phantoms one reached it, of 26 on real films none, but a dim L5 that was taken for one did."""
_NOT_SACRUM_FROM: Final = 0.7
"""Confidence from which only the fine network need see a body where the coarse one sees the sacrum: L5 of
projections and of films of another hospital had 0.80 to 0.92 there, sacra up to 0.55, but for one 0.78."""
_BENT_APART: Final = 0.08
"""Depths from other looks beyond which one is taken where the spine turns on: by the sacrum a look that is
a fifth of a depth off sees no body."""
_ON_SACRUM: Final = 0.6
"""Depths from the sacrum's place within which what looks like a body is a part of it."""
_ENDS_FROM: Final = 0.8
"""Chance that the body above is the last of the spine, from which what is hardly seen below it is a piece of
the sacrum; docs/decisions/0008-bodies-between-sure-ones.md says what it was read off."""
_SACRUM_SURE: Final = 0.99
"""How sure the last body is the last of the spine where the sacrum was seen next below it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Segmentation:
    """All bodies of one film in pixels of the film as stored."""

    vertebrae: tuple[Vertebra, ...]
    facing: Facing
    facing_confidence: float
    sacrum_seen: float
    """0 to 1: how sure the sacrum is in view below the last body."""
    neck_share: float
    """0 to 1: how many of the bodies that are seen look like those of the neck, each by itself."""
    on_its_head: bool = False
    """Whether its bodies look as if the film stood on its head. Then pinned names are left out."""
    order_log_chance: float | None = None
    """How likely the middling body is at its place among its neighbours, as a logarithm; see `order`."""
    faces_other_way: float = 0.0
    """0 to 1: how surely its bodies face the other way than a reader said; 0 where none did."""
    pins_refused: str | None = None
    """Why the names that a reader gave can't hold for these bodies, in words; None where they do."""

    def turned_back(self, shape: tuple[int, ...], quarters: int) -> Segmentation:
        """Return the same for the film before it was turned; bodies stay in their order.

        Parameters
        ----------
        shape : tuple of int
            That of the film as it was segmented.
        quarters : int
            How often it had been turned by 90 degrees against the clock, as `numpy.rot90` does. The side
            that it faces stays that of the film head up where the number is odd.
        """
        vertebrae = self.vertebrae
        rows, cols = shape[:2]
        for _ in range(quarters % 4):
            vertebrae = tuple(_quarter_back(vertebra, rows) for vertebra in vertebrae)
            rows, cols = cols, rows
        return replace(
            self, vertebrae=vertebrae, facing=self.facing.opposite if quarters % 4 == 2 else self.facing
        )


def _quarter_back(vertebra: Vertebra, rows: int) -> Vertebra:
    """Carry a vertebra from a film of so many rows to that film turned by 90 degrees with the clock."""

    def back(points_rc: PointsRC) -> PointsRC:
        return np.stack([points_rc[:, 1], rows - 1 - points_rc[:, 0]], axis=1)

    spread_px = vertebra.point_sd_px
    return replace(
        vertebra,
        points=SixPoints(back(vertebra.points.points_rc)),
        contour_rc=back(vertebra.contour_rc),
        point_sd_px=None if spread_px is None else spread_px[:, ::-1],
    )


def segment(
    image: GrayImage,
    *,
    pixel_rc: tuple[float, float],
    pixel_mm: float | None,
    coarse: Predictor,
    points: Predictor,
    corners: Predictor | None = None,
    facing: Facing = Facing.UNKNOWN,
    pinned: Mapping[int, str] | None = None,
    upright: bool = False,
) -> Segmentation:
    """Find and outline the vertebral bodies of a lateral film.

    Parameters
    ----------
    image : GrayImage
        The film, air dark and bone bright.
    pixel_rc : tuple of float
        Relative height and width of a pixel; only their ratio matters here.
    pixel_mm : float or None
        Width of a pixel where known; without it the scale is found from the bodies.
    coarse, points : Predictor
        The trained networks that find bodies and look at each.
    corners : Predictor, optional
        The trained network that looks closely at each point; without it points stay where `points` put them.
    facing : Facing
        Given by a reader; UNKNOWN lets the film tell.
    pinned : mapping, optional
        Place of a body from the top (from 0) to the name a reader gave it.
    upright : bool
        Whether it is known that the film does not stand on its head.
    """
    square = resampled(image, (pixel_rc[0] / pixel_rc[1], 1.0)) if pixel_rc[0] != pixel_rc[1] else None
    film = image if square is None else square.image
    scale = (1.0, 1.0) if square is None else square.scale_rc
    finding, looks, mirrored, side, confidence, against = _facing_left(film, coarse, points, pixel_mm, facing)
    readings = _readings(looks, finding)
    if corners is not None:
        readings = look_closely(looks.image, readings, corners)
    sacrum = _sacrum_follows(finding, readings, looks)
    weights, steps = _weights(readings), _steps(readings)
    head_down = not upright and sacrum < _SACRUM_SURE and on_its_head(readings, weights, steps)
    # A reader's numbers count from the head.
    vertebrae, pins_refused = _pinned_vertebrae(readings, looks.field, sacrum, None if head_down else pinned)
    back = _Back(mirrored, film.shape[1], scale)
    return Segmentation(
        vertebrae=tuple(back.vertebra(v) for v in vertebrae),
        facing=side,
        facing_confidence=confidence,
        sacrum_seen=sacrum,
        neck_share=_neck_share(readings),
        on_its_head=head_down,
        order_log_chance=order_log_chance(readings, weights, steps, head_down=head_down),
        faces_other_way=against,
        pins_refused=pins_refused,
    )


def _facing_left(
    film: GrayImage, coarse: Predictor, points: Predictor, pixel_mm: float | None, given: Facing
) -> tuple[CoarseFinding, FineLooks, bool, Facing, float, float]:
    """Find bodies on the film, or on its mirror image where it faces right.

    So a film and its mirror image are measured on the very same pixels. A first
    impression says which of the two is looked at; where the bodies found there
    face the other way after all, they are looked for on the other.
    """
    seen = _Seen(film, coarse, points, pixel_mm)
    right = seen.first_impression() > 0 if given is Facing.UNKNOWN else given is Facing.RIGHT
    if right:
        seen = seen.mirrored()
    found = seen.found()
    if given is Facing.UNKNOWN and found.front_right > 0:
        seen, right = seen.mirrored(), not right
        found = seen.found()
    confidence = abs(found.front_right)
    side = Facing.RIGHT if right else Facing.LEFT
    known = given is not Facing.UNKNOWN or confidence >= FACING_FROM
    return (
        _turned_left(found),
        seen.looks,
        right,
        side if known and found.bodies else Facing.UNKNOWN,
        1.0 if given is not Facing.UNKNOWN else confidence,
        max(found.front_right, 0.0) if given is not Facing.UNKNOWN else 0.0,
    )


class _Seen:
    """One film, one way round, before both networks."""

    def __init__(self, film: GrayImage, coarse: Predictor, points: Predictor, pixel_mm: float | None) -> None:
        self.looks = FineLooks(film, points)
        self._coarse, self._points, self._pixel_mm = coarse, points, pixel_mm
        self._coarse_looks = CoarseLooks(coarse_contrast(film), coarse)

    def mirrored(self) -> _Seen:
        """Turn the film round."""
        film = np.ascontiguousarray(self.looks.image[:, ::-1])
        return _Seen(film, self._coarse, self._points, self._pixel_mm)

    def first_impression(self) -> float:
        """-1 the spine surely faces left, 1 surely right, at first sight."""
        seen = first_impression(self._coarse_looks, pixel_mm=self._pixel_mm, coarse_mm=COARSE_PIXEL_MM)
        return seen.front_right

    def found(self) -> CoarseFinding:
        """Find bodies; between scales the fine network decides: few sure bodies outweigh many doubtful."""
        return find_bodies(
            self._coarse_looks, pixel_mm=self._pixel_mm, coarse_mm=COARSE_PIXEL_MM, judge=self._worth
        )

    def _worth(self, finding: CoarseFinding, least: float) -> float:
        poses = [body.pose for body in finding.bodies]
        worth = 0.0
        for start in range(0, len(poses), _GLANCES_AT_ONCE):
            # A body is worth 1 at most.
            if worth + len(poses) - start <= least:
                break
            glances = self.looks.glances(poses[start : start + _GLANCES_AT_ONCE])
            worth += sum(confidence_of(glance) ** 4 for glance in glances)
        return worth


def _turned_left(finding: CoarseFinding) -> CoarseFinding:
    """Let every body have its back on the right."""
    bodies = tuple(
        body
        if body.pose.backward_rc[1] > 0
        else replace(body, pose=BodyPose(body.pose.centre_rc, -body.pose.backward_rc, body.pose.depth_px))
        for body in finding.bodies
    )
    return replace(finding, bodies=bodies)


def _readings(looks: FineLooks, finding: CoarseFinding) -> list[FineReading]:
    """Read the found bodies, drop false ones, look for missed and doubted ones where others expect them."""
    tried = [body.pose for body in finding.bodies]
    readings = _sound(looks.readings(tried), BODY_FROM)
    for _ in range(_CLIMBS):
        sure = [reading for reading in readings if confidence_of(reading) >= SURE_FROM]
        missed = _new(
            [
                *_between(readings),
                *_between(sure),
                *_beyond(readings, looks.field),
                *_beyond(sure, looks.field),
            ],
            tried,
        )
        bent = _new(
            [*_below(readings, looks.field), *_below(sure, looks.field)],
            [*tried, *missed],
            apart=_BENT_APART,
        )
        tried += [*missed, *bent]
        extra = [
            reading
            for reading in [*_looked_for(missed, looks), *_surely_below(bent, looks, finding)]
            if _is_better(reading, readings)
        ]
        if not extra:
            break
        readings = _sound([*readings, *extra], BODY_FROM)
    places = [body.pose for body in finding.bodies]
    found = [
        reading for reading in readings if any(_near(place, pose_of(reading.points)) for place in places)
    ]
    told = _told(readings)
    followed = _followed(told, found, looks.field, below=lambda: _sacrum_follows(finding, told, looks) == 0)
    return _without_sacrum(followed)


def _looked_for(poses: Sequence[BodyPose], looks: FineLooks) -> list[FineReading]:
    """Read what looks like a body at poses where the coarse stage saw none."""
    promising = [
        pose
        for pose, glance in zip(poses, looks.glances(poses), strict=True)
        if glance.is_body >= PROMISING_FROM
    ]
    return _sound(looks.readings(promising), EXTRA_FROM)


def _surely_below(poses: Sequence[BodyPose], looks: FineLooks, finding: CoarseFinding) -> list[FineReading]:
    """Read what is surely a body at poses below all others, where the first piece of a sacrum looks like one.

    More surely where the coarse network sees the sacrum: that takes a dim L5 for one at times.
    """
    return [
        reading
        for reading in _looked_for(poses, looks)
        if confidence_of(reading)
        >= (_NOT_SACRUM_FROM if _on_sacrum(pose_of(reading.points), finding) else SURE_FROM)
    ]


def _on_sacrum(pose: BodyPose, finding: CoarseFinding) -> bool:
    if finding.sacrum_rc is None or finding.sacrum_score < _SACRUM_FROM:
        return False
    return float(np.linalg.norm(pose.centre_rc - finding.sacrum_rc)) < _ON_SACRUM * pose.depth_px


def _followed(
    told: list[FineReading],
    found: Sequence[FineReading],
    field: OpenField,
    *,
    below: Callable[[], bool],
) -> list[FineReading]:
    """Tell hardly seen bodies too that follow the told ones, or fill a gap of one, as a spine wants them.

    Like those between sure bodies they are not seen well enough to be measured, nor to witness a level.

    Parameters
    ----------
    told : list of FineReading
        What is told so far, from the top.
    found : sequence of FineReading
        What both networks see. The fine one alone says "body" wherever one should lie, even on a collimator.
    field : OpenField
        The part of the film that shows something.
    below : callable
        Says whether the spine may go on below: not where the sacrum follows. It takes looks, so it is asked
        only where there is a body to tell.
    """
    sure = [reading for reading in told if confidence_of(reading) >= SURE_FROM]
    if len(told) < 2 or not sure:
        return told
    doubted = [reading for reading in found if not any(reading is other for other in told)]

    def hardly_seen(pose: BodyPose) -> FineReading | None:
        seen = _nearest(pose, [reading for reading in doubted if _follows(reading, pose)])
        return None if seen is None else replace(guessed(pose, seen, sure), level_log_chance=_NO_LEVEL)

    single = [gap.expected[0] for gap in _gaps(told) if gap.clear and gap.steps == 2]
    between = [body for pose in single if (body := hardly_seen(pose)) is not None]
    told = sorted([*told, *between], key=lambda r: float(r.points.centre_rc[0]))
    for downwards in (False, True):
        for _ in range(_MOST_FOLLOWING):
            body = hardly_seen(_next(told if downwards else told[::-1]))
            if body is None or Reason.CUT_BY_BORDER in _doubts(body, field) or (downwards and not below()):
                break
            told = [*told, body] if downwards else [body, *told]
    return told


def _without_sacrum(told: list[FineReading]) -> list[FineReading]:
    """Leave out what is hardly seen below the last body of the spine: pieces of a sacrum look like bodies."""
    sure = next((n for n in range(len(told), 0, -1) if not _hardly_seen(told[n - 1])), 0)
    for count in range(sure, len(told)):
        above = told[:count]
        if end_chance([reading.level_log_chance for reading in above], _steps(above)) >= _ENDS_FROM:
            return above
    return told


def _near(pose: BodyPose, expected: BodyPose) -> bool:
    return float(np.linalg.norm(pose.centre_rc - expected.centre_rc)) < _NEAR * expected.depth_px


def _follows(seen: FineReading, expected: BodyPose) -> bool:
    """Whether what is hardly seen is likely a body, of the size that is expected."""
    ratio = pose_of(seen.points).depth_px / expected.depth_px
    return seen.is_body >= _FOLLOWING_FROM and 1 / _FOLLOWING_SIZE < ratio < _FOLLOWING_SIZE


def _is_better(reading: FineReading, others: Sequence[FineReading]) -> bool:
    """Whether a reading shows a body anew, or one more surely than every reading of it so far."""
    return all(confidence_of(reading) > confidence_of(other) for other in others if _same(reading, other))


def _gaps(readings: Sequence[FineReading]) -> list[Gap]:
    return gaps_between([pose_of(reading.points) for reading in readings])


def _between(readings: Sequence[FineReading]) -> list[BodyPose]:
    """Poses where a body should lie between two that are too far apart."""
    return [pose for gap in _gaps(readings) for pose in (*gap.expected, *gap.otherwise)]


def _told(readings: Sequence[FineReading]) -> list[FineReading]:
    """Choose what is told: what is seen and, in a clear gap between sure bodies, one for each step."""
    told = [reading for reading in readings if confidence_of(reading) >= TOLD_FROM]
    places = [n for n, reading in enumerate(readings) if confidence_of(reading) >= SURE_FROM]
    sure = [readings[n] for n in places]
    for (first, last), gap in zip(pairwise(places), _gaps(sure), strict=False):
        doubted = readings[first + 1 : last]
        if gap.countable and (doubted or gap.expected):
            told = [reading for reading in told if not any(reading is other for other in doubted)]
            told += [_placed(pose, _nearest(pose, doubted), sure) for pose in gap.expected]
    return sorted(told, key=lambda r: float(r.points.centre_rc[0]))


def _placed(pose: BodyPose, seen: FineReading | None, sure: Sequence[FineReading]) -> FineReading:
    """Leave alone what is seen well enough to be measured: no value may follow from an expectation."""
    return guessed(pose, seen, sure) if seen is None or _hardly_seen(seen) else seen


def _nearest(pose: BodyPose, readings: Sequence[FineReading]) -> FineReading | None:
    """Surest of the readings whose centre lies within two fifths of a depth."""
    near = [reading for reading in readings if _near(pose_of(reading.points), pose)]
    return max(near, key=confidence_of, default=None)


def _weights(readings: Sequence[FineReading]) -> list[float]:
    """How much each body says of the order of the spine; what is hardly seen only fills its place."""
    return [confidence if (confidence := confidence_of(r)) >= SURE_FROM else 0.0 for r in readings]


def _new(poses: Sequence[BodyPose], tried: Sequence[BodyPose], apart: float = 0.2) -> list[BodyPose]:
    """Those where no look was taken yet within so many depths of here, in a crop of about this size."""
    new: list[BodyPose] = []
    for pose in poses:
        if all(
            float(np.linalg.norm(pose.centre_rc - other.centre_rc)) > apart * pose.depth_px
            or not 0.85 < pose.depth_px / other.depth_px < 1.18
            for other in [*tried, *new]
        ):
            new.append(pose)
    return new


def _sound(readings: Sequence[FineReading], least: float) -> list[FineReading]:
    """Keep what looks like a body, for each the surest reading, from the top."""
    kept: list[FineReading] = []
    for reading in sorted(readings, key=lambda r: -confidence_of(r)):
        if reading.is_body >= least and not any(_same(reading, other) for other in kept):
            kept.append(reading)
    return sorted(kept, key=lambda r: float(r.points.centre_rc[0]))


def _same(first: FineReading, second: FineReading) -> bool:
    """Whether two readings are of one body: their centres lie within two thirds of a height."""
    apart = float(np.linalg.norm(first.points.centre_rc - second.points.centre_rc))
    return apart < 0.65 * max(_height(first), _height(second))


def _height(reading: Glance | FineReading) -> float:
    sa, _, sp, ip, _, ia = reading.points.points_rc
    return float(np.linalg.norm((ip + ia) / 2 - (sa + sp) / 2))


def _steps(readings: Sequence[FineReading]) -> list[int]:
    """How many levels each body but the first lies below the one before it."""
    return [gap.steps for gap in _gaps(readings)]


def _beyond(readings: Sequence[FineReading], field: OpenField) -> list[BodyPose]:
    """Poses of the next body above the first and below the last, straight on, where they lie on the film."""
    if len(readings) < 2:
        return []
    return _on_film([_next(readings[1::-1]), _next(readings[-2:])], field)


def _below(readings: Sequence[FineReading], field: OpenField) -> list[BodyPose]:
    """Pose of the next body below the last, where the spine turns on as it turned before: L5 lies there."""
    return _on_film([_next(readings)], field) if len(readings) > 2 else []


def _on_film(poses: Sequence[BodyPose], field: OpenField) -> list[BodyPose]:
    return [pose for pose in poses if field.inside_px(pose.centre_rc) > 0]


def _next(row: Sequence[FineReading]) -> BodyPose:
    """Pose of the body that follows the last of a row of at least two."""
    return following([pose_of(reading.points) for reading in row[-3:]])


def _sacrum_follows(finding: CoarseFinding, readings: Sequence[FineReading], looks: FineLooks) -> float:
    """How sure the sacrum lies next below the last body; not at all where a body is seen in its place."""
    if finding.sacrum_rc is None or not readings:
        return 0.0
    last = readings[-1]
    pose = pose_of(last.points)
    step = finding.sacrum_rc - last.points.centre_rc
    far = float(np.linalg.norm(step)) / pose.depth_px
    below = float(step @ downward(pose.backward_rc)) / max(float(np.linalg.norm(step)), 1e-9)
    seen = finding.sacrum_score >= _SACRUM_FROM and 0.5 < far < 1.5 and below > 0.4
    if not seen:
        return 0.0
    places = [replace(pose, centre_rc=finding.sacrum_rc)]
    if len(readings) > 1:
        # A dim L5 is sometimes taken for the sacrum; a body is one wherever its crop is centred. The first
        # piece of a sacrum looks like one too, but not where the spine would go straight on.
        places.append(_next(readings[-2:]))
    taken = all(glance.is_body >= _NO_SACRUM_FROM for glance in looks.glances(places))
    return 0.0 if taken else _SACRUM_SURE


def _neck_share(readings: Sequence[FineReading]) -> float:
    # Where nothing was seen each level is as likely as any other.
    seen = [reading.level_log_chance for reading in readings if np.ptp(reading.level_log_chance) > 0]
    return float(np.exp(seen)[:, _CERVICAL].sum(axis=1).mean()) if seen else 0.0


def _pinned_vertebrae(
    readings: Sequence[FineReading], field: OpenField, sacrum: float, pinned: Mapping[int, str] | None
) -> tuple[list[Vertebra], str | None]:
    """Name bodies as a reader pinned them, or by themselves with the reason why that can't be.

    A film may be segmented more than once, as a negative or restored; pins must hold only where it is
    measured.
    """
    try:
        return _vertebrae(readings, field, sacrum, pinned), None
    except SettingsError as error:
        return _vertebrae(readings, field, sacrum, None), str(error)


def _vertebrae(
    readings: Sequence[FineReading], field: OpenField, sacrum: float, pinned: Mapping[int, str] | None
) -> list[Vertebra]:
    naming = name_levels(
        [reading.level_log_chance for reading in readings],
        _steps(readings),
        sacrum_below_last=sacrum,
        pinned=pinned,
    )
    return [
        Vertebra(
            points=reading.points,
            contour_rc=reading.contour_rc,
            confidence=confidence_of(reading),
            level=level,
            level_confidence=naming.confidence,
            point_sd_px=reading.point_sd_px,
            reasons=_doubts(reading, field),
        )
        for reading, level in zip(readings, naming.levels, strict=True)
    ]


def confidence_of(reading: Glance | FineReading) -> float:
    """0 to 1: chance that this is a body, less where its points are spread."""
    return float(np.clip(reading.is_body * np.exp(-((_spread(reading) / 0.12) ** 2)), 0, 1))


def _hardly_seen(reading: FineReading) -> bool:
    return reading.is_body < 0.5 or _spread(reading) > HARDLY_SEEN_SD


def _spread(reading: Glance | FineReading) -> float:
    """Spread of the anterior points along the body, over its height."""
    return float(np.sqrt((reading.point_sd_px[[0, 5], 0] ** 2).mean())) / max(_height(reading), 1e-6)


def _doubts(reading: FineReading, field: OpenField) -> tuple[Reason, ...]:
    # What lies beyond the border is looked for on it: a corner that is found there is seldom the body's own.
    inside_px = field.inside_px(reading.points.corners_rc)
    metal = reading.metal > _FLAG_FROM
    checks = (
        (Reason.NOT_SEEN, not reading.seen),
        (Reason.MERGED_BODIES, reading.merged),
        (Reason.BROKEN_BODY, reading.broken),
        (Reason.CORNERS_NOT_FOUND, not reading.corners_found),
        (Reason.CUT_BY_BORDER, inside_px < _AT_BORDER * _height(reading) or reading.cut > _CUT_FROM),
        (Reason.METALWORK, metal),
        # What tells cement was never shown metal, and takes it for cement.
        (Reason.CEMENT, reading.cement > _FLAG_FROM and not metal),
        (Reason.IMPLAUSIBLE_SHAPE, not plausible(reading.points)),
        (Reason.LOW_CONFIDENCE, _hardly_seen(reading)),
    )
    return tuple(reason for reason, holds in checks if holds)


def plausible(points: SixPoints) -> bool:
    """Whether four corners could be those of a vertebral body, however crushed."""
    sa, sp, ip, ia = points.corners_rc
    anterior, posterior = float(np.linalg.norm(sa - ia)), float(np.linalg.norm(sp - ip))
    depth = pose_of(points).depth_px
    area = polygon_area(points.corners_rc)
    return (
        0.12 * depth < anterior < 1.6 * depth
        and 0.25 * depth < posterior < 1.6 * depth
        and 0.2 < anterior / posterior < 2.5
        and area > 0.12 * depth * depth
        and float((ia - sa) @ (ip - sp)) > 0
    )


@dataclass(frozen=True, slots=True)
class _Back:
    """The way back to pixels of the film as stored."""

    mirrored: bool
    cols: int
    scale_rc: tuple[float, float]

    def points(self, points_rc: PointsRC) -> PointsRC:
        """Carry points."""
        out = np.array(points_rc, dtype=np.float64)
        if self.mirrored:
            out[:, 1] = self.cols - 1 - out[:, 1]
        return np.asarray((out + 0.5) / np.array(self.scale_rc) - 0.5)

    def vertebra(self, vertebra: Vertebra) -> Vertebra:
        """Carry a vertebra with its outline and spreads."""
        sd: FloatArray | None = vertebra.point_sd_px
        return replace(
            vertebra,
            points=SixPoints(self.points(vertebra.points.points_rc)),
            contour_rc=self.points(vertebra.contour_rc),
            point_sd_px=None if sd is None else sd / np.array(self.scale_rc),
        )
