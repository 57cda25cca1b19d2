"""``vertebrometer repeatability``: how far values move when films are looked at a little otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def repeatability(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, metavar="FILM...", help="Films, or folders that hold films.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", file_okay=False, help="Write repeatability.csv and repeatability.svg here."
        ),
    ] = None,
) -> None:
    """Measure films turned, scaled, shifted, noisy, stored lossily and mirrored; print the SD of each value.

    Exit status 0 when every film was measured, 1 when some were not.
    """
    import numpy as np

    from vertebrometer.cli.progress import progress
    from vertebrometer.cli.repeat_plot import as_csv, as_svg
    from vertebrometer.errors import VertebrometerError
    from vertebrometer.export import write_text
    from vertebrometer.pipeline import Measurer
    from vertebrometer.radiographs import find_films, read_radiograph
    from vertebrometer.repeatability import repeat

    if out is not None:
        # Made before the work, so that minutes of measuring are not lost to a folder that cannot be.
        out.mkdir(parents=True, exist_ok=True)
    measurer = Measurer()
    rows = []
    left_out = 0
    films = find_films(paths)
    with progress(len(films), shown=len(films) > 1) as step:
        for path in films:
            try:
                rows += [(path.name, body) for body in repeat(read_radiograph(path), measurer.measure)]
            except VertebrometerError as error:
                left_out += 1
                typer.echo(f"{path.name}: {error}", err=True)
            step()
    for name, body in rows:
        sd = body.sd_points
        told = "measured too seldom" if sd is None else f"SD {sd:.2f} points"
        typer.echo(
            f"{name}  body {body.body:>2} {body.level or '':<4} {body.plain:6.1f} %  {told}  "
            f"({len(body.values)} of {body.tried})"
        )
    found = [sd for _, body in rows if (sd := body.sd_points) is not None]
    if found:
        typer.echo(
            f"median SD {np.median(found):.2f}, mean {np.mean(found):.2f}, "
            f"95th percentile {np.percentile(found, 95):.2f} points; {len(found)} bodies. Research use only."
        )
    if out is not None:
        write_text(out / "repeatability.csv", as_csv(rows))
        write_text(out / "repeatability.svg", as_svg(rows))
    if left_out or not rows:
        raise typer.Exit(1)
