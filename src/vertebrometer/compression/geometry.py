"""Compression by plain geometry: heights of a body against those of its fellows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vertebrometer.anatomy import NotMeasured, Reason, Vertebra
from vertebrometer.compression.neighbours import chained, intact, nearest_intact
from vertebrometer.compression.values import Compression, Definition, IntervalCalibration
from vertebrometer.morphometry import Heights, anterior_height_sd, heights, posterior_height_sd


def compression_percent(own: float, expected: float) -> float:
    """Percentage of the expected height that is lost; negative for a gain.

    Examples
    --------
    Equation 1 of Seo et al., Sci Rep 2021, with anterior heights of 30, 24 and 30:

    >>> compression_percent(24, (30 + 30) / 2)
    20.0
    """
    if expected <= 0:
        msg = f"an expected height above 0 is wanted, got {expected}"
        raise ValueError(msg)
    return 100.0 * (expected - own) / expected


def compressions(
    vertebrae: Sequence[Vertebra],
    pixel_rc: tuple[float, float] = (1.0, 1.0),
    *,
    calibration: IntervalCalibration | None = None,
    widest_points: float = math.inf,
) -> list[dict[Definition, Compression | NotMeasured]]:
    """Measure the compression of each body by every definition.

    Parameters
    ----------
    vertebrae : sequence of Vertebra
        The bodies of one film, from the top.
    pixel_rc : tuple of float
        Size of a pixel along rows and columns, in mm or in any other unit; only
        their ratio counts.
    calibration : IntervalCalibration, optional
        Widens the intervals; by default they are as first-order propagation of
        `point_sd_px` gives them.
    widest_points : float, optional
        A value whose 90 % interval reaches farther than this to either side, in
        percentage points, is not told.

    Returns
    -------
    list of dict
        One per body, in the same order; each definition has a value or the
        reason for its absence. A body with `reasons` is not measured (the first
        one is given) and no body is compared with it.
    """
    film = _film(vertebrae, pixel_rc, calibration or IntervalCalibration(), widest_points)
    return [
        {
            Definition.ADJACENT_MEAN: _adjacent_mean(film, n),
            Definition.NEAREST_INTACT: _nearest_intact(film, n),
            Definition.SAME_BODY: _same_body(film, n),
        }
        for n in range(len(vertebrae))
    ]


@dataclass(frozen=True, slots=True)
class _Film:
    """The bodies of one film and what all definitions ask of them."""

    vertebrae: tuple[Vertebra, ...]
    heights: tuple[Heights, ...]
    anterior_sd: tuple[float | None, ...]
    posterior_sd: tuple[float | None, ...]
    linked: tuple[bool, ...]
    intact: tuple[bool, ...]
    calibration: IntervalCalibration
    widest_points: float


def _film(
    vertebrae: Sequence[Vertebra],
    pixel_rc: tuple[float, float],
    calibration: IntervalCalibration,
    widest_points: float,
) -> _Film:
    aspect = pixel_rc[0] / pixel_rc[1]
    all_heights = tuple(heights(vertebra.points, aspect=aspect) for vertebra in vertebrae)
    spread = [(v.points, v.point_sd_px) for v in vertebrae]
    return _Film(
        vertebrae=tuple(vertebrae),
        heights=all_heights,
        anterior_sd=tuple(
            None if sd is None else anterior_height_sd(p, sd, aspect=aspect) for p, sd in spread
        ),
        posterior_sd=tuple(
            None if sd is None else posterior_height_sd(p, sd, aspect=aspect) for p, sd in spread
        ),
        linked=tuple(chained(vertebrae, all_heights, aspect)),
        intact=tuple(intact(vertebrae, all_heights)),
        calibration=calibration,
        widest_points=widest_points,
    )


def _adjacent_mean(film: _Film, n: int) -> Compression | NotMeasured:
    if (refused := _own_reason(film, n) or _edge_reason(film, n)) is not None:
        return refused
    if not (film.linked[n - 1] and film.linked[n]):
        return NotMeasured(Reason.NEIGHBOURS_NOT_ADJACENT)
    if not (film.vertebrae[n - 1].usable and film.vertebrae[n + 1].usable):
        return NotMeasured(Reason.NEIGHBOUR_UNUSABLE)
    return _against(film, n, Definition.ADJACENT_MEAN, {n - 1: 0.5, n + 1: 0.5})


def _nearest_intact(film: _Film, n: int) -> Compression | NotMeasured:
    if (refused := _own_reason(film, n) or _edge_reason(film, n)) is not None:
        return refused
    above, below = (nearest_intact(n, step, film.vertebrae, film.intact, film.linked) for step in (-1, 1))
    if above is None or below is None:
        return NotMeasured(Reason.NO_INTACT_NEIGHBOUR)
    # Bodies grow steadily downwards, so the expected height lies on the line between the
    # two; the further one counts less. With both next door this is the adjacent mean.
    weight_below = (n - above) / (below - above)
    return _against(film, n, Definition.NEAREST_INTACT, {above: 1.0 - weight_below, below: weight_below})


def _same_body(film: _Film, n: int) -> Compression | NotMeasured:
    if (refused := _own_reason(film, n)) is not None:
        return refused
    own = film.heights[n]
    if own.posterior_px <= 0 or own.anterior_px <= 0:
        return NotMeasured(Reason.IMPLAUSIBLE_SHAPE)
    sd = _sd_points(own.anterior_px, own.posterior_px, film.anterior_sd[n], [(1.0, film.posterior_sd[n])])
    percent = compression_percent(own.anterior_px, own.posterior_px)
    return _told(film, percent, sd, Definition.SAME_BODY, compared_with=())


def _against(
    film: _Film, n: int, definition: Definition, weights: dict[int, float]
) -> Compression | NotMeasured:
    """Compare the anterior height with the weighted sum of others'."""
    own = film.heights[n].anterior_px
    expected = sum(weight * film.heights[m].anterior_px for m, weight in weights.items())
    if expected <= 0 or own <= 0:
        return NotMeasured(Reason.IMPLAUSIBLE_SHAPE)
    percent = compression_percent(own, expected)
    sd = _sd_points(
        own, expected, film.anterior_sd[n], [(w, film.anterior_sd[m]) for m, w in weights.items()]
    )
    return _told(film, percent, sd, definition, compared_with=tuple(weights))


def _told(
    film: _Film, percent: float, sd: float | None, definition: Definition, *, compared_with: tuple[int, ...]
) -> Compression | NotMeasured:
    """Tell a value with its interval, unless that is too wide to be worth telling."""
    interval = None
    if sd is not None:
        half = film.calibration.half_width(percent, sd)
        if half > film.widest_points:
            return NotMeasured(Reason.INTERVAL_TOO_WIDE)
        interval = (percent - half, percent + half)
    return Compression(percent, definition, interval_90=interval, compared_with=compared_with)


def _sd_points(
    own: float, expected: float, own_sd: float | None, others: Sequence[tuple[float, float | None]]
) -> float | None:
    """Spread of 100 (1 - own / expected) to first order; `others` are weights and spreads of heights."""
    if own_sd is None:
        return None
    expected_variance = 0.0
    for weight, sd in others:
        if sd is None:
            return None
        expected_variance += (weight * sd) ** 2
    return 100.0 * math.sqrt((own_sd / expected) ** 2 + expected_variance * (own / expected**2) ** 2)


def _own_reason(film: _Film, n: int) -> NotMeasured | None:
    reasons = film.vertebrae[n].reasons
    return NotMeasured(reasons[0]) if reasons else None


def _edge_reason(film: _Film, n: int) -> NotMeasured | None:
    if n == 0:
        return NotMeasured(Reason.NO_NEIGHBOUR_ABOVE)
    if n == len(film.vertebrae) - 1:
        return NotMeasured(Reason.NO_NEIGHBOUR_BELOW)
    return None
