"""``vertebrometer anonymise``: copies of films without their patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def anonymise(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, metavar="PATH...", help="DICOM films, or folders of them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="Write the copies here, as film-0001.dcm.")
    ],
) -> None:
    """Write copies of DICOM films without names, numbers, dates and private elements.

    Follows the basic profile of DICOM PS3.15. Text burned into the image cannot be seen by it.
    Exit status 1 when some files could not be anonymised; those are not copied.
    """
    from vertebrometer.errors import UnreadableFileError
    from vertebrometer.export import write_bytes
    from vertebrometer.export.anonymous import CANNOT_KNOW, anonymous

    files = sorted(
        {file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()}
    )
    out.mkdir(parents=True, exist_ok=True)
    number, failed = len(list(out.glob("film-*.dcm"))), 0
    for place, file in enumerate(files, start=1):
        try:
            content = anonymous(file)
        except UnreadableFileError as error:
            failed += 1
            # Names of files may be names of patients.
            typer.echo(f"vertebrometer: file {place} of {len(files)} left out: {error}", err=True)
            continue
        number += 1
        while (out / f"film-{number:04d}.dcm").exists():
            number += 1
        write_bytes(out / f"film-{number:04d}.dcm", content)
    typer.echo(f"{len(files) - failed} of {len(files)} files anonymised")
    typer.echo(CANNOT_KNOW)
    if failed:
        raise typer.Exit(1)
