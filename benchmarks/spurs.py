"""How well the truth of projected CT leaves spurs out: its rule on outlines of phantoms of known corners.

    python benchmarks/spurs.py --spines 12

Corner errors are in mm, those of the anterior height in percent of it. "Tips" are the corners farthest out,
spurs and all.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from vertebrometer.phantom import BodyShape, draw_phantom
from vertebrometer.phantom.spine import PlacedBody, section_outline
from vertebrometer.projection.bodies import even_outline, farthest_out, without_spurs
from vertebrometer.types import FloatArray

_LARGE_MM = 1.0
_LEAN_DEG = 25.0


def with_spurs(shape: BodyShape, factor: float) -> BodyShape:
    """Return a body whose spurs are longer by `factor`."""
    sa, sp, ip, ia = (factor * length for length in shape.osteophytes_mm)
    return replace(shape, osteophytes_mm=(sa, sp, ip, ia))


def errors(shapes: list[BodyShape], *, tips: bool) -> tuple[FloatArray, FloatArray]:
    """Return corner errors in mm, shape (n, 4), and errors of the anterior height in percent, shape (n,)."""
    rng = np.random.default_rng(1)
    corner_mm, height_percent = [], []
    for shape in shapes:
        body = PlacedBody(
            shape=shape, centre_mm=np.zeros(2), axis_deg=float(rng.uniform(-_LEAN_DEG, _LEAN_DEG))
        )
        outline = even_outline(body.to_film_mm(section_outline(shape, 0.0, spurs=True)))
        true = body.six_points_mm().corners_rc
        found = farthest_out(outline) if tips else without_spurs(outline)[1].corners_rc
        corner_mm.append(np.linalg.norm(found - true, axis=1))
        height = np.linalg.norm(true[0] - true[3])
        height_percent.append((np.linalg.norm(found[0] - found[3]) / height - 1) * 100)
    return np.array(corner_mm), np.array(height_percent)


def main() -> None:
    """Print a line for each length of spurs and each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spines", type=int, default=12)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    shapes = [shape for _ in range(args.spines) for shape in draw_phantom(rng).bodies]
    print(f"{len(shapes)} bodies, spurs times a factor")
    for factor in (0, 1, 2):
        grown = [with_spurs(shape, factor) for shape in shapes]
        spurred = np.array(
            [max(shape.osteophytes_mm[0], shape.osteophytes_mm[3]) > _LARGE_MM for shape in grown]
        )
        for name, tips in (("tips", True), ("spurs left out", False)):
            corner_mm, height_percent = errors(grown, tips=tips)
            line = f"{factor}  {name:15s} corner {corner_mm.mean():.2f} mm, "
            line += f"95th percentile {np.quantile(corner_mm, 0.95):.2f}"
            for which, told in ((spurred, f"anterior spurs > {_LARGE_MM:.0f} mm"), (~spurred, "others")):
                if which.any():
                    part = height_percent[which]
                    line += f"; height, {told} (n = {which.sum()}) {part.mean():+.1f} % SD {part.std():.1f}"
            print(line)


if __name__ == "__main__":
    main()
