"""``vertebrometer bench``: films of exact truth, measured and scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vertebrometer.bench import BenchFilm
    from vertebrometer.report import FilmReport


def bench(  # noqa: PLR0917 (typer reads the options from the signature)
    films: Annotated[
        int, typer.Option(min=3, help="How many films in all; a third are CT projections with --ct.")
    ] = 300,
    seed: Annotated[int, typer.Option(min=0, max=90, help="The same seed makes the same films.")] = 1,
    ct: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of CT volumes with vertebra masks, as VerSe lays them out.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Use only these CT volumes (those nothing was trained on). Repeatable."
        ),
    ] = None,
    widest: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="POINTS",
            help="Tell no value whose 90 % interval reaches farther to either side; inf tells all. "
            "As `measure` does it when not given.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", file_okay=False, help="Write reports, overlays and scores here."),
    ] = None,
) -> None:
    """Make films of a fixed seed whose truth is known, measure them and print one table."""
    from vertebrometer.bench import bench_films, run_bench
    from vertebrometer.cli.bench_table import keeper, print_bench
    from vertebrometer.cli.progress import progress
    from vertebrometer.pipeline import Measurer, MeasureSettings

    stream = bench_films(films, seed, ct=ct, only=tuple(only or ()))
    keep = keeper(out)
    with progress(films, shown=True) as step:

        def after(film: BenchFilm, report: FilmReport) -> None:
            keep(film, report)
            step()

        settings = MeasureSettings() if widest is None else MeasureSettings(widest_points=widest)
        measurer = Measurer(settings)
        result = run_bench(stream, measurer.measure, after_film=after)
    print_bench(result, out)
