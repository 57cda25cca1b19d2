"""``vertebrometer train``: networks from a configuration file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from vertebrometer.errors import MissingExtraError

app = typer.Typer(help="Train networks (needs the extra `train`).", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="CONFIG.toml", help="Settings.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the last checkpoint of this configuration.")
]


@app.command("segmentation")
def segmentation(config: Config, resume: Resume = False) -> None:
    """Train the network that finds vertebral bodies."""
    _require_torch()
    from vertebrometer.training import run_segmentation

    run_segmentation(config, resume=resume)


@app.command("points")
def points(config: Config, resume: Resume = False) -> None:
    """Train the network that looks again at each body and places its six points."""
    _require_torch()
    from vertebrometer.training import run_points

    run_points(config, resume=resume)


@app.command("corners")
def corners(config: Config, resume: Resume = False) -> None:
    """Train the network that looks closely at each of the six points of a body."""
    _require_torch()
    from vertebrometer.training import run_corners

    run_corners(config, resume=resume)


@app.command("bodies")
def bodies(config: Config, resume: Resume = False) -> None:
    """Train the networks that look at one body together, on crops that a GPU draws."""
    _require_torch()
    from vertebrometer.training import run_bodies

    run_bodies(config, resume=resume)


@app.command("eight-bit")
def eight_bit(
    weights: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="WEIGHTS.onnx", help="Exported weights.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", dir_okay=False, help="File to write.")],
) -> None:
    """Write exported weights anew in 8 bits: smaller and quicker; phantoms set the ranges."""
    _require_torch()
    from vertebrometer.runtime import OnnxPredictor
    from vertebrometer.training import to_eight_bit, typical_images

    card = to_eight_bit(weights, out, typical_images(OnnxPredictor(weights).card))
    typer.echo(f"{out.name}: outputs move by {card.float_difference} of their SD at most (RMS)")


def _require_torch() -> None:
    if find_spec("torch") is None:
        msg = "training needs torch: pip install 'vertebrometer[train]'"
        raise MissingExtraError(msg)
