"""Checkpoints: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

import vertebrometer
from vertebrometer.config import settings_as_dict, settings_from
from vertebrometer.errors import WeightsError
from vertebrometer.networks import NetworkConfig, build_network
from vertebrometer.runtime.cards import stated
from vertebrometer.training.settings import TrainingSettings

LAST: Final = "last.pt"
BEST: Final = "best.pt"
_FORMAT: Final = 1


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run has come; the one value of it that changes."""

    step: int = 0
    minutes: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    """Losses of the epoch so far, added up."""
    counted: int = 0


def save_run(
    path: Path,
    *,
    network: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    settings: TrainingSettings,
) -> None:
    """Write everything of a run; a kill while writing leaves the checkpoint before it."""
    _write(
        path,
        {
            **_labels(settings),
            "network": network.state_dict(),
            "averaged": None if averaged is network else averaged.state_dict(),
            "optimiser": optimiser.state_dict(),
            "progress": asdict(progress),
            "random": _random_states(),
        },
    )


def save_weights(
    path: Path, network: nn.Module, settings: TrainingSettings, metrics: dict[str, float]
) -> None:
    """Write the weights alone, with what they scored."""
    _write(path, {**_labels(settings), "network": network.state_dict(), "averaged": None, "metrics": metrics})


def restore_run(
    path: Path, *, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer
) -> Progress:
    """Put a run back as it was when `path` was written.

    Raises
    ------
    WeightsError
        The file is no checkpoint of a whole run, or of another network.
    """
    state = read_checkpoint(path)
    if "optimiser" not in state:
        msg = f"{path.name} holds weights only; resume from {LAST} of the same folder"
        raise WeightsError(msg)
    _load(network, state["network"], path)
    if averaged is not network:
        _load(averaged, state["averaged"] or state["network"], path)
    optimiser.load_state_dict(state["optimiser"])
    _restore_random(state["random"])
    return Progress(**state["progress"])


def load_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the network of a checkpoint with its best weights; the averaged ones where there are any.

    Returns
    -------
    network, facts
        `facts` holds `settings` (of the run, as a dictionary), `package_version`
        and, of a best checkpoint, `metrics`.
    """
    state = read_checkpoint(path)
    settings = json.loads(state["settings"])
    network = build_network(settings_from(settings["network"], NetworkConfig, where=path.name))
    _load(network, state["averaged"] or state["network"], path)
    facts = {
        "settings": settings,
        "package_version": state["package_version"],
        "metrics": state.get("metrics", {}),
    }
    return network.eval(), facts


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in the file is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        msg = f"no checkpoint {path}; a run writes {LAST} into its folder"
        raise WeightsError(msg) from None
    except Exception as error:  # torch raises many kinds for damaged files
        kind = type(error).__name__
        msg = f"{path.name} cannot be read as a checkpoint ({kind}); take another one of the run"
        raise WeightsError(msg) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        msg = f"{path.name} is no checkpoint of this version of vertebrometer"
        raise WeightsError(msg)
    return state


def _labels(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "package_version": vertebrometer.__version__,
        "settings": json.dumps(stated(settings_as_dict(settings))),
    }


def _write(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _load(network: nn.Module, weights: dict[str, Any], path: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        example = str(error).splitlines()[-1].strip()
        msg = f"{path.name} belongs to another network than the settings name: {example}"
        raise WeightsError(msg) from error


def _random_states() -> dict[str, Any]:
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "gpus": gpus}


def _restore_random(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and len(states["gpus"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["gpus"])
