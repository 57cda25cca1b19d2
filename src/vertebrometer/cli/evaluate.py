"""``vertebrometer evaluate``: reports against the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vertebrometer.report import FilmReport


def evaluate(
    truth: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="Truth file, as `vertebrometer phantom` writes it."),
    ],
    reports: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder that `measure --out` wrote into.")
    ],
    levels: Annotated[str, typer.Option(metavar="FIRST-LAST", help="Levels that count.")] = "T4-L5",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures as JSON instead of tables.")
    ] = False,
) -> None:
    """Score reports against the truth: pixels, bodies, corners, compressions, intervals, names.

    A film without a report counts as a film where nothing was found. Exit status 1 when there are such films.
    """
    from vertebrometer.anatomy import read_truth
    from vertebrometer.cli.options import level_range
    from vertebrometer.errors import TruthFileError
    from vertebrometer.evaluation import as_markdown, evaluate_reports

    first, last = level_range(levels)
    truths = read_truth(truth)
    if not truths:
        msg = f"{truth.name} holds no films"
        raise TruthFileError(msg)
    found = _reports(reports, [Path(film.file) for film in truths])
    evaluation = evaluate_reports(found, truths, first=first, last=last)
    if as_json:
        typer.echo(json.dumps(evaluation.to_dict(), indent=1, default=str))
    else:
        typer.echo(as_markdown(evaluation))
    missing = [film.file for film in truths if Path(film.file).stem not in found]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        typer.echo(f"vertebrometer: {len(missing)} of {len(truths)} films have no report: {shown}", err=True)
        raise typer.Exit(1)


def _reports(folder: Path, films: list[Path]) -> dict[str, FilmReport]:
    """Return the reports of `films` by stem: ``<stem>.json``, else the one whose film has that name."""
    from vertebrometer.report import read_report

    found = {
        film.stem: read_report(path) for film in films if (path := folder / f"{film.stem}.json").is_file()
    }
    rest = [film for film in films if film.stem not in found]
    if rest:
        by_file = _by_file_name(folder)
        found |= {film.stem: by_file[film.name] for film in rest if film.name in by_file}
    return found


def _by_file_name(folder: Path) -> dict[str, FilmReport]:
    """Return the reports of a folder by their film's file name, where only one has it."""
    from vertebrometer.errors import ReportFormatError
    from vertebrometer.report import read_report

    named: dict[str, list[FilmReport]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            report = read_report(path)
        except ReportFormatError:
            continue
        named.setdefault(report.film.file, []).append(report)
    return {name: alike[0] for name, alike in named.items() if len(alike) == 1}
