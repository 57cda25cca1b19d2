"""What was measured, as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vertebrometer.anatomy import Facing, Reason, explain
from vertebrometer.batch import MEASUREMENTS, OVERLAY_ENDING, Done, Outcome
from vertebrometer.compression import Compression
from vertebrometer.report import BodyReport, FilmReport

_AGAINST_THE_FILE: Final = "against what the file states"
_LIMITS: Final = ((40.0, "bold red"), (20.0, "dark_orange"), (10.0, "yellow"), (float("-inf"), "default"))


def print_film(outcome: Outcome, console: Console | None = None) -> None:
    """Print one film: a heading, and a row per body."""
    console = console or Console()
    report = outcome.report
    console.print(_heading(outcome), highlight=False)
    if not report.quality.usable:
        words = report.quality.message or ", ".join(report.quality.reasons)
        console.print(
            f"  [bold]not measured:[/] {escape(words)} [dim]({', '.join(report.quality.reasons)})[/]",
            highlight=False,
        )
    if report.vertebrae:
        console.print(_table(report))
    console.print()


def print_summary(outcomes: Sequence[Done], out: Path | None, console: Console | None = None) -> None:
    """Print where the results lie, how many films were not measured, and what the numbers are for."""
    console = console or Console()
    failed = [outcome for outcome in outcomes if not outcome.measured]
    skipped = sum(outcome.skipped for outcome in outcomes)
    if len(outcomes) > 1 or failed or skipped:
        words = f"{len(outcomes) - len(failed)} of {_films(len(outcomes))} measured"
        words += f", {skipped} of them before and unchanged (--again measures anew)" if skipped else ""
        console.print(words, highlight=False)
    if out is not None:
        table, overlays = escape(str(out / MEASUREMENTS)), escape(str(out / f"*{OVERLAY_ENDING}"))
        console.print(f"Results: {table}, overlays: {overlays}", highlight=False, soft_wrap=True)
    console.print(
        "[bold]Research use only:[/] not a medical device, not for diagnosis or treatment.", highlight=False
    )


def _films(count: int) -> str:
    return "1 film" if count == 1 else f"{count} films"


def _heading(outcome: Outcome) -> str:
    report = outcome.report
    facts = []
    if report.film.rows is not None:
        facts.append(f"{report.film.rows} x {report.film.cols} pixels")
    if report.film.spacing_mm is not None:
        row, col = report.film.spacing_mm
        size = f"{col:g} mm" if row == col else f"{row:g} x {col:g} mm"
        doubt = "" if Reason.IMPLAUSIBLE_SPACING not in report.quality.reasons else ", which no spine fits"
        facts.append(f"{size} per pixel ({report.film.spacing_source}{doubt})")
    elif report.film.rows is not None:
        facts.append("no pixel spacing, heights in pixels")
    if "aspect" in report.film.facts:
        facts.append(f"height over width of a pixel {report.film.facts['aspect']}")
    if "upright" in report.film.facts:
        facts.append(f"upright: {report.film.facts['upright']}")
    if _AGAINST_THE_FILE in report.film.facts.get("polarity", ""):
        facts.append(report.film.facts["polarity"])
    if report.facing is not Facing.UNKNOWN:
        facts.append(f"facing {report.facing.value}")
    # The name of the result is worth saying where it is not simply the film's.
    named = "" if outcome.name in (report.film.file, Path(report.film.file).stem) else f" as {outcome.name}"
    shown = f"[bold]{escape(report.film.file)}[/]{escape(named)}"
    done = ["done before"] if outcome.skipped else []
    return shown + (f"  [dim]{escape(', '.join([*facts, *done]))}[/]" if facts or done else "")


def _table(report: FilmReport) -> Table:
    unit = "px" if report.film.spacing_mm is None else "mm"
    caption = f"VC %: compression, {report.definition.value}"
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=caption, caption_justify="left"
    )
    table.add_column("#", justify="right")
    table.add_column("level")
    table.add_column(f"anterior {unit}", justify="right", no_wrap=True)
    table.add_column("VC %", justify="right", no_wrap=True)
    table.add_column("90 % interval", justify="right", no_wrap=True)
    table.add_column("certainty")
    for body in report.vertebrae:
        table.add_row(*_row(body))
    return table


def _row(body: BodyReport) -> list[Text]:
    own = body.heights
    height = own.anterior_px if own.anterior_mm is None else own.anterior_mm
    first = [Text(str(body.index)), Text(body.level or "?"), Text(f"{height:.1f}")]
    value = body.compression
    if not isinstance(value, Compression):
        return [
            *first,
            Text("-"),
            Text(""),
            Text(f"not measured, because {explain(value.reason)}", style="dim"),
        ]
    style = next(style for limit, style in _LIMITS if value.percent >= limit)
    interval = (
        "" if value.interval_90 is None else f"{value.interval_90[0]:.1f} to {value.interval_90[1]:.1f}"
    )
    why = f" ({', '.join(reason.value.replace('_', ' ') for reason in body.reasons)})" if body.reasons else ""
    intact = body.against_intact
    beside = (
        ""
        if intact is None
        else f"; a body next to it is compressed: {intact:.1f} against the nearest intact ones"
    )
    return [
        *first,
        Text(f"{value.percent:.1f}", style=style),
        Text(interval),
        Text(body.certainty.value + why + beside),
    ]
