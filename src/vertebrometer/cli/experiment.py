"""``vertebrometer experiment``: every system of the paper, trained, compared and reported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from vertebrometer.errors import MissingExtraError


def experiment(
    config: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="CONFIG.toml", help="Settings.")
    ],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train all systems on one split and write a report (needs the extra `train`).

    The same call goes on after an interruption, system by system; when all is
    done it makes the report anew.
    """
    for module in ("torch", "matplotlib"):
        if find_spec(module) is None:
            msg = f"an experiment needs {module}: pip install 'vertebrometer[train]'"
            raise MissingExtraError(msg)
    from vertebrometer.experiment import run_experiment

    page = run_experiment(config, tell=_silent if quiet else _tell)
    if not quiet:
        typer.echo(str(page))


def _tell(words: str) -> None:
    typer.echo(words, err=True)


def _silent(_: str) -> None:
    return None
