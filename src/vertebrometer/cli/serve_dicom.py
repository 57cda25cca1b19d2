"""``vertebrometer serve-dicom``: a DICOM node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve_dicom(
    config: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, metavar="NODE.toml", help="Settings of the node.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Only check the settings, and end.")] = False,
) -> None:
    """Take films from a PACS, measure them, and send the results back (needs the extra `pacs`).

    SIGTERM stops, SIGUSR1 works off the queue and stops, SIGHUP reads the settings again.
    """
    from vertebrometer.listener import read_node_settings, serve

    settings = read_node_settings(config)
    if check:
        listens = (
            f"listens as {settings.dicom.ae_title} on {settings.dicom.port}" if settings.dicom else "no DICOM"
        )
        typer.echo(
            f"{config.name} is sound: node {settings.name}, {listens}, "
            f"{len(settings.destinations)} destinations, {len(settings.archives)} archives, "
            f"{len(settings.watch)} watched folders"
        )
        return
    serve(config)
