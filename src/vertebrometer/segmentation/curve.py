"""Where bodies should lie between those that are seen: on the curve of the spine, in even steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from vertebrometer.anatomy import LEVELS, SixPoints
from vertebrometer.segmentation.fine import FineReading
from vertebrometer.segmentation.frames import BodyPose, crop_map, pose_of
from vertebrometer.types import FloatArray, PointsRC

EXPECTED_SD: Final = 0.12
"""Spread of a point about where its neighbours expect it, in depths of the body."""
GUESSED_IS_BODY: Final = 0.5
"""Chance of a body where none is seen but one is expected."""
_LENDERS: Final = 5
_LEAST_ON_CURVE: Final = 4
"""Bodies from which a curve is drawn; between fewer the way is straight."""
_SINGLE: Final = 1.4
"""Distances up to this many usual ones, in depths, are those of neighbours."""
_MOST_GROWTH: Final = 0.06
"""How much the logarithm of the step grows from one level to the next, at most."""
_PARTS: Final = 33
_ALMOST: Final = 0.25
"""Steps in a gap that are farther than this from a whole number may be either of the two next to it."""
_MOST_COUNTED_STEPS: Final = 3
"""Longer gaps are not filled. On 20 annotated films (``benchmarks/missing_bodies.py``) all the numbers that
were clear were right for 1 to 3 missing bodies, 98 % of them for 4, 97 % for 5. Found bodies lie less
exactly than annotated ones, so the limit is set lower: two missing bodies."""
_EVEN_STEPS: Final = 1.4
"""Two steps along the spine, one over the other, at most, if both are of one level."""
_TURNS_ON: Final = 0.75
"""Part of the turn between the last two steps by which the next one turns on: of 0, 0.5, 0.75 and 1 it leads
nearest to the bodies of 20 annotated films, which ``benchmarks/missing_bodies.py`` measures."""
_USUAL_STEP: Final = (0.7, 1.35)
"""Least and largest distance of the centres of neighbours, in depths of a body."""


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """What lies between two bodies that follow each other in a row of found ones."""

    steps: int
    """How many levels the lower one lies below the upper one: 1 for neighbours."""
    clear: bool
    """Whether the length of the gap is near a whole number of steps."""
    expected: tuple[BodyPose, ...]
    """A pose for each missing body, from the top."""
    otherwise: tuple[BodyPose, ...]
    """The same for the second likeliest number of steps; empty where there is none."""

    @property
    def countable(self) -> bool:
        """Whether it is sure enough how many bodies are missing to tell them."""
        return self.clear and self.steps <= _MOST_COUNTED_STEPS


def following(poses: Sequence[BodyPose]) -> BodyPose:
    """Pose of the body that follows the last of at least two, as that follows those before it.

    The spine turns on as it turned there: most at L5, which lies farthest behind the straight step from L4.
    """
    end, inner = poses[-1], poses[-2]
    back = 2 * end.backward_rc - inner.backward_rc
    # Bodies grow from the neck down by 3 to 4 % a level; the film's own step may be off by more.
    growth = float(np.clip(end.depth_px / inner.depth_px, 0.93, 1.07))
    step = end.centre_rc - inner.centre_rc
    if len(poses) > 2:
        step = _turned_on(step, inner.centre_rc - poses[-3].centre_rc)
    return BodyPose(end.centre_rc + step, back / np.linalg.norm(back), end.depth_px * growth)


def _turned_on(step_rc: FloatArray, before_rc: FloatArray) -> FloatArray:
    """Turn a step on as it turned from the one before it, unless a body is missing between."""
    ratio = float(np.linalg.norm(step_rc) / max(float(np.linalg.norm(before_rc)), 1e-9))
    if not 1 / _EVEN_STEPS < ratio < _EVEN_STEPS:
        return step_rc
    across = before_rc[0] * step_rc[1] - before_rc[1] * step_rc[0]
    turn = _TURNS_ON * float(np.arctan2(across, before_rc @ step_rc))
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(np.array([[cos, -sin], [sin, cos]]) @ step_rc)


def gaps_between(poses: Sequence[BodyPose]) -> list[Gap]:
    """Tell how many bodies are missing between others, and where they should lie.

    Parameters
    ----------
    poses : sequence of BodyPose
        Found bodies, from the top.
    """
    if len(poses) < 2:
        return []
    centres = np.array([pose.centre_rc for pose in poses])
    depths = np.array([pose.depth_px for pose in poses])
    way, at = _curve(centres)
    counts = _counts(way, depths)
    gaps = []
    for n, (upper, lower) in enumerate(pairwise(poses)):
        steps = max(1, round(float(counts[n])))
        unclear = abs(float(counts[n]) - steps) > _ALMOST
        other = steps + (1 if counts[n] > steps else -1)

        def between(share: float, n: int = n) -> FloatArray:
            return at(np.asarray((1 - share) * way[n] + share * way[n + 1]))

        gaps.append(
            Gap(
                steps=steps,
                clear=not unclear,
                expected=_filled(upper, lower, steps, between),
                otherwise=_filled(upper, lower, other, between) if unclear and steps > 1 else (),
            )
        )
    return gaps


def _filled(
    upper: BodyPose, lower: BodyPose, count: int, at: Callable[[float], FloatArray]
) -> tuple[BodyPose, ...]:
    """Fill a gap of `count` steps with bodies that grow, and turn, evenly."""
    growth = lower.depth_px / upper.depth_px
    out = []
    for number, share in enumerate(_shares(count, growth), 1):
        back = (1 - share) * upper.backward_rc + share * lower.backward_rc
        back = back / max(float(np.linalg.norm(back)), 1e-9)
        out.append(BodyPose(at(float(share)), back, upper.depth_px * growth ** (number / count)))
    return tuple(out)


def _curve(centres: FloatArray) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """Lengths along the curve of the spine at each centre, and the curve by its length."""
    chord = np.append(0.0, np.cumsum(np.maximum(np.linalg.norm(np.diff(centres, axis=0), axis=1), 1e-6)))
    if len(centres) < _LEAST_ON_CURVE:
        return chord, _straight(chord, centres)
    spline = _natural_spline(chord, centres)
    fine = np.unique(np.concatenate([chord, np.linspace(0, chord[-1], 40 * len(chord))]))
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(spline(fine), axis=0), axis=1)))
    way = np.interp(chord, fine, length)
    return way, _natural_spline(way, centres)


def _straight(way: FloatArray, centres: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return the broken line through `centres`, which lie at `way`."""

    def at(along: FloatArray) -> FloatArray:
        return np.stack([np.interp(along, way, values) for values in centres.T], axis=-1)

    return at


def _natural_spline(way: FloatArray, centres: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return the cubic spline through `centres`, which lie at `way`, with straight ends.

    The same as scipy's `CubicSpline`; to import scipy.interpolate takes longer than the curves of a film.
    """
    parts = np.diff(way)
    slopes = np.diff(centres, axis=0) / parts[:, None]
    # Second derivatives at the centres, 0 at both ends.
    system = np.diag(2 * (parts[:-1] + parts[1:])) + np.diag(parts[1:-1], 1) + np.diag(parts[1:-1], -1)
    bent = np.zeros(centres.shape)
    bent[1:-1] = np.linalg.solve(system, 6 * np.diff(slopes, axis=0))

    def at(along: FloatArray) -> FloatArray:
        n = np.clip(np.searchsorted(way, along, side="right") - 1, 0, len(parts) - 1)
        part = parts[n][..., None]
        after = (np.asarray(along) - way[n])[..., None]
        before = part - after
        cubic = (bent[n] * before**3 + bent[n + 1] * after**3) / (6 * part)
        line = (centres[n] / part - bent[n] * part / 6) * before
        return np.asarray(cubic + line + (centres[n + 1] / part - bent[n + 1] * part / 6) * after)

    return at


def _counts(way: FloatArray, depths: FloatArray) -> FloatArray:
    """How many steps each gap holds, as a real number: steps grow evenly between those that are known."""
    away = np.diff(way)
    over_depth = away / ((depths[:-1] + depths[1:]) / 2)
    usual = float(np.clip(np.median(over_depth[over_depth <= np.median(over_depth)]), *_USUAL_STEP))
    single = over_depth < _SINGLE * usual
    middles = (way[:-1] + way[1:]) / 2
    counts = []
    for n in range(len(away)):
        # What a gap holds is not told by its own length.
        known = single.copy()
        known[n] = False
        if known.any():
            along = np.linspace(way[n], way[n + 1], _PARTS)
            step = _step_along(along, middles[known], away[known])
            counts.append(away[n] * float(np.mean(1 / step)))
        else:
            counts.append(float(over_depth[n]) / usual)
    return np.array(counts)


def _step_along(along: FloatArray, middles: FloatArray, away: FloatArray) -> FloatArray:
    """Distance of neighbours along the spine: between known ones on a line, beyond them as they grow."""
    logs = np.log(away)
    inside = np.interp(along, middles, logs)
    if len(middles) < 3:
        return np.asarray(np.exp(inside))
    slope = float(np.polyfit(middles, logs, 1)[0])
    growth = float(np.clip(slope, 0.0, _MOST_GROWTH / float(np.median(away))))
    beyond = along - np.clip(along, middles[0], middles[-1])
    return np.asarray(np.exp(inside + growth * beyond))


def _shares(count: int, growth: float) -> FloatArray:
    """Where in a gap its `count` steps end, the last one left out, which is `growth` times the first."""
    lengths = growth ** np.linspace(0, 1, count)
    return np.asarray(np.cumsum(lengths)[:-1] / lengths.sum())


def guessed(pose: BodyPose, seen: FineReading | None, sure: Sequence[FineReading]) -> FineReading:
    """Place a body that is hardly seen: where its sure neighbours expect it, and as far as it is seen, there.

    Parameters
    ----------
    pose : BodyPose
        Where it is expected.
    seen : FineReading or None
        What is doubtfully seen there.
    sure : sequence of FineReading
        Bodies that are surely seen; the nearest lend it their shape.

    Returns
    -------
    FineReading
        With a spread that forbids to measure it.
    """
    expected = _shape(sure, pose)
    doubt = EXPECTED_SD * pose.depth_px
    if seen is None:
        unknown = np.full(len(LEVELS), -np.log(len(LEVELS)))
        return FineReading(
            points=SixPoints(expected),
            point_sd_px=np.full((6, 2), doubt),
            contour_rc=expected,
            corners_found=True,
            broken=False,
            merged=False,
            is_body=GUESSED_IS_BODY,
            level_log_chance=unknown,
            turned_log_chance=unknown,
            metal=0.0,
            cement=0.0,
            cut=0.0,
            pose=pose,
            seen=False,
        )
    # The better known of both counts more; spreads stay those of the looks, so that nothing becomes surer.
    own = 1 / np.square(seen.point_sd_px).mean(axis=1, keepdims=True)
    share = own / (own + 1 / doubt**2)
    points = share * seen.points.points_rc + (1 - share) * expected
    moved = (points - seen.points.points_rc).mean(axis=0)
    return replace(seen, points=SixPoints(points), contour_rc=seen.contour_rc + moved)


def _shape(sure: Sequence[FineReading], pose: BodyPose) -> PointsRC:
    """Six points of a body at `pose`, alike to the sure bodies nearest to it."""
    near = sorted(sure, key=lambda r: float(np.linalg.norm(r.points.centre_rc - pose.centre_rc)))[:_LENDERS]
    shapes = [crop_map(pose_of(reading.points))(reading.points.points_rc) for reading in near]
    return crop_map(pose).inverse()(np.median(shapes, axis=0))
