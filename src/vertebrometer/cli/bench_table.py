"""Printing and keeping what the bench found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from vertebrometer.bench import BenchFilm, BenchResult, bench_summary
from vertebrometer.evaluation import as_markdown
from vertebrometer.export import overlay_png, write_bytes, write_text
from vertebrometer.report import FilmReport, report_as_json


def keeper(out: Path | None) -> Callable[[BenchFilm, FilmReport], None]:
    """Return what writes the report and overlay of one film into `out`, if there is one."""

    def keep(film: BenchFilm, report: FilmReport) -> None:
        if out is None:
            return
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / f"{film.name}.json", report_as_json(report))
        write_bytes(out / f"{film.name}.overlay.png", overlay_png(film.radiograph.image, report))

    return keep


def print_bench(result: BenchResult, out: Path | None) -> None:
    """Print one table for each group and one for all."""
    groups = sorted({film[1] for film in result.films})
    for group in [*groups, None] if len(groups) > 1 else groups:
        typer.echo(f"\n## {group or 'all'}\n\n{as_markdown(result.evaluation(group))}")
    if out is not None:
        write_text(out / "scores.json", bench_summary(result))
