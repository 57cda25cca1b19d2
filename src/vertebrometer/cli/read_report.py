"""``vertebrometer read-report``: a structured report back to values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def read_report(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, metavar="FILE.sr.dcm", help="Structured report of vertebrometer."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print what a structured report of vertebrometer says; the values are those that `measure` printed."""
    from vertebrometer.batch import Outcome, Source
    from vertebrometer.cli.tables import print_film
    from vertebrometer.export.dicom import read_report_document
    from vertebrometer.report import report_as_json

    report = read_report_document(file)
    if as_json:
        typer.echo(report_as_json(report), nl=False)
    else:
        print_film(Outcome(Source(file, Path(file.name)), report.film.file, report))
