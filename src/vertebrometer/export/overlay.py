"""A picture of what was measured: outlines, corners and values over the film."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vertebrometer.anatomy import Facing, NotMeasured
from vertebrometer.compression import Definition
from vertebrometer.report import BodyReport, Certainty, FilmReport, Side
from vertebrometer.types import FloatArray, GrayImage, PointsRC

_QUARTERS: Final = {Side.RIGHT: 1, Side.LEFT: -1}
"""Turns by 90 degrees against the clock that bring this side to the top."""

LONG_SIDE_PX: Final = 1800
"""Larger films are shown smaller; smaller ones are enlarged to at least two thirds of it."""

Colour = tuple[int, int, int]

# Okabe M, Ito K, "Color universal design", 2008: told apart with every colour vision, and by lightness.
_BANDS: Final[tuple[tuple[float, str, Colour], ...]] = (
    (-np.inf, "under 10 %", (86, 180, 233)),
    (10.0, "10 to 20 %", (240, 228, 66)),
    (20.0, "20 to 40 %", (230, 140, 0)),
    (40.0, "40 % and more", (225, 70, 60)),
)
_GREY: Final[Colour] = (170, 170, 170)
_WHITE: Final[Colour] = (245, 245, 245)
_PANEL: Final[Colour] = (24, 24, 28)

_DEFINED: Final = {
    Definition.ADJACENT_MEAN: "anterior height lost against the mean of the two neighbours",
    Definition.NEAREST_INTACT: "anterior height lost against the nearest intact bodies",
    Definition.SAME_BODY: "anterior against posterior height of the same body",
}


@dataclass(frozen=True, slots=True)
class _View:
    """How the film is shown: square pixels, a handy size, head up where it lies on its side."""

    scale_rc: tuple[float, float]
    shape: tuple[int, int]
    """Of the picture."""
    head: Side
    """Side of the film that is shown at the top; the bottom stands for the top."""

    @classmethod
    def of(cls, image: GrayImage, report: FilmReport) -> _View:
        rows, cols = image.shape[0] * report.aspect, float(image.shape[1])
        long = max(rows, cols)
        scale = min(LONG_SIDE_PX, max(long, LONG_SIDE_PX * 2 / 3)) / long
        rows, cols = max(1, round(rows * scale)), max(1, round(cols * scale))
        # What looks like bodies on a film that was refused does not say where a head is.
        head = report.head_side if report.quality.usable else Side.TOP
        shape = (cols, rows) if head in _QUARTERS else (rows, cols)
        return cls((rows / image.shape[0], cols / image.shape[1]), shape, head)

    def __call__(self, points_rc: PointsRC) -> FloatArray:
        """Carry points of the film, shape (n, 2), into the picture."""
        # Pixel n covers [n - 0.5, n + 0.5), so sizes scale about the corner at -0.5.
        points = (np.asarray(points_rc, dtype=np.float64) + 0.5) * self.scale_rc - 0.5
        if self.head is Side.RIGHT:
            return np.stack([self.shape[0] - 1 - points[:, 1], points[:, 0]], axis=1)
        if self.head is Side.LEFT:
            return np.stack([points[:, 1], self.shape[1] - 1 - points[:, 0]], axis=1)
        return points

    def turned(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn the film, in its size as shown, to lie as the picture does."""
        return np.rot90(picture, _QUARTERS.get(self.head, 0))


def draw_overlay(image: GrayImage, report: FilmReport) -> NDArray[np.uint8]:
    """Draw what was measured over a copy of the film.

    Parameters
    ----------
    image : array, shape (rows, cols)
        The film that `report` is of, as stored; 0 is dark.
    report : FilmReport
        Its report.

    Returns
    -------
    array, shape (rows, cols, 3)
        RGB. The film, head up where it lies on its side, with its pixels made square and its
        contrast stretched to its 1st and 99.5th percentile, the long side 1,200 to 1,800 pixels, over a
        panel with the legend.
    """
    view = _View.of(image, report)
    picture = _shown(image, view)
    font = _font_px(report, view)
    for body in report.vertebrae:
        _draw_body(picture, body, view, font)
    canvas = Image.fromarray(picture)
    _write_labels(canvas, report, view, font)
    panel = _panel(report, view.shape[1])
    return np.vstack([np.asarray(canvas, dtype=np.uint8), panel])


def overlay_png(image: GrayImage, report: FilmReport) -> bytes:
    """Return the overlay as a PNG file without any metadata."""
    picture = cv2.cvtColor(draw_overlay(image, report), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", picture)
    return bytes(encoded.tobytes())


def band_colour(percent: float) -> Colour:
    """Return the colour of a compression; a value on a limit takes the higher band."""
    return next(colour for limit, _, colour in reversed(_BANDS) if percent >= limit)


def _shown(image: GrayImage, view: _View) -> NDArray[np.uint8]:
    low, high = np.percentile(image, (1.0, 99.5))
    grey = np.clip((image - low) / max(float(high - low), 1e-6), 0, 1)
    rows, cols = (round(share * side) for share, side in zip(view.scale_rc, image.shape, strict=True))
    smaller = rows < image.shape[0]
    sized = cv2.resize(
        grey.astype(np.float32),
        (cols, rows),
        interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC,
    )
    levels = view.turned(np.clip(sized * 255, 0, 255).astype(np.uint8).reshape(rows, cols))
    return np.ascontiguousarray(np.repeat(levels[:, :, None], 3, axis=2))


def _font_px(report: FilmReport, view: _View) -> int:
    """Choose letters that fit between the labels of two bodies and stay legible."""
    centres = [view(body.corners_rc).mean(axis=0) for body in report.vertebrae]
    gaps = [abs(float(b[0] - a[0])) for a, b in pairwise(centres)]
    room = 0.42 * float(np.median(gaps)) if gaps else 24.0
    return int(np.clip(room, 13, 26))


def _colour_of(body: BodyReport) -> Colour:
    return _GREY if body.percent is None else band_colour(body.percent)


def _draw_body(picture: NDArray[np.uint8], body: BodyReport, view: _View, font: int) -> None:
    colour = _colour_of(body)
    outline = view(body.contour_rc if len(body.contour_xy) > 2 else body.corners_rc)
    thick = max(1, round(font / 12))
    if body.percent is None:
        _dashed(picture, outline, colour, thick)
    else:
        cv2.polylines(picture, [_fixed(outline)], True, colour, thick, cv2.LINE_AA, shift=4)
    for point in view(body.points.points_rc):
        centre = _fixed(point[None])[0]
        radius = max(2, round(font / 7))
        cv2.circle(picture, centre.tolist(), radius * 16, (0, 0, 0), -1, cv2.LINE_AA, shift=4)
        cv2.circle(picture, centre.tolist(), round((radius - 0.8) * 16), colour, -1, cv2.LINE_AA, shift=4)


def _fixed(points_rc: FloatArray) -> NDArray[np.int32]:
    """Turn points to the (x, y) sixteenths of a pixel that OpenCV draws with `shift=4`."""
    return np.round(points_rc[:, ::-1] * 16).astype(np.int32)


def _dashed(picture: NDArray[np.uint8], outline_rc: FloatArray, colour: Colour, thick: int) -> None:
    closed = np.vstack([outline_rc, outline_rc[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    for start in np.arange(0.0, along[-1], 12.0):
        at = np.linspace(start, min(start + 7.0, float(along[-1])), 4)
        dash = np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], axis=1)
        cv2.polylines(picture, [_fixed(dash)], False, colour, thick, cv2.LINE_AA, shift=4)


def _label(body: BodyReport) -> str:
    if isinstance(body.compression, NotMeasured):
        return f"{body.name}  {body.compression.reason.value.replace('_', ' ')}"
    # Rounding -0.3 must not give "-0".
    value = f"{body.name}  {round(body.compression.percent) + 0} %"
    if body.interval_90 is not None:
        value += f"  ({round(body.interval_90[0]) + 0} to {round(body.interval_90[1]) + 0})"
    value += " ?" if body.certainty is Certainty.DOUBTFUL else ""
    return value + ("" if body.against_intact is None else f"\nintact: {round(body.against_intact) + 0} %")


def _write_labels(canvas: Image.Image, report: FilmReport, view: _View, font: int) -> None:
    draw = ImageDraw.Draw(canvas, "RGBA")
    letters = ImageFont.load_default(font)
    small = ImageFont.load_default(max(12, font - 4))
    next_free = 2.0
    # A film may stand on its head.
    for body in sorted(report.vertebrae, key=lambda body: float(view(body.corners_rc)[:, 0].mean())):
        measured = body.percent is not None
        used, text = (letters if measured else small), _label(body)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=used)
        width, height = right - left, bottom - top
        row = max(float(view(body.corners_rc)[:, 0].mean()) - height / 2, next_free)
        col = _label_col(body, report.facing, view, width, font)
        box = (col - 4, row - 3, col + width + 4, row + height + 3)
        draw.rounded_rectangle(box, radius=4, fill=(0, 0, 0, 165))
        draw.text((col - left, row - top), text, font=used, fill=_colour_of(body))
        next_free = row + height + 8


def _label_col(body: BodyReport, facing: Facing, view: _View, width: float, font: int) -> float:
    """Place a label before the spine, over soft tissue, or behind it where there is no room."""
    corners = view(body.corners_rc)
    on_right, on_left = float(corners[:, 1].max()) + font, float(corners[:, 1].min()) - font - width
    wanted, other = (on_left, on_right) if facing is Facing.LEFT else (on_right, on_left)
    for col in (wanted, other):
        if col >= 6 and col + width <= view.shape[1] - 6:
            return col
    return float(np.clip(wanted, 6, max(6.0, view.shape[1] - width - 6)))


def _panel(report: FilmReport, width: int) -> NDArray[np.uint8]:
    """Draw the legend under the film, so that it hides nothing."""
    letters, bold = ImageFont.load_default(16), ImageFont.load_default(18)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines = _panel_lines(report, width - 28, ruler, letters)
    rows_of_swatches = _swatch_rows(width - 28, ruler, letters)
    height = 20 + 26 * (len(lines) + len(rows_of_swatches) + 1) + 12
    panel = Image.new("RGB", (width, height), _PANEL)
    draw = ImageDraw.Draw(panel)
    row = 14
    draw.text((14, row), "Research use only", font=bold, fill=_WHITE)
    _arrow(draw, report.facing, width, row, letters)
    row += 28
    for swatches in rows_of_swatches:
        col = 14
        for text, colour, step in swatches:
            draw.rectangle((col, row + 3, col + 18, row + 15), fill=colour)
            draw.text((col + 25, row), text, font=letters, fill=_WHITE)
            col += step
        row += 26
    for line in lines:
        draw.text((14, row), line, font=letters, fill=(200, 200, 200))
        row += 26
    return np.asarray(panel, dtype=np.uint8)


def _swatch_rows(
    width: int, ruler: ImageDraw.ImageDraw, letters: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> list[list[tuple[str, Colour, int]]]:
    out: list[list[tuple[str, Colour, int]]] = [[]]
    used = 0
    for text, colour in [*((name, colour) for _, name, colour in _BANDS), ("not measured", _GREY)]:
        step = 25 + int(ruler.textlength(text, font=letters)) + 22
        if used + step > width and out[-1]:
            out.append([])
            used = 0
        out[-1].append((text, colour, step))
        used += step
    return out


def _panel_lines(
    report: FilmReport,
    width: int,
    ruler: ImageDraw.ImageDraw,
    letters: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> list[str]:
    says = [f"Compression: {_DEFINED[report.definition]}."]
    if any(body.interval_90 for body in report.measured):
        says[0] += " In brackets: 90 % interval."
    if any(b.certainty is Certainty.DOUBTFUL and b.percent is not None for b in report.vertebrae):
        says[0] += " ?: doubtful."
    if any(body.against_intact is not None for body in report.vertebrae):
        says[0] += " intact: against the nearest intact bodies, where a next body is compressed."
    if report.quality.usable and report.head_side in _QUARTERS:
        says.append("The film lies on its side and is shown head up.")
    if not report.quality.usable:
        says.insert(0, f"This film was not measured: {report.quality.message or 'see its report'}.")
    if report.quality.overruled:
        says.append(f"Measured in spite of: {', '.join(_raised(report))}." if _raised(report) else "")
    says.append(f"{report.software.name} {report.software.version}")
    return [line for sentence in says if sentence for line in _wrapped(sentence, width, ruler, letters)]


def _raised(report: FilmReport) -> list[str]:
    """Return the overruled reasons that were there to be overruled."""
    present = {
        *report.quality.reasons,
        *(reason.value for body in report.vertebrae for reason in body.reasons),
    }
    return [code.replace("_", " ") for code in report.quality.overruled if code in present]


def _wrapped(
    sentence: str,
    width: int,
    ruler: ImageDraw.ImageDraw,
    letters: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> list[str]:
    lines = [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        if ruler.textlength(longer, font=letters) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _arrow(
    draw: ImageDraw.ImageDraw,
    facing: Facing,
    width: int,
    row: int,
    letters: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    text = "anterior side not known" if facing is Facing.UNKNOWN else "anterior"
    length = draw.textlength(text, font=letters)
    col = width - 14 - length - (0 if facing is Facing.UNKNOWN else 52)
    if facing is Facing.LEFT:
        draw.text((col + 52, row + 1), text, font=letters, fill=_WHITE)
        draw.line((col, row + 10, col + 42, row + 10), fill=_WHITE, width=3)
        draw.polygon([(col - 4, row + 10), (col + 9, row + 3), (col + 9, row + 17)], fill=_WHITE)
        return
    draw.text((col, row + 1), text, font=letters, fill=_WHITE)
    if facing is Facing.RIGHT:
        start = col + length + 10
        draw.line((start, row + 10, start + 38, row + 10), fill=_WHITE, width=3)
        draw.polygon([(start + 44, row + 10), (start + 31, row + 3), (start + 31, row + 17)], fill=_WHITE)
