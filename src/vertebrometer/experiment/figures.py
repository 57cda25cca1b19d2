"""Figures that one would put into a paper, as SVG; the same figures give the same file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vertebrometer.errors import MissingExtraError
from vertebrometer.experiment.films import Film

# Told apart also by readers who do not see red and green (Okabe & Ito).
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_STYLE: Final[dict[str, Any]] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "vertebrometer",
    "svg.fonttype": "path",
    "legend.frameon": False,
}


def _pyplot() -> Any:
    try:
        import matplotlib as mpl  # noqa: PLC0415 (extra `train`)

        mpl.use("svg")
        from cycler import cycler  # noqa: PLC0415
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError:
        msg = "the figures of a report need matplotlib: pip install 'vertebrometer[train]'"
        raise MissingExtraError(msg) from None
    told: Any = _STYLE | {"axes.prop_cycle": cycler(color=_COLOURS)}
    mpl.rcParams.update(told)
    return plt


def _svg(plt: Any, figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return out.getvalue()


def figure_six(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw film, preprocessed film, the mask of each network, and the truth; a row for each film."""
    plt = _pyplot()
    names = list(rows[0]["maps"])
    heads = ["film", "preprocessed", *names, "truth"]
    figure, axes = plt.subplots(
        len(rows),
        len(heads),
        figsize=(1.5 * len(heads), 1.55 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for line, row in zip(axes, rows, strict=True):
        film: Film = row["film"]
        own = film.within()
        truth = film.share >= 128
        pictures: list[tuple[NDArray[Any], bool]] = [
            (film.plain, False),
            (film.canvas, False),
        ]
        pictures += [(row["maps"][name] >= 0.5, True) for name in names]
        pictures.append((truth, True))
        for axis, (picture, is_mask) in zip(line, pictures, strict=True):
            axis.imshow(
                picture[own], cmap="gray", interpolation="nearest", vmin=0, vmax=1 if is_mask else 255
            )
            if is_mask and picture is not pictures[-1][0]:
                axis.contour(truth[own].astype(float), levels=[0.5], colors=_COLOURS[1], linewidths=0.6)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(head, fontsize=9)
    return _svg(plt, figure)


def figure_seven_a(data: Mapping[str, Any], limits: Mapping[str, Any] | None) -> str:
    """Draw the difference against the mean of both (Bland & Altman), with limits and their intervals."""
    plt = _pyplot()
    true, measured = np.array(data["true"]), np.array(data["measured"])
    broken = true >= data["fractured_from"]
    figure, axis = plt.subplots(figsize=(4.2, 3.2))
    mean, difference = (true + measured) / 2, measured - true
    for chosen, colour, label in ((~broken, "#999999", "not fractured"), (broken, _COLOURS[0], "fractured")):
        axis.plot(mean[chosen], difference[chosen], "o", ms=3.2, mew=0, color=colour, label=label)
    if limits is not None:
        for name, style in (("lower", "--"), ("bias", "-"), ("upper", "--")):
            told = limits[name]
            axis.axhline(told["value"], color="black", lw=0.9, ls=style)
            axis.axhspan(told["low"], told["high"], color="black", alpha=0.10, lw=0)
            axis.annotate(
                f"{told['value']:+.1f}",
                (1.0, told["value"]),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    axis.set_xlabel("mean of measured and true compression (%)")
    axis.set_ylabel("measured less true (points)")
    axis.legend(fontsize=8, loc="best")
    return _svg(plt, figure)


def figure_seven_b(data: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Draw measured against true values with the regression line."""
    plt = _pyplot()
    true, measured = np.array(data["true"]), np.array(data["measured"])
    broken = true >= data["fractured_from"]
    figure, axis = plt.subplots(figsize=(3.6, 3.6))
    for chosen, colour, label in ((~broken, "#999999", "not fractured"), (broken, _COLOURS[0], "fractured")):
        axis.plot(true[chosen], measured[chosen], "o", ms=3.2, mew=0, color=colour, label=label)
    ends = np.array([min(true.min(), measured.min()), max(true.max(), measured.max())])
    axis.plot(ends, ends, color="#999999", lw=0.8, ls=":", label="identity")
    line, r = figures.get("line"), figures.get("pearson")
    if line is not None:
        sign = "+" if line["intercept"] >= 0 else "-"
        words = f"y = {line['slope']:.2f} x {sign} {abs(line['intercept']):.2f}"
        words += f", r = {r['value']:.3f}" if r else ""
        axis.plot(ends, line["slope"] * ends + line["intercept"], color="black", lw=1.0, label=words)
    axis.set_xlabel("true compression (%)")
    axis.set_ylabel("measured compression (%)")
    axis.set_aspect("equal")
    axis.legend(fontsize=8, loc="upper left")
    return _svg(plt, figure)


def learning_curves(runs: Mapping[str, Sequence[Mapping[str, float]]], figure_of: str, words: str) -> str:
    """Draw loss while training and a validation figure, step by step; a colour for each system."""
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.8), layout="constrained")
    for name, curve in runs.items():
        steps = [point["step"] for point in curve]
        left.plot(steps, [point["train_loss"] for point in curve], lw=1.1, label=name)
        known = [(p["step"], p[figure_of]) for p in curve if figure_of in p]
        if known:
            right.plot(*zip(*known, strict=True), lw=1.1)
    left.set_yscale("log")
    left.set_ylabel("training loss")
    right.set_ylabel(words)
    for axis in (left, right):
        axis.set_xlabel("steps")
    figure.legend(loc="outside right center", fontsize=7)
    return _svg(plt, figure)


def errors_by_severity(values: Mapping[str, Any], bands: Sequence[str]) -> str:
    """Draw the mean absolute error of each system in each band of severity, with its interval."""
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    names = list(values)
    for place, name in enumerate(names):
        shift = (place - (len(names) - 1) / 2) * 0.8 / len(names)
        at, mid, low, high = [], [], [], []
        for number, band in enumerate(bands):
            row = values[name][band]
            if row["n"]:
                at.append(number + shift)
                mid.append(row["mae"]["value"])
                value, ends = row["mae"]["value"], (row["mae"]["low"], row["mae"]["high"])
                low.append(0.0 if ends[0] is None else max(value - ends[0], 0.0))
                high.append(0.0 if ends[1] is None else max(ends[1] - value, 0.0))
        axis.errorbar(at, mid, yerr=[low, high], fmt="o", ms=3.5, lw=1, label=name)
    axis.set_xticks(range(len(bands)), bands)
    axis.set_xlabel("true compression")
    axis.set_ylabel("mean absolute error (points)")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=7, ncols=2)
    return _svg(plt, figure)
