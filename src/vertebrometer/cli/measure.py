"""``vertebrometer measure``: films in, compressions out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vertebrometer.batch import Done, Outcome, Source
    from vertebrometer.cli.measuring import ReadingOptions
    from vertebrometer.pipeline import MeasureSettings


def measure(  # noqa: PLR0917 (typer reads the options from the signature)
    paths: Annotated[
        list[Path],
        typer.Argument(
            exists=True, metavar="PATH...", help="Films, or folders that hold films (found by content)."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            file_okay=False,
            help="Write a report and an overlay per film, and one table, here.",
        ),
    ] = None,
    dicom_out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Write a structured report, a segmentation and an overlay as DICOM, here (extra `dicom`).",
        ),
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM", help="Pixel spacing in mm, as 0.2 or ROWxCOL (0.2x0.15).")
    ] = None,
    definition: Annotated[
        Literal["adjacent-mean", "nearest-intact", "same-body"],
        typer.Option(help="What a body's height is compared with."),
    ] = "adjacent-mean",
    level: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N=NAME", help="Name the N-th body from the top (5=L1); the others follow. Repeatable."
        ),
    ] = None,
    facing: Annotated[
        Literal["auto", "left", "right"],
        typer.Option(help="Side of the film on which the front of the spine lies."),
    ] = "auto",
    polarity: Annotated[
        Literal["auto", "bone-bright", "bone-dark"], typer.Option(help="How the file stores bone.")
    ] = "auto",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Films measured at the same time.")] = 1,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what is done and unchanged.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Measure in spite of reasons against it; reports record it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print reports, one per line, instead of tables.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Measure films, and print how far each vertebral body is compressed.

    Exit status 0 when every film was measured, 1 when some were not, 2 when the call was wrong.
    """
    from vertebrometer.cli.doctor import cores
    from vertebrometer.cli.opening import open_early

    # Several films at once share the cores, one takes them all.
    threads = 0 if workers == 1 else max(1, cores() // workers)
    if workers == 1:
        open_early(threads)
    from vertebrometer.batch import sources
    from vertebrometer.cli.measuring import ReadingOptions
    from vertebrometer.cli.options import facing_of, pinned_levels, spacing_of
    from vertebrometer.compression import Definition
    from vertebrometer.pipeline import MeasureSettings
    from vertebrometer.radiographs import find_films

    settings = MeasureSettings(
        definition=Definition(definition),
        force=force,
        facing=facing_of(facing),
        levels=pinned_levels(level or []),
        threads=threads,
    )
    reading = ReadingOptions(spacing_mm=spacing_of(spacing), polarity=polarity, any_view=force)
    films = sources(find_films(paths), paths)
    if not films:
        typer.echo(
            "vertebrometer: no films in there; DICOM, PNG, JPEG and TIFF are found by their content", err=True
        )
        raise typer.Exit(2)
    printer = _printer(as_json=as_json, quiet=quiet)
    dicom = None
    if dicom_out is not None:
        from vertebrometer.cli.dicom_out import DicomOut

        printer = dicom = DicomOut(dicom_out, films, reading, then=printer)
    outcomes = _run(films, out, settings, reading, again=again, workers=workers, quiet=quiet, printer=printer)
    if not quiet and not as_json:
        _print_end(outcomes, out)
    if not all(outcome.measured for outcome in outcomes) or (dicom is not None and dicom.failed):
        raise typer.Exit(1)


def _run(
    films: list[Source],
    out: Path | None,
    settings: MeasureSettings,
    reading: ReadingOptions,
    *,
    again: bool,
    workers: int,
    quiet: bool,
    printer: Callable[[Outcome], None],
) -> list[Done]:
    from dataclasses import asdict

    from vertebrometer.batch import fingerprint, measure_all, measure_into
    from vertebrometer.cli.measuring import ReadAndMeasure
    from vertebrometer.cli.opening import open_measurer
    from vertebrometer.cli.progress import progress
    from vertebrometer.config import settings_as_dict

    # Opened before anything else, so that damaged weights are said once and not for each film.
    hashes = open_measurer(settings).model_hashes
    how = {key: value for key, value in settings_as_dict(settings).items() if key != "threads"}
    read_and_measure = ReadAndMeasure(settings, reading)
    with progress(len(films), shown=not quiet and len(films) > 1 and sys.stderr.isatty()) as step:

        def tell(outcome: Outcome) -> None:
            printer(outcome)
            step()

        if out is None:
            outcomes = []
            for outcome in measure_all(films, read_and_measure, workers=workers):
                tell(outcome)
                outcomes.append(outcome.done())
            return outcomes
        return measure_into(
            out,
            films,
            read_and_measure,
            measured_with=fingerprint({"measure": how, "reading": asdict(reading)}, hashes),
            again=again,
            workers=workers,
            on_outcome=tell,
        )


def _printer(*, as_json: bool, quiet: bool) -> Callable[[Outcome], None]:
    from vertebrometer.cli.tables import print_film
    from vertebrometer.report import report_as_dict

    def print_json(outcome: Outcome) -> None:
        typer.echo(json.dumps(report_as_dict(outcome.report), ensure_ascii=False, allow_nan=False))

    def nothing(_: Outcome) -> None:
        return None

    if as_json:
        return print_json
    return nothing if quiet else print_film


def _print_end(outcomes: Iterable[Done], out: Path | None) -> None:
    from vertebrometer.cli.tables import print_summary

    print_summary(list(outcomes), out)
