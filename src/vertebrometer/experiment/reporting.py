"""The report: one Markdown file, one HTML page that needs nothing else, and the figures as SVG."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from vertebrometer.experiment.figures import (
    errors_by_severity,
    figure_seven_a,
    figure_seven_b,
    figure_six,
    learning_curves,
)
from vertebrometer.experiment.paper import FILMS_FAILED, PEARSON
from vertebrometer.experiment.settings import TRUTH

_BANDS: Final = ("below 10 %", "10 to 20 %", "20 to 40 %", "from 40 %")
CLOCK_HEADING: Final = "Time and hardware"
"""The only section that an interruption may change."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    words: str


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its caption says what it shows."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that lies beside the Markdown and inside the page."""

    name: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Text as it is."""

    words: str


Block: TypeAlias = Heading | Words | Table | Figure | Listing


def write_report(folder: Path, results: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> Path:
    """Write report.md, report.html and figures/; return the page."""
    blocks = list(_blocks(results, pictures))
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Figure):
            (figures / f"{block.name}.svg").write_text(block.svg, encoding="utf-8")
    (folder / "report.md").write_text("\n\n".join(map(_markdown, blocks)) + "\n", encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_page(results["title"], blocks), encoding="utf-8")
    return page


def _blocks(results: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> Iterable[Block]:
    yield Heading(1, results["title"])
    yield Words(
        "Research use only: not a medical device, not for diagnosis or treatment. Every figure below was "
        "made by "
        "`vertebrometer experiment` from stored predictions; none was typed in, except those of the paper "
        "(Seo et "
        "al., Sci Rep 2021;11:13732), which were measured on other films and stand here for orientation only."
    )
    yield from _summary(results)
    yield from _segmentation(results, pictures)
    yield from _values(results)
    yield from _agreement(results)
    yield from _order(results)
    yield from _leaks(results)
    yield from _limits_of_masks(results)
    yield from _curves(results)
    yield from _films(results)
    yield from _settings(results)
    yield from _clock(results)


def _summary(results: Mapping[str, Any]) -> Iterable[Block]:
    films = results["films"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in films["kinds"].items())
    parts = "; ".join(
        f"{part} {told['films']} films of {told['patients']} patients"
        for part, told in films["parts"].items()
    )
    yield Heading(2, "In short")
    yield Words(f"Films: {kinds}. Split by patient: {parts}. Masks measured: those of {results['chosen']}.")
    if results["order"]:
        first = results["order"][0]
        words = f"Least error on fractured bodies: {first['name']}, {_estimate(first['mae'])} points."
        yield Words(f"{words} {_decision_words(results['decision'])}")


def _decision_words(decision: Mapping[str, Any]) -> str:
    out = []
    for name in decision["names"]:
        told = decision[f"fractured: {name}"]
        if told["difference"] is None:
            out.append(f"{name} could not be compared with {decision['geometry']}.")
            continue
        verdict = (
            "is better than"
            if told["better"]
            else "is worse than"
            if told["worse"]
            else "is not shown to differ from"
        )
        p = "no test" if told["p_holm"] is None else f"p = {told['p_holm']:.3g} after Holm's correction"
        out.append(
            f"{name} {verdict} {decision['geometry']} on fractured bodies: difference of the mean absolute "
            f"error {_signed(told['difference'])} points over {told['patients']} patients, {p}."
        )
    return " ".join(out)


def _segmentation(results: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> Iterable[Block]:
    yield Heading(2, "Segmentation")
    rows = []
    for name, row in results["segmentation"].items():
        for equation, figure in (
            ("2, sensitivity", "sensitivity"),
            ("3, specificity", "specificity"),
            ("4, accuracy", "accuracy"),
            ("5, Dice", "dice"),
        ):
            told = row["figures"][figure]
            paper = (
                "-" if not row["paper"] else f"{row['paper'][figure][0]:.3f} (±{row['paper'][figure][1]:.3f})"
            )
            ours = (
                ("-",) * 4
                if told is None
                else tuple(f"{told[key]:.3f}" for key in ("mean", "sd", "median", "percentile_5"))
            )
            rows.append((name, equation, *ours, paper))
    films = next(iter(results["segmentation"].values()))["films"]
    yield Table(
        f"Table 1. Pixels, film by film over {films} tested films, without the padding of their canvas.",
        ("network", "equation", "mean", "SD", "median", "5th percentile", "paper (±SD)"),
        tuple(rows),
    )
    yield _tests("Segmenters compared: mean Dice of each patient", results["segmentation_tests"], 3)
    if pictures:
        yield Figure(
            "figure-6",
            "Figure 6. Films of the test part, from poor to good masks: as stored, preprocessed, the mask "
            "of each network with the true outline, the true mask.",
            figure_six(pictures),
        )


def _values(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "Compression")
    yield Table(
        "Table 2. Fractured bodies: equations 6 to 8 in percentage points (MSE in points squared), with 95 % "
        "intervals from drawing patients anew. Several seeds: the error of a single network, over all of "
        "them.",
        (
            "system", "n", "yield", "MAE [95 %]", "SD over bodies", "MSE", "RMSE [95 %]", "95th percentile",
            "MAE of each seed", "paper MAE", "paper MSE", "paper RMSE",
        ),
        tuple(_value_row(name, row["fractured"], results) for name, row in results["values"].items()),
    )  # fmt: skip
    rows = []
    for name, row in results["values"].items():
        for group in ("all", *_BANDS):
            told = row[group]
            error = (
                ("-",) * 4
                if not told["n"]
                else (
                    _estimate(told["mae"]),
                    _number(told["error_sd"]),
                    f"{told['mse']:.2f}",
                    _estimate(told["rmse"]),
                )
            )
            zero = "-" if not told["n"] else f"{told['always_zero']:.2f}"
            rows.append((name, group, str(told["n"]), _yield(told), *error, zero))
    yield Table(
        "All bodies and bands of severity. The last column is the error of answering 0 for every body.",
        (
            "system",
            "bodies",
            "n",
            "yield",
            "MAE [95 %]",
            "SD over bodies",
            "MSE",
            "RMSE [95 %]",
            "answering 0",
        ),
        tuple(rows),
    )
    films = []
    for name, row in results["values"].items():
        for group in ("fractured", "all"):
            told = row[group].get("per_film")
            figures = (
                ("-",) * 5
                if not told
                else tuple(
                    f"{told[key]:.2f}" for key in ("mean", "sd", "median", "percentile_5", "percentile_95")
                )
            )
            films.append((name, group, *figures))
    yield Table(
        "Mean absolute error film by film, in points.",
        ("system", "bodies", "mean", "SD", "median", "5th percentile", "95th percentile"),
        tuple(films),
    )
    yield Figure(
        "errors-by-severity",
        "Mean absolute error by true compression, with 95 % intervals.",
        errors_by_severity(results["values"], _BANDS),
    )


def _value_row(name: str, told: Mapping[str, Any], results: Mapping[str, Any]) -> tuple[str, ...]:
    paper = results["systems"][name]["paper"]
    printed = ("-",) * 3 if not paper else tuple(f"{mean:.3f} (±{sd:.3f})" for mean, sd in paper)
    if not told["n"]:
        return (name, "0", _yield(told), *("-",) * 6, *printed)
    return (
        name,
        str(told["n"]),
        _yield(told),
        _estimate(told["mae"]),
        _number(told["error_sd"]),
        f"{told['mse']:.2f}",
        _estimate(told["rmse"]),
        f"{told['error_95']:.2f}",
        ", ".join(f"{value:.2f}" for value in told["mae_of_seeds"]),
        *printed,
    )


def _agreement(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "Agreement")
    rows = []
    for name, row in results["values"].items():
        for group in ("fractured", "all"):
            told = row[group]
            if told["n"]:
                rows.append((name, group, str(told["n"]), *_agreement_row(told)))
    yield Table(
        f"Agreement with the truth, of the first seed, with 95 % intervals. The paper states r = {PEARSON} "
        f"for its MRDN on fractured bodies.",
        (
            "system", "bodies", "n", "bias", "lower limit", "upper limit", "Pearson r", "p", "Lin",
            "ICC(2,1)",
            "ICC(3,1)", "regression line",
        ),
        tuple(rows),
    )  # fmt: skip
    seven = results["figure_7"]
    if not seven["true"]:
        return
    told = results["values"][seven["name"]]["all"]
    yield Figure(
        "figure-7a",
        f"Figure 7a. Bland-Altman plot of {seven['name']}: bias, 95 % limits of agreement and their "
        f"intervals, over all tested bodies. (The paper calls the limits a confidence interval.)",
        figure_seven_a(seven, told["limits"]),
    )
    yield Figure(
        "figure-7b",
        f"Figure 7b. Measured and true compression, {seven['name']}.",
        figure_seven_b(seven, told),
    )


def _agreement_row(told: Mapping[str, Any]) -> tuple[str, ...]:
    limits = told["limits"]
    three = ("-",) * 3 if limits is None else tuple(_signed(limits[k]) for k in ("bias", "lower", "upper"))
    line = told["line"]
    worded = "-" if line is None else f"y = {line['slope']:.3f} x {line['intercept']:+.2f}"
    p = told["pearson_p"]
    return (
        *three,
        _estimate(told["pearson"], 3),
        "-" if p is None else f"{p:.2g}",
        *(_estimate(told[key], 3) for key in ("lin", "icc_2_1", "icc_3_1")),
        worded,
    )


def _order(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "Order of the systems")
    yield Table(
        "Fractured bodies, from the least error. A system counts as better than another where the paired "
        "test says so after correction; the order of all others is not established.",
        ("place", "system", "MAE [95 %]", "better than"),
        tuple(
            (str(place), each["name"], _estimate(each["mae"]), ", ".join(each["better_than"]) or "-")
            for place, each in enumerate(results["order"], 1)
        ),
    )
    for group, words in (("fractured", "fractured bodies"), ("all", "all bodies")):
        yield _tests(
            f"Systems compared: mean absolute error of each patient, {words}", results["tests"][group], 2
        )
    mixture = results["mixture"]
    yield Words(
        f"The row {mixture['name']} mixes {mixture['weight']:.2f} of the regressor with the least "
        f"validation error "
        f"({mixture['regressor']}) and {1 - mixture['weight']:.2f} of sub-pixel geometry; the share was "
        f"set on the validation films."
    )


def _tests(caption: str, pairs: Sequence[Mapping[str, Any]], digits: int) -> Table:
    rows = []
    for pair in pairs:
        difference = "-" if pair["difference"] is None else _signed(pair["difference"], digits)
        ps = ("-" if pair[key] is None else f"{pair[key]:.3g}" for key in ("p", "p_holm"))
        rows.append((pair["first"], pair["second"], str(pair["patients"]), difference, *ps))
    return Table(
        f"{caption}. First less second; Wilcoxon's signed-rank test, corrected after Holm over this table.",
        ("first", "second", "patients", "difference [95 %]", "p", "p after Holm"),
        tuple(rows),
    )


def _leaks(results: Mapping[str, Any]) -> Iterable[Block]:
    leaky = results["leaky"]
    if leaky is None:
        return
    yield Heading(2, "What the paper's split hides")
    seen = "with masks of films that the segmenter was trained on"
    masks = "with true masks" if results["chosen"] == TRUTH else seen
    rows = []
    for group in ("fractured", "all"):
        honest, own = results["values"][leaky["name"]][group], leaky["figures"][group]
        gap = leaky["gap"][group]
        rows.append(
            (
                group,
                _estimate(own["mae"]) if own["n"] else "-",
                str(own["n"]),
                _estimate(honest["mae"]) if honest["n"] else "-",
                str(honest["n"]),
                "-" if gap is None else f"{gap:+.2f}",
            )
        )
    yield Table(
        f"The same network ({leaky['name']}) with two splits. Leaky: triplets drawn whoever they belong to, "
        f"though neighbouring ones share two bodies, {masks}. By patient: as everywhere else here. "
        f"The tested "
        "bodies differ, so the gap is no paired difference.",
        ("bodies", "leaky: MAE [95 %]", "n", "by patient: MAE [95 %]", "n", "gap, points"),
        tuple(rows),
    )


def _limits_of_masks(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "With true masks")
    rows = []
    for name, row in results["true_masks"].items():
        for group in ("fractured", "all"):
            told = row[group]
            errors = (_estimate(told["mae"]), _estimate(told["rmse"])) if told["n"] else ("-", "-")
            rows.append((name, group, str(told["n"]), *errors))
    yield Table(
        "Image processing on the true masks of the tested films: what the grid of the canvas alone costs.",
        ("system", "bodies", "n", "MAE [95 %]", "RMSE [95 %]"),
        tuple(rows),
    )


def _curves(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "Learning curves")
    segmenters = {name: row["curve"] for name, row in results["segmentation"].items()}
    yield Figure(
        "learning-curves-segmentation",
        "Segmenters: training loss and mean Dice on the validation films.",
        learning_curves(segmenters, "validation_score", "validation Dice"),
    )
    regressors = {
        name: row["seeds"][0]["curve"]
        for name, row in results["systems"].items()
        if row["kind"] == "regressor"
    }
    yield Figure(
        "learning-curves-regression",
        "Regressors, first seed: training loss and mean absolute error on the validation triplets.",
        learning_curves(regressors, "validation_mae", "validation MAE (points)"),
    )


def _films(results: Mapping[str, Any]) -> Iterable[Block]:
    yield Heading(2, "Triplets and exclusions")
    parts = results["triplets"]
    source = "true masks" if results["chosen"] == TRUTH else "masks of films that the segmenter never saw"
    yield Table(
        f"Triplets from {source}. (The paper lost {FILMS_FAILED[0]} of {FILMS_FAILED[1]} films.)",
        (
            "part", "films", "films without a triplet", "triplets", "of them negative", "mean VC",
            "SD", "least",
            "largest",
        ),
        tuple(
            (
                part,
                str(told["films"]),
                str(told["films_without"]),
                str(told["triplets"]),
                str(told["negative"]),
                *(_number(told[key]) for key in ("mean", "sd", "least", "largest")),
            )
            for part, told in parts.items()
        ),
    )  # fmt: skip
    reasons = next(iter(parts.values()))["left_out"]
    yield Table(
        "Triplets left out, by reason; each single one is in exclusions.json. Conditions are the paper's: "
        "each body in one part, corners found, three adjacent bodies that are divided.",
        ("reason", "condition", *parts),
        tuple(
            (
                f"{reason['words']} ({reason['reason']})",
                "-" if reason["condition"] is None else str(reason["condition"]),
                *(str(told["left_out"][number]["count"]) for told in parts.values()),
            )
            for number, reason in enumerate(reasons)
        ),
    )
    yield Table(
        "Segmenters of the folds, each on films that it never saw.",
        ("fold", "films", "mean Dice", "SD", "5th percentile"),
        tuple(
            (
                str(number),
                str(fold["films"]),
                *(
                    ("-",) * 3
                    if fold["dice"] is None
                    else tuple(f"{fold['dice'][key]:.3f}" for key in ("mean", "sd", "percentile_5"))
                ),
            )
            for number, fold in enumerate(results["folds"], 1)
        ),
    )


def _settings(results: Mapping[str, Any]) -> Iterable[Block]:
    facts = results["facts"]
    yield Heading(2, "Settings and hashes")
    yield Words(
        f"vertebrometer {facts['package_version']}, Python {facts['python']}, torch {facts['torch']}; films "
        f"`{facts['films_hash']}`, settings `{facts['settings_hash']}`."
    )
    rows = [
        (
            f"segmentation {name}",
            row["architecture"],
            str(row["parameters"]),
            str(row["steps"]),
            row["weights"],
        )
        for name, row in results["segmentation"].items()
    ]
    for number, fold in enumerate(results["folds"], 1):
        rows.append(
            (
                f"fold {number}",
                results["chosen"],
                str(fold["parameters"]),
                str(fold["steps"]),
                fold["weights"],
            )
        )
    for name, row in results["systems"].items():
        for number, seed in enumerate(row.get("seeds", ()), 1):
            told = (str(seed["parameters"]), str(seed["steps"]), seed["weights"])
            rows.append((f"{name}, run {number}", row["architecture"], *told))
    for number, seed in enumerate(results["leaky"]["seeds"] if results["leaky"] else (), 1):
        told = (str(seed["parameters"]), str(seed["steps"]), seed["weights"])
        rows.append((f"{results['leaky']['name']}, leaky, run {number}", "", *told))
    yield Table(
        "Networks, with a hash of the best weights.",
        ("system", "architecture", "parameters", "steps", "weights"),
        tuple(rows),
    )
    yield Listing(json.dumps(facts["settings"], indent=1, ensure_ascii=False))


def _clock(results: Mapping[str, Any]) -> Iterable[Block]:
    told = results["time"]
    hardware = told["hardware"]
    yield Heading(2, CLOCK_HEADING)
    machine = hardware["gpu"] or f"{hardware['processor']} ({hardware['machine']})"
    yield Words(
        f"This report was put together on {machine}, {hardware['threads']} threads. Training took "
        f"{told['total_minutes']:.1f} minutes in all, validation included and each system's own added "
        f"up, also where several shared a machine; films, masks and this report come on top."
    )
    yield Table(
        "Minutes of training, and the machine of each system.",
        ("system", "minutes", "machine"),
        tuple(
            (name, f"{minutes:.1f}", told["machines"].get(name) or "-")
            for name, minutes in told["minutes"].items()
        ),
    )


def _yield(told: Mapping[str, Any]) -> str:
    share = told.get("yield")
    if not share or share["percent"] is None:
        return "-"
    return f"{share['measured']} of {share['of']} ({share['percent']:.0f} %)"


def _estimate(told: Mapping[str, float | None] | None, digits: int = 2) -> str:
    if told is None:
        return "-"
    return _with_ends(told, f".{digits}f")


def _signed(told: Mapping[str, float | None], digits: int = 2) -> str:
    return _with_ends(told, f"+.{digits}f")


def _with_ends(told: Mapping[str, float | None], form: str) -> str:
    low, high = told["low"], told["high"]
    ends = "no interval" if low is None or high is None else f"{low:{form}}, {high:{form}}"
    return f"{told['value']:{form}} [{ends}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, words):
            return f"{'#' * level} {words}"
        case Words(words):
            return words
        case Table(caption, heads, rows):
            lines = [heads, tuple("---" for _ in heads), *rows]
            return f"{caption}\n\n" + "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
        case Figure(name, caption, _):
            return f"![{caption}](figures/{name}.svg)\n\n{caption}"
        case Listing(words):
            return f"```json\n{words}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_CSS: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem; }
table { display: block; overflow-x: auto; }
caption { text-align: left; margin-bottom: .4rem; font-weight: 600; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8884; text-align: left; }
td { font-variant-numeric: tabular-nums; }
th { border-bottom-width: 2px; }
figure { margin: 1rem 0 2rem; }
img { max-width: 100%; background: white; }
figcaption, pre { font-size: 13px; }
pre { overflow-x: auto; border: 1px solid #8884; padding: .8rem; }
"""


def _page(title: str, blocks: Iterable[Block]) -> str:
    body = "\n".join(map(_html, blocks))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(level, words):
            return f"<h{level}>{html.escape(words)}</h{level}>"
        case Words(words):
            parts = html.escape(words).split("`")
            coded = "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
            return f"<p>{coded}</p>"
        case Table(caption, heads, rows):
            head = "".join(f"<th>{html.escape(each)}</th>" for each in heads)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows
            )
            return (
                f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{body}</tbody></table>"
            )
        case Figure(_, caption, svg):
            # As a picture of its own: names inside two drawings must not meet on one page.
            coded = base64.b64encode(svg.encode()).decode()
            words = html.escape(caption)
            return (
                f'<figure><img alt="{words}" src="data:image/svg+xml;base64,{coded}">'
                f"<figcaption>{words}</figcaption></figure>"
            )
        case Listing(words):
            return f"<details><summary>All settings</summary><pre>{html.escape(words)}</pre></details>"
