"""``vertebrometer phantom``: lateral films whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="Folder for the films and truth.json.")
    ],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many films.")] = 10,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed makes the same films, on every machine.")
    ] = 0,
    fields: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Fields of view to draw from; all of them by default."),
    ] = None,
) -> None:
    """Write synthetic DICOM films (phantom-0001.dcm, ...) and truth.json with all that is truly on them."""
    from vertebrometer.errors import UnknownNameError
    from vertebrometer.phantom import FIELDS, write_phantoms

    wanted = [name.strip() for name in fields.split(",")] if fields else list(FIELDS)
    for name in wanted:
        if name not in FIELDS:
            raise UnknownNameError(kind="field", name=name, known=FIELDS)
    write_phantoms(count, seed, out, tuple(wanted))
    typer.echo(f"{count} films and truth.json in {out}")
