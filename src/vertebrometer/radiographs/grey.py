"""From stored numbers to grey levels with one meaning: 0 is air-dark, 1 is bone-bright.

A film stores whole numbers of at most 16 bits, so all that happens to a pixel
(modality LUT, window, inversion, padding) is worked out once for every number
that can occur and then looked up. It is exact, quick, and needs no second
film-sized array of doubles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vertebrometer.errors import BlankImageError, NotARadiographError
from vertebrometer.types import FloatArray, GrayImage

CodeImage: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Shape (rows, cols); bit patterns as stored, before anything gives them a meaning."""

# Letters, markers and dead pixels are fewer than one pixel in two hundred.
ROBUST_SHARE: Final = 0.005
# A window that leaves less of the film's pixels between black and white, or
# less of the scale between its darkest and brightest parts, was not made for this film.
_LEAST_SHARE_INSIDE: Final = 0.25
_LEAST_CONTRAST: Final = 0.15
_FEWEST_LEVELS: Final = 8
_PIXELS_AT_ONCE: Final = 1 << 20


class WindowShape(StrEnum):
    """How a window runs from black to white."""

    LINEAR = "linear"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Window:
    """The value that becomes mid-grey, and the width from black to white."""

    middle: float
    width: float
    shape: WindowShape = WindowShape.LINEAR

    def brightness(self, values: FloatArray, *, inverted: bool = False) -> FloatArray:
        """Map values to 0 (black) to 1 (white), or to 1 to 0 when inverted."""
        # Written about the middle, so that a film and its negative come out the same to the last bit.
        steps = (values - self.middle) / (-self.width if inverted else self.width)
        if self.shape is WindowShape.SIGMOID:
            return 1.0 / (1.0 + np.exp(np.clip(-4.0 * steps, -700, 700)))
        return np.clip(0.5 + steps, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class ToneCurve:
    """A look-up table from a file: the brightness of every code, on its own scale."""

    levels: FloatArray

    def brightness(self, inverted: bool) -> FloatArray:
        """Return the brightness of every code, 0 to 1."""
        low, high = float(self.levels.min()), float(self.levels.max())
        return Window((low + high) / 2, high - low).brightness(self.levels, inverted=inverted)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFilm:
    """A film as decoded, with what its file says about the meaning of its numbers."""

    codes: CodeImage
    values: FloatArray
    """Meaning of each code, after the modality LUT; as many as there are codes."""
    inverted: bool = False
    """Whether larger values are darker."""
    shown_by: Window | ToneCurve | None = None
    """How the file wants its values shown."""
    padding: NDArray[np.bool_] | None = None
    """Codes that mark what is outside the film."""
    least_contrast: float = _LEAST_CONTRAST
    """Share of the scale that the film must span, or `shown_by` is set aside."""
    facts: dict[str, str] = field(default_factory=dict)


def develop(film: StoredFilm, *, invert: bool = False) -> tuple[GrayImage, dict[str, str]]:
    """Give the numbers of a film their one meaning.

    Parameters
    ----------
    film : StoredFilm
        The film as decoded.
    invert : bool
        Turn the film into its negative; padding stays air.

    Returns
    -------
    image : GrayImage
        Shape (rows, cols), 0 to 1.
    facts : dict
        Which window was used, and why not the file's own where it was not.

    Raises
    ------
    BlankImageError
        All pixels mean the same.
    NotARadiographError
        So few grey levels that it is a mask or a drawing.
    """
    counts = _counts(film)
    _refuse_flat(film, counts)
    inverted = film.inverted != invert
    shown, note = film.shown_by, "none in the file"
    if shown is not None:
        note = _why_not(film, shown, counts)
    if shown is None or note:
        window = _robust_window(film.values, counts)
        table = window.brightness(film.values, inverted=inverted)
        facts = {"window": f"robust, {_worded(window)}", "window_reason": note}
    else:
        table = _brightness(film, shown, inverted=inverted)
        facts = {"window": _worded(shown)}
    if film.padding is not None:
        table = np.where(film.padding, 0.0, table)
    return _looked_up(film.codes, table.astype(np.float32)), facts


def _brightness(film: StoredFilm, shown: Window | ToneCurve, *, inverted: bool) -> FloatArray:
    if isinstance(shown, ToneCurve):
        return shown.brightness(inverted)
    return shown.brightness(film.values, inverted=inverted)


def _why_not(film: StoredFilm, shown: Window | ToneCurve, counts: FloatArray) -> str:
    """Say why a window does not suit the film; empty when it does."""
    if isinstance(shown, Window) and not (math.isfinite(shown.middle) and 0 < shown.width < math.inf):
        return "the file's own has no width"
    if isinstance(shown, ToneCurve) and float(np.ptp(shown.levels)) == 0:
        return "the file's own table is flat"
    bright = _brightness(film, shown, inverted=False)
    # Exposed air and shutters lie at the ends of the scale and may well be clipped.
    used = np.flatnonzero(counts)
    order = used[np.argsort(film.values[used], kind="stable")][1:-1]
    within = (bright[order] > 0.005) & (bright[order] < 0.995)
    share = float(counts[order][within].sum() / counts[order].sum())
    if share < _LEAST_SHARE_INSIDE:
        return f"the file's own clips {1 - share:.0%} of the film"
    span = _robust_window(film.values, counts)
    ends = np.interp(
        (span.middle - span.width / 2, span.middle + span.width / 2), film.values[order], bright[order]
    )
    if abs(float(ends[1] - ends[0])) < film.least_contrast:
        return f"the film fills only {abs(float(ends[1] - ends[0])):.0%} of the file's own"
    return ""


def _robust_window(values: FloatArray, counts: FloatArray) -> Window:
    """Return the window from the 0.5th to the 99.5th percentile, or all of the range of a flatter film."""
    used = np.flatnonzero(counts)
    order = used[np.argsort(values[used], kind="stable")]
    share = ROBUST_SHARE * float(counts.sum())
    # Counted from both ends alike, so that the negative of a film has the mirrored window.
    low = float(values[order[np.argmax(np.cumsum(counts[order]) > share)]])
    high = float(values[order[::-1][np.argmax(np.cumsum(counts[order][::-1]) > share)]])
    if high <= low:
        low, high = float(values[order[0]]), float(values[order[-1]])
    return Window((low + high) / 2, high - low)


def _counts(film: StoredFilm) -> FloatArray:
    """Return how many pixels carry each code, padding left out."""
    counts = np.zeros(film.values.size, dtype=np.int64)
    for part in _parts(film.codes.reshape(-1)):
        counts += np.bincount(part, minlength=counts.size)
    if film.padding is not None:
        counts[film.padding] = 0
    return counts.astype(np.float64)


def _refuse_flat(film: StoredFilm, counts: FloatArray) -> None:
    levels = np.unique(film.values[counts > 0]).size
    if levels < 2:
        msg = "every pixel of the image has the same value; export the film again"
        raise BlankImageError(msg)
    if levels < _FEWEST_LEVELS:
        msg = f"the image has only {levels} grey levels, so it is a mask or a drawing; give the film itself"
        raise NotARadiographError(msg)


def _looked_up(codes: CodeImage, table: NDArray[np.float32]) -> GrayImage:
    image = np.empty(codes.shape, dtype=np.float32)
    # In parts, because numpy widens the codes to 8 bytes on the way.
    for source, target in zip(_parts(codes.reshape(-1)), _parts(image.reshape(-1)), strict=True):
        np.take(table, source, out=target, mode="clip")
    return image


def _parts(flat: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, flat.size, _PIXELS_AT_ONCE):
        yield flat[start : start + _PIXELS_AT_ONCE]


def _worded(shown: Window | ToneCurve) -> str:
    if isinstance(shown, ToneCurve):
        return "look-up table of the file"
    low, high = shown.middle - shown.width / 2, shown.middle + shown.width / 2
    return f"{shown.shape.value} {low:g} to {high:g}"
