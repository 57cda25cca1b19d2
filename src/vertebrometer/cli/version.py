"""``vertebrometer version``."""

from __future__ import annotations

import typer

from vertebrometer import __version__


def version() -> None:
    """Print the version."""
    typer.echo(f"vertebrometer {__version__}")
