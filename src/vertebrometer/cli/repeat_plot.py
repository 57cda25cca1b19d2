"""Table and plot of a repeatability run; drawn as plain SVG, so that no plotting library is needed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from xml.sax.saxutils import escape

from vertebrometer.repeatability import BodyRepeat

_WIDTH, _ROW, _LEFT, _TOP = 760, 16, 220, 40


def as_csv(rows: Sequence[tuple[str, BodyRepeat]]) -> str:
    """Return one line per film, body and perturbation."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["film", "body", "level", "plain_percent", "perturbation", "percent"])
    for film, body in rows:
        for name, value in body.values:
            table.writerow([film, body.body, body.level or "", f"{body.plain:.3f}", name, f"{value:.3f}"])
    return out.getvalue()


def as_svg(rows: Sequence[tuple[str, BodyRepeat]]) -> str:
    """Draw how far each value lies from the plain one: a row per body, a dot per perturbation."""
    height = _TOP + _ROW * len(rows) + 40
    reach = max((abs(value - body.plain) for _, body in rows for _, value in body.values), default=1.0)
    scale = (_WIDTH - _LEFT - 30) / 2 / max(reach, 1.0)
    middle = _LEFT + (_WIDTH - _LEFT - 30) / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            'font-family="sans-serif" font-size="11">'
        ),
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        (
            '<text x="10" y="20">Change of vertebral compression under perturbations, percentage points. '
            "Research use only.</text>"
        ),
        f'<line x1="{middle}" y1="{_TOP - 8}" x2="{middle}" y2="{height - 30}" stroke="#888"/>',
    ]
    for place, (film, body) in enumerate(rows):
        y = _TOP + _ROW * place + 5
        name = escape(f"{film[:24]} {body.level or body.body}")
        parts.append(f'<text x="10" y="{y + 4}">{name}</text>')
        parts += [
            f'<circle cx="{middle + scale * (value - body.plain):.1f}" cy="{y}" r="2.5" fill="#0072b2"'
            f' fill-opacity="0.6"><title>{escape(what)}</title></circle>'
            for what, value in body.values
        ]
    for tick in (-1.0, -0.5, 0.5, 1.0):
        x = middle + scale * tick * max(reach, 1.0)
        parts.append(
            f'<text x="{x:.1f}" y="{height - 12}" text-anchor="middle">{tick * max(reach, 1.0):+.1f}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
