"""The command line: one file per command, each parses, calls and prints.

Exit status 0 means that all was done, 1 that some of it was not, 2 that the
call itself was wrong, 130 that it was interrupted.
"""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from typing import Annotated

import typer

from vertebrometer import __version__
from vertebrometer.cli import (
    agreement,
    anonymise,
    bench,
    doctor,
    evaluate,
    experiment,
    jobs,
    measure,
    phantom,
    read_report,
    repeatability,
    serve_dicom,
    train,
    version,
)
from vertebrometer.errors import VertebrometerError

WRONG_CALL = 2
INTERRUPTED = 130

app = typer.Typer(
    name="vertebrometer",
    help="Finds the vertebral bodies on lateral spine radiographs and measures how far each is compressed. "
    "Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("measure")(measure.measure)
app.command("read-report")(read_report.read_report)
app.command("serve-dicom")(serve_dicom.serve_dicom)
app.add_typer(jobs.app, name="jobs")
app.command("anonymise")(anonymise.anonymise)
app.command("evaluate")(evaluate.evaluate)
app.command("phantom")(phantom.phantom)
app.command("bench")(bench.bench)
app.command("repeatability")(repeatability.repeatability)
app.add_typer(train.app, name="train")
app.command("experiment")(experiment.experiment)
app.command("agreement")(agreement.agreement)
app.command("doctor")(doctor.doctor)
app.command("version")(version.version)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"vertebrometer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell what happens on the way.")] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    logging.getLogger("vertebrometer").addHandler(logging.NullHandler())
    if verbose:
        logging.basicConfig(
            level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what goes wrong is said in a sentence, without a traceback."""
    # Python would look through all that was imported for what may be freed: 0.2 s of the time of a film.
    atexit.register(gc.freeze)
    try:
        app(arguments)
    except VertebrometerError as error:
        typer.echo(f"vertebrometer: {error}", err=True)
        sys.exit(WRONG_CALL)
    except KeyboardInterrupt:
        typer.echo(
            "vertebrometer: interrupted; what was done is kept, the same call goes on from there", err=True
        )
        sys.exit(INTERRUPTED)
