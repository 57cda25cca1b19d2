"""An evaluation in words: Markdown tables."""

from __future__ import annotations

from vertebrometer.evaluation.agreement import BlandAltman, Estimate
from vertebrometer.evaluation.summary import Evaluation, ValueErrors

_HEADS = ("limits of agreement", "r", "Lin", "ICC(2,1)", "ICC(3,1)", "interval holds", "answering 0")


def as_markdown(evaluation: Evaluation) -> str:
    """Return the figures of an evaluation as Markdown; what could not be computed is a dash."""
    return "\n".join([*_films(evaluation), "", *_segmentation(evaluation), "", *_values(evaluation), ""])


def _films(e: Evaluation) -> list[str]:
    auroc = "-" if e.auroc_fractured is None else _estimate(e.auroc_fractured, 3)
    dropped = "-" if e.least_sure_dropped is None else _estimate(e.least_sure_dropped, 1)
    rows = [
        ("films", str(len(e.films))),
        ("levels that count", f"{e.levels[0]}-{e.levels[1]}"),
        ("film yield, %", f"{e.film_yield_percent:.1f}"),
        ("body recall, % [95 % interval]", _estimate(e.body_recall_percent, 1)),
        ("false bodies per film", f"{e.false_per_film:.2f}"),
        ("body yield, %", f"{e.body_yield_percent:.1f}"),
        ("corner error, median and 95th percentile, % of height", _pair(e)),
        ("AUROC of a compression of 20 % or more", auroc),
        ("RMSE falls without the least sure tenth, %", dropped),
        ("levels named, %", _number(e.levels_named_percent, 1)),
        ("levels right of those named, %", _number(e.levels_right_percent, 1)),
    ]
    return ["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def _segmentation(e: Evaluation) -> list[str]:
    lines = ["| pixels, per film | mean | SD | median | 5th percentile |", "|---|---|---|---|---|"]
    for name, spread in e.segmentation.items():
        if spread is None:
            lines.append(f"| {name} | - | - | - | - |")
        else:
            figures = (spread.mean, spread.sd, spread.median, spread.percentile_5)
            lines.append(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    return lines


def _values(e: Evaluation) -> list[str]:
    heads = ("compression, bodies", "n", "MAE [95 %] (SD over bodies)", "RMSE [95 %]", "MSE", "bias", *_HEADS)
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, errors in e.errors.items():
        if errors is None:
            lines.append(f"| {name} | 0 |" + " - |" * 11)
            continue
        interval = e.intervals[name]
        coverage = "-" if interval is None else f"{interval.coverage_percent:.0f} % of {interval.n}"
        lines.append(
            f"| {name} | {' | '.join([*_errors(errors), coverage, f'{errors.always_zero_mae:.2f}'])} |"
        )
    return lines


def _errors(errors: ValueErrors) -> list[str]:
    return [
        str(errors.n),
        f"{_estimate(errors.mae, 2)} ({errors.absolute_error_sd:.2f})",
        _estimate(errors.rmse, 2),
        f"{errors.mse:.2f}",
        *_limits(errors.limits),
        *(
            "-" if figure is None else f"{figure.value:.3f}"
            for figure in (errors.pearson, errors.lin_concordance, errors.icc_2_1, errors.icc_3_1)
        ),
    ]


def _limits(limits: BlandAltman | None) -> tuple[str, str]:
    if limits is None:
        return ("-", "-")
    return (f"{limits.bias.value:+.2f}", f"{limits.lower.value:.1f} to {limits.upper.value:.1f}")


def _pair(e: Evaluation) -> str:
    return f"{_number(e.corner_error_median_percent, 1)}, {_number(e.corner_error_95_percent, 1)}"


def _estimate(estimate: Estimate, digits: int) -> str:
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
