"""Small spines drawn with a ruler, whose answers are known by construction."""

from __future__ import annotations

import numpy as np

from vertebrometer.anatomy import Reason, SixPoints, Vertebra


def body(
    top: float,
    anterior: float,
    posterior: float | None = None,
    *,
    middle: float | None = None,
    left: float = 100.0,
    depth: float = 40.0,
    sd: float | None = None,
    level: str | None = None,
    confidence: float = 0.95,
    reasons: tuple[Reason, ...] = (),
) -> Vertebra:
    """A body with a flat upper endplate at row `top`, its front to the right."""
    posterior = anterior if posterior is None else posterior
    middle = (anterior + posterior) / 2 if middle is None else middle
    front, centre, back = left + depth, left + depth / 2, left
    points = np.array(
        [
            [top, front],
            [top, centre],
            [top, back],
            [top + posterior, back],
            [top + middle, centre],
            [top + anterior, front],
        ]
    )
    return Vertebra(
        points=SixPoints(points),
        contour_rc=points,
        confidence=confidence,
        level=level,
        level_confidence=0.9 if level else 0.0,
        point_sd_px=None if sd is None else np.full((6, 2), sd),
        reasons=reasons,
    )


def spine(*anteriors: float, posterior: float = 30.0, pitch: float = 40.0, **kwargs) -> list[Vertebra]:
    """Bodies one below the other with these anterior heights and one posterior height."""
    return [body(20 + n * pitch, height, posterior, **kwargs) for n, height in enumerate(anteriors)]


def moved(vertebrae, *, turn_deg=0.0, zoom=1.0, mirror=False, stretch_rows=1.0) -> list[Vertebra]:
    """The same spine on another film; `stretch_rows` above 1 stores more rows per length."""
    angle = np.deg2rad(turn_deg)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag([stretch_rows, 1.0]) @ turn @ np.diag([1.0, -1.0 if mirror else 1.0])
    out = []
    for v in vertebrae:
        points = v.points.points_rc @ matrix.T
        out.append(
            Vertebra(
                points=SixPoints(points),
                contour_rc=points,
                confidence=v.confidence,
                level=v.level,
                level_confidence=v.level_confidence,
                point_sd_px=v.point_sd_px,
                reasons=v.reasons,
            )
        )
    return out
