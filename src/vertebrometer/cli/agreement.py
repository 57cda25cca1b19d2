"""``vertebrometer agreement``: readers against one another and against themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def agreement(
    readings: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            metavar="READINGS.csv",
            help="A row for each reading: subject, reader, value. Repeated readings are further rows.",
        ),
    ],
    subject: Annotated[str, typer.Option(help="Column of what was read, such as film and body.")] = "subject",
    reader: Annotated[str, typer.Option(help="Column of who read it.")] = "reader",
    value: Annotated[str, typer.Option(help="Column of what was read.")] = "value",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures as JSON instead of tables.")
    ] = False,
) -> None:
    """Tell how well readers repeat themselves and agree, with 95 % intervals."""
    from dataclasses import asdict

    from vertebrometer.evaluation.observers import (
        agreement_as_markdown,
        between_readers,
        read_readings,
        within_readers,
    )

    rows = read_readings(readings, subject=subject, reader=reader, value=value)
    within, between = within_readers(rows), between_readers(rows)
    if not as_json:
        typer.echo(agreement_as_markdown(within, between) or "one reader, and nothing was read twice")
        return
    told = None if between is None else {k: v for k, v in asdict(between).items() if k != "pairs"}
    if told is not None and between is not None:
        told["pairs"] = [{"first": a, "second": b, **asdict(pair)} for (a, b), pair in between.pairs.items()]
    typer.echo(json.dumps({"within": [asdict(each) for each in within], "between": told}, indent=1))
