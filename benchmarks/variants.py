"""How measuring stands up to what other hospitals do to a film: parts, scales, greys, letters, no spacing.

    python benchmarks/variants.py --truth truth.json --films DIR [--only NAME...]

Measures every film of a truth file (the form that ``vertebrometer phantom`` writes) as it is and in each of
its variants, always without a pixel spacing, and prints a line for each. Bodies that a part does not show
whole are not asked for.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vertebrometer.anatomy import BodyTruth, FilmTruth, SixPoints, level_rank, read_truth
from vertebrometer.evaluation import Evaluation, evaluate_reports
from vertebrometer.geometry import Affine
from vertebrometer.phantom import mirrored
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph, read_radiograph
from vertebrometer.types import GrayImage, PointsRC

Shown = tuple[GrayImage, FilmTruth]
MARGIN = 0.6
"""Film above the first and below the last body of a part, in heights of a body."""
BEFORE, BEHIND = 4.0, 3.0
"""Film in front of and behind the bodies of a part, in heights of a body."""


def main() -> None:
    parser = films_parser(__doc__, levels="T4-L5")
    parser.add_argument("--variant", nargs="*", default=[], help="only these variants, by name")
    arguments = parser.parse_args()
    first, last = arguments.levels.split("-")
    truths = asked_films(arguments)
    measurer = Measurer()
    heads = ("variant", "bodies", "recall, %", "false per film", "Dice", "corner error, %", "body yield, %")
    print(f"| {' | '.join((*heads, 'VC MAE', 'named, %', 'right of those, %'))} |")
    print("|---" * (len(heads) + 3) + "|")
    for name, vary in VARIANTS.items():
        if arguments.variant and name not in arguments.variant:
            continue
        reports, shown_truths = {}, []
        for truth in truths:
            film = read_radiograph(arguments.films / truth.file)
            image, shown = vary((film.image, truth))
            varied = Radiograph(image=np.ascontiguousarray(image), name=film.name, facts=film.facts)
            reports[Path(truth.file).stem] = measurer.measure(varied)
            shown_truths.append(shown)
        told = evaluate_reports(reports, shown_truths, first=first, last=last, repeats=1)
        print(line(name, told), flush=True)


def films_parser(doc: str | None, levels: str) -> argparse.ArgumentParser:
    """Make a parser of what to measure: a truth file, its films, which of them, and which levels count."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--films", type=Path, required=True, help="folder of the films that the truth names")
    parser.add_argument(
        "--only", nargs="*", default=[], help="films that nothing was trained on, by file name"
    )
    parser.add_argument("--levels", default=levels, help="levels that count, as FIRST-LAST")
    return parser


def asked_films(arguments: argparse.Namespace) -> list[FilmTruth]:
    """Read the truth of the films that a `films_parser` was asked for."""
    only = arguments.only
    return [truth for truth in read_truth(arguments.truth) if not only or truth.file in only]


def line(name: str, told: Evaluation) -> str:
    """Return one line of the table; what could not be computed is a dash."""
    values, dice = told.errors["all"], told.segmentation["dice"]
    figures = (
        f"{told.body_recall_percent.value:.1f}",
        f"{told.false_per_film:.2f}",
        "-" if dice is None else f"{dice.mean:.3f}",
        "-" if told.corner_error_median_percent is None else f"{told.corner_error_median_percent:.1f}",
        f"{told.body_yield_percent:.0f}",
        "-" if values is None else f"{values.mae.value:.2f}",
        "-" if told.levels_named_percent is None else f"{told.levels_named_percent:.0f}",
        "-" if told.levels_right_percent is None else f"{told.levels_right_percent:.0f}",
    )
    return f"| {name} | {sum(film.bodies for film in told.films)} | {' | '.join(figures)} |"


def whole(shown: Shown) -> Shown:
    """Leave the film as it is."""
    return shown


def facing_other_way(shown: Shown) -> Shown:
    """Mirror the film."""
    image, truth = shown
    return image[:, ::-1], mirrored(truth)


def turned_round(shown: Shown) -> Shown:
    """Turn the film by 180 degrees."""
    image, truth = shown
    far = np.array(image.shape) - 1.0
    turned = replace(truth, facing=truth.facing.opposite)
    return image[::-1, ::-1], moved(turned, lambda points: far - points)


def on_its_side(shown: Shown) -> Shown:
    """Turn the film by 90 degrees against the clock; the side that it faces is still told of it head up."""
    image, truth = shown
    lying = replace(truth, shape=(image.shape[1], image.shape[0]))
    return np.rot90(image), moved(
        lying, lambda points: np.stack([image.shape[1] - 1.0 - points[:, 1], points[:, 0]], axis=1)
    )


def part(first: str, last: str, *, margin: float = MARGIN, sides: float = 1.0) -> Callable[[Shown], Shown]:
    """Cut out the bodies from `first` to `last`, as a film of that region shows them."""

    def cut(shown: Shown) -> Shown:
        image, truth = shown
        inside = [b for b in truth.bodies if level_rank(first) <= level_rank(b.level) <= level_rank(last)]
        corners = np.concatenate([body.points.corners_rc for body in inside])
        height = float(np.mean([np.linalg.norm(np.subtract(*b.points.corners_rc[[0, 3]])) for b in inside]))
        left, right = (BEHIND, BEFORE) if truth.facing.value == "right" else (BEFORE, BEHIND)
        low = np.floor(corners.min(axis=0) - height * np.array([margin, left * sides])).astype(int)
        high = np.ceil(corners.max(axis=0) + height * np.array([margin, right * sides])).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, image.shape)
        kept = replace(truth, bodies=tuple(inside), shape=(int(high[0] - low[0]), int(high[1] - low[1])))
        return image[low[0] : high[0], low[1] : high[1]], moved(kept, lambda points: points - low)

    return cut


def scaled(rows: float, cols: float) -> Callable[[Shown], Shown]:
    """Give the film other pixels; with two factors it is squashed, and nothing in the file says so."""

    def scale(shown: Shown) -> Shown:
        image, truth = shown
        high, wide = round(image.shape[0] * rows), round(image.shape[1] * cols)
        by = np.array([high / image.shape[0], wide / image.shape[1]])
        how = cv2.INTER_AREA if min(rows, cols) < 1 else cv2.INTER_LINEAR
        small = cv2.resize(np.ascontiguousarray(image), (wide, high), interpolation=how)
        return np.asarray(small), moved(replace(truth, shape=(high, wide)), lambda p: (p + 0.5) * by - 0.5)

    return scale


def grey(change: Callable[[GrayImage], GrayImage]) -> Callable[[Shown], Shown]:
    """Change the grey levels, and store them in 8 bits."""

    def changed(shown: Shown) -> Shown:
        image, truth = shown
        return np.asarray(np.round(np.clip(change(image), 0, 1) * 255) / 255, dtype=np.float32), truth

    return changed


def lettered(shown: Shown) -> Shown:
    """Burn in letters and a ruler, one letter over the middle of the film."""
    image, truth = shown
    rows, cols = image.shape
    ink = np.zeros(image.shape, np.uint8)
    size = max(rows / 2750, 0.4)
    for text, at, large in (
        ("L 12:34 KV 85", (20, int(120 * size)), 2.2),
        ("R", (cols // 2, rows // 2), 4.0),
    ):
        cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, large * size, 255, max(1, int(7 * size)))
    for tick, row in enumerate(range(0, rows, max(8, rows // 60))):
        cv2.line(ink, (cols - 40, row), (cols - (10 if tick % 5 else 25), row), 255, 2)
    return np.maximum(image, ink.astype(np.float32) / 255), truth


def turned(angle_deg: float) -> Callable[[Shown], Shown]:
    """Turn the film about its middle, with the clock; what comes into view is black."""

    def turn(shown: Shown) -> Shown:
        image, truth = shown
        rows, cols = image.shape
        cos, sin = abs(np.cos(np.deg2rad(angle_deg))), abs(np.sin(np.deg2rad(angle_deg)))
        high, wide = int(rows * cos + cols * sin), int(cols * cos + rows * sin)
        middle, new_middle = np.array([rows - 1, cols - 1]) / 2, np.array([high - 1, wide - 1]) / 2
        to = Affine.about(middle, new_middle, turn_deg=angle_deg, zoom=1.0)
        seen = cv2.warpAffine(np.ascontiguousarray(image), to.as_cv2(), (wide, high), flags=cv2.INTER_LINEAR)
        return np.asarray(seen), moved(replace(truth, shape=(high, wide)), to)

    return turn


def framed(value: float, share: float = 0.15) -> Callable[[Shown], Shown]:
    """Lay the film on a larger sheet of one grey level."""

    def frame(shown: Shown) -> Shown:
        image, truth = shown
        width = int(share * max(image.shape))
        seen = np.pad(image, width, constant_values=np.float32(value))
        return seen, moved(
            replace(truth, shape=(seen.shape[0], seen.shape[1])), lambda points: points + width
        )

    return frame


def keystoned(shown: Shown) -> Shown:
    """Show the film as a photograph taken from below does: narrower at its top, one side higher."""
    image, truth = shown
    rows, cols = image.shape
    corners = np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]], dtype=np.float32)
    seen_at = corners + np.float32([[0.08 * cols, 0], [-0.08 * cols, 0.03 * rows], [0, 0], [0, -0.03 * rows]])
    to = cv2.getPerspectiveTransform(corners, seen_at)

    def move(points: PointsRC) -> PointsRC:
        xy = np.ascontiguousarray(points[:, ::-1], dtype=np.float64).reshape(-1, 1, 2)
        return np.asarray(cv2.perspectiveTransform(xy, to)[:, 0, ::-1], dtype=np.float64)

    return np.asarray(cv2.warpPerspective(np.ascontiguousarray(image), to, (cols, rows))), moved(truth, move)


def jpeg(quality: int) -> Callable[[GrayImage], GrayImage]:
    """Store a picture lossily."""

    def stored(image: GrayImage) -> GrayImage:
        _, data = cv2.imencode(
            ".jpg", np.asarray(np.round(image * 255), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255

    return stored


def blurred(sd_px: float) -> Callable[[GrayImage], GrayImage]:
    """Blur a picture with a Gaussian."""
    return lambda image: np.asarray(cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), sd_px))


def sharpened(image: GrayImage) -> GrayImage:
    """Overdo the edges, as some workstations do before they export."""
    return np.asarray(image + 2.0 * (image - blurred(4.0)(image)))


def darkened_corner(image: GrayImage) -> GrayImage:
    """Let one corner of a picture fall off to less than half."""
    rows, cols = (np.linspace(-1, 1, size, dtype=np.float32) for size in image.shape)
    return np.asarray(image * (1 - 0.6 * np.clip(rows[:, None] / 2 + cols[None] / 2 + 0.3, 0, 1)))


def saturated(image: GrayImage) -> GrayImage:
    """Clip an eighth of the pixels at either end."""
    low, high = np.percentile(image, (12, 88))
    return np.asarray((image - low) / (high - low))


def equalised(image: GrayImage) -> GrayImage:
    """Even out the contrast of each part of a picture, strongly, in 8 bits."""
    eight_bit = np.asarray(np.round(image * 255), np.uint8)
    return np.asarray(cv2.createCLAHE(4.0, (8, 8)).apply(eight_bit), dtype=np.float32) / 255


def grainy(levels: float) -> Callable[[Shown], Shown]:
    """Leave 0.7 of the contrast and add grain, an SD of so many of 255 grey levels, blurred by 1.2 px."""

    def grain(shown: Shown) -> Shown:
        image, truth = shown
        rng = np.random.default_rng(zlib.crc32(truth.file.encode()))
        noise = cv2.GaussianBlur(rng.normal(size=image.shape).astype(np.float32), (0, 0), 1.2)
        dim = 0.15 + 0.7 * image + levels / 255 * noise / noise.std()
        return np.asarray(np.clip(dim, 0, 1), dtype=np.float32), truth

    return grain


def after(*steps: Callable[[Shown], Shown]) -> Callable[[Shown], Shown]:
    """Do one change after the other."""

    def all_of(shown: Shown) -> Shown:
        for step in steps:
            shown = step(shown)
        return shown

    return all_of


def moved(truth: FilmTruth, to: Callable[[PointsRC], PointsRC]) -> FilmTruth:
    """Carry all points of a truth."""

    def body(own: BodyTruth) -> BodyTruth:
        return replace(own, points=SixPoints(to(own.points.points_rc)), contour_rc=to(own.contour_rc))

    s1 = None if truth.s1_endplate_rc is None else to(truth.s1_endplate_rc)
    return replace(truth, bodies=tuple(body(own) for own in truth.bodies), s1_endplate_rc=s1)


LOWER = part("T8", "L5")
VARIANTS: dict[str, Callable[[Shown], Shown]] = {
    "as it is": whole,
    "facing the other way": facing_other_way,
    "on its head": turned_round,
    "lumbar, T11-L5": part("T11", "L5"),
    "lumbar, cut close, T12-L5": part("T12", "L5", margin=0.3, sides=0.5),
    "thoracolumbar, T8-L5": LOWER,
    "thoracic, T4-T12": part("T4", "T12"),
    "T8-L5, on its head": after(LOWER, turned_round),
    "T4-T12, on its head": after(part("T4", "T12"), turned_round),
    "on its side": on_its_side,
    "T8-L5, on its side": after(LOWER, on_its_side),
    "T4-T12, on its side": after(part("T4", "T12"), on_its_side),
    "T8-L5, half the pixels": after(LOWER, scaled(0.5, 0.5)),
    "T8-L5, 1.7 times the pixels": after(LOWER, scaled(1.7, 1.7)),
    "T8-L5, rows squashed to 0.75": after(LOWER, scaled(0.75, 1.0)),
    "T8-L5, columns squashed to 0.75": after(LOWER, scaled(1.0, 0.75)),
    "T8-L5, rows squashed to 0.6": after(LOWER, scaled(0.6, 1.0)),
    "T8-L5, rows squashed to 0.45": after(LOWER, scaled(0.45, 1.0)),
    "T8-L5, columns squashed to 0.5": after(LOWER, scaled(1.0, 0.5)),
    "T4-T12, rows squashed to 0.75": after(part("T4", "T12"), scaled(0.75, 1.0)),
    "T4-T12, columns squashed to 0.75": after(part("T4", "T12"), scaled(1.0, 0.75)),
    "T4-T12, rows squashed to 0.5": after(part("T4", "T12"), scaled(0.5, 1.0)),
    "T8-L5, a quarter of the contrast": after(LOWER, grey(lambda image: 0.25 * image + 0.1)),
    "T8-L5, gamma 2": after(LOWER, grey(np.square)),
    "T8-L5, gamma 0.5": after(LOWER, grey(np.sqrt)),
    "T8-L5, negative": after(LOWER, grey(lambda image: 1 - image)),
    "T8-L5, clipped at both ends": after(LOWER, grey(saturated)),
    "T8-L5, contrast evened out": after(LOWER, grey(equalised)),
    "T8-L5, sharpened": after(LOWER, grey(sharpened)),
    "T8-L5, one corner dark": after(LOWER, grey(darkened_corner)),
    "T8-L5, letters and a ruler": after(LOWER, lettered),
    "T8-L5, turned by 12 degrees": after(LOWER, turned(12)),
    "T8-L5, turned by -12 degrees": after(LOWER, turned(-12)),
    "T8-L5, turned by 20 degrees": after(LOWER, turned(20)),
    "T8-L5, turned by -20 degrees": after(LOWER, turned(-20)),
    "T8-L5, keystoned": after(LOWER, keystoned),
    "T8-L5, on a white sheet": after(LOWER, framed(1.0)),
    "T8-L5, on a black sheet": after(LOWER, framed(0.0)),
    "T8-L5, a third of the pixels": after(LOWER, scaled(1 / 3, 1 / 3)),
    "T8-L5, a quarter of the pixels": after(LOWER, scaled(0.25, 0.25)),
    "T8-L5, JPEG of quality 10": after(LOWER, grey(jpeg(10))),
    "T4-T12, JPEG of quality 10": after(part("T4", "T12"), grey(jpeg(10))),
    "T8-L5, blurred by 3 px": after(LOWER, grey(blurred(3))),
    "T8-L5, blurred by 6 px": after(LOWER, grey(blurred(6))),
    "T4-T12, blurred by 3 px": after(part("T4", "T12"), grey(blurred(3))),
    "grain of 8 grey levels": grainy(8),
    "T8-L5, grain of 8 grey levels": after(LOWER, grainy(8)),
    "T4-T12, grain of 8 grey levels": after(part("T4", "T12"), grainy(8)),
    "T8-L5, grain of 16 grey levels": after(LOWER, grainy(16)),
}


if __name__ == "__main__":
    main()
