"""Training one system to its end, wherever it was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vertebrometer.experiment.records import check_run, log_rows, processor, weights_hash
from vertebrometer.experiment.settings import FitSettings
from vertebrometer.networks import NetworkConfig, build_network, count_parameters
from vertebrometer.training import BEST, LAST, SampleSource, fit, load_network
from vertebrometer.training.loop import LossOf, Validate
from vertebrometer.training.records import LOG


@dataclass(frozen=True, slots=True)
class Trained:
    """The best network of a run, ready to predict, and facts about the run."""

    network: nn.Module
    facts: dict[str, Any]


def trained(
    folder: Path,
    source: SampleSource,
    *,
    network: NetworkConfig,
    settings: FitSettings,
    seed: int,
    loss: LossOf,
    validate: Validate | None,
    mark: str,
) -> Trained:
    """Train a network in `folder`, or go on with it, or take it where it is done.

    Raises
    ------
    KeyboardInterrupt
        The run was asked to stop; it goes on when it is called again.
    """
    check_run(folder, mark)
    run = settings.run(folder / "run", network, seed)
    # Fresh weights come from the seed alone; a resumed run replaces them by its own.
    torch.manual_seed(seed)
    fresh = build_network(network)
    last = run.out / LAST
    ended = fit(
        fresh, source, loss_of=loss, settings=run, validate=validate, resume=last if last.exists() else None
    )
    if not ended.finished:
        raise KeyboardInterrupt
    best, _ = load_network(run.out / BEST)
    device = next(fresh.parameters()).device
    facts = {
        "steps": ended.steps,
        "best_score": ended.best_score,
        "minutes": round(ended.minutes, 3),
        "parameters": count_parameters(best),
        "weights": weights_hash(best),
        "device": device.type,
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "curve": log_rows(run.out / LOG),
    }
    return Trained(best.to(device).eval(), facts)
