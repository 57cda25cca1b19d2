"""Draw six-points.svg: ``python docs/concepts/figures/make_six_points.py`` from the root of the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vertebrometer.anatomy import POINT_NAMES
from vertebrometer.phantom import NORMS, BodyShape, stack
from vertebrometer.phantom.spine import section_outline
from vertebrometer.types import PointsRC

SCALE = 11.0
"""Pixels of the drawing per mm."""
SIZE = (760, 520)
"""Width and height of the drawing."""
TURN_DEG = 4.0
"""Slope of the sacrum, which sets how the body stands."""
INK, SPUR, POINT, HELP = "#1f2933", "#c7cdd4", "#b3261e", "#5b6b7a"


def body() -> BodyShape:
    """Return an L2 with concave endplates, a slight wedge and spurs on both anterior corners."""
    norm = NORMS["L2"]
    return BodyShape(
        level="L2",
        anterior_mm=norm.anterior_mm - 3.0,
        middle_mm=norm.middle_mm - 3.0,
        posterior_mm=norm.posterior_mm,
        superior_depth_mm=norm.depth_mm + 4,
        inferior_depth_mm=norm.depth_mm + 5,
        width_mm=norm.width_mm,
        waist=0.045,
        osteophytes_mm=(5.0, 0.0, 0.0, 4.0),
        concavity_skew=0.5,
    )


def draw() -> str:
    """Return the figure as SVG."""
    shape = body()
    placed = stack([shape], sacral_slope_deg=TURN_DEG).bodies[0]
    six = placed.six_points_mm().points_rc
    outline = placed.outline_mm()
    spurred = placed.to_film_mm(section_outline(shape, 0.0, spurs=True))
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2

    def at(points_mm: PointsRC) -> PointsRC:
        """Carry mm to (x, y) of the drawing."""
        return ((np.atleast_2d(points_mm) - middle) * SCALE + [SIZE[1] / 2, SIZE[0] / 2])[:, ::-1]

    def path(points_mm: PointsRC, style: str, *, close: bool = True) -> str:
        steps = " L ".join(f"{x:.1f} {y:.1f}" for x, y in at(points_mm))
        return f'<path d="M {steps}{" Z" if close else ""}" {style}/>'

    def text(
        point_mm: PointsRC, away: tuple[float, float], words: str, anchor: str, colour: str = INK
    ) -> str:
        x, y = at(point_mm)[0] + away
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'

    sa, sm, sp, ip, im, ia = six
    thin = f'fill="none" stroke="{HELP}" stroke-width="1.2" stroke-dasharray="5 4"'
    parts = [
        path(spurred, f'fill="{SPUR}" stroke="none"'),
        path(outline, f'fill="#eef1f4" stroke="{INK}" stroke-width="2.2"'),
        path(np.array([sa, sp]), thin, close=False),
        path(np.array([ia, ip]), thin, close=False),
        path(np.array([(sa + sp) / 2, sm]), thin, close=False),
        path(np.array([(ia + ip) / 2, im]), thin, close=False),
    ]
    heights = (("anterior height", sa, ia), ("middle height", sm, im), ("posterior height", sp, ip))
    for words, upper, lower in heights:
        line = f'fill="none" stroke="{POINT}" stroke-width="1.4"'
        parts.append(path(np.array([upper, lower]), line, close=False))
        parts.append(text((upper + lower) / 2, (28, 4), words, "start", POINT))
    places = {
        "superior_anterior": ((-6, -34), "middle"),
        "superior_middle": ((0, 26), "middle"),
        "superior_posterior": ((14, -10), "start"),
        "inferior_posterior": ((14, 20), "start"),
        "inferior_middle": ((0, -16), "middle"),
        "inferior_anterior": ((-6, 44), "middle"),
    }
    for name, point in zip(POINT_NAMES, six, strict=True):
        x, y = at(point)[0]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{POINT}"/>')
        away, anchor = places[name]
        parts.append(text(point, away, name, anchor))
    parts += [
        text((sa + sp) / 2, (10, -26), "half-way between the corners", "middle", HELP),
        text(np.array([middle[0], spurred[:, 1].min()]), (-14, 0), "anterior", "end", HELP),
        text(np.array([middle[0], outline[:, 1].max()]), (30, 40), "posterior", "start", HELP),
        text(np.array([sa[0], spurred[:, 1].min()]), (-8, 4), "spur, left out", "end", HELP),
        text(np.array([ia[0], spurred[:, 1].min()]), (-8, 4), "spur, left out", "end", HELP),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" '
        f'font-family="sans-serif" font-size="15" role="img">'
        "<title>The six points of a vertebral body</title>"
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_name("six-points.svg").write_text(draw(), encoding="utf-8")
