"""Regressors: loss, score, training, and the values that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from vertebrometer.errors import SettingsError
from vertebrometer.experiment.fitting import trained
from vertebrometer.experiment.records import RESULT, stored, write_json
from vertebrometer.experiment.settings import FitSettings, Regressor
from vertebrometer.experiment.triplet_data import Targets, TripletItem, TripletSource
from vertebrometer.training.losses import masked_mean
from vertebrometer.training.samples import Batch, collate
from vertebrometer.types import FloatArray

_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLoss:
    """Error of the outputs, and CARN's distance from the labels as their neighbours rebuild them."""

    kind: Literal["squared", "absolute"] = "squared"
    manifold: float = 0.0

    def __call__(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Compare outputs (n, k) with `values`."""
        outputs, valid = outputs.float(), batch["values_valid"]
        error = outputs - batch["values"]
        wrong = masked_mean(error.square() if self.kind == "squared" else error.abs(), valid)
        parts = {"error": wrong}
        total = wrong
        if self.manifold:
            parts["manifold"] = masked_mean((outputs - batch["rebuilt"]).abs(), valid)
            total = total + self.manifold * parts["manifold"]
        return {"loss": total, **parts}


@dataclass(frozen=True, slots=True)
class ValueScore:
    """Minus the mean absolute error of the compression, in points, over triplets as they are."""

    batches: Sequence[Batch]
    targets: Targets

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """Return `score` and `mae`."""
        found, true = [], []
        for batch in self.batches:
            base = batch["base"].numpy()
            found.append(self.targets.percent(_outputs(network, batch["image"]), base))
            true.append(self.targets.percent(batch["values"].numpy(), base))
        mae = float(np.nanmean(np.abs(np.concatenate(found) - np.concatenate(true))))
        return {"score": -mae, "mae": mae}


def _outputs(network: nn.Module, image: Tensor) -> Any:
    device = next(network.parameters()).device
    with torch.no_grad():
        return network(image.to(device)).float().cpu().numpy()


def values_of(network: nn.Module, source: TripletSource, looks: int = 1) -> FloatArray:
    """Return the compression of each item, in percent, as the mean of `looks`; NaN where there is none."""
    each = [_seen(network, source, which) for which in range(looks)]
    return np.asarray(np.mean(each, axis=0))


def _seen(network: nn.Module, source: TripletSource, which: int) -> FloatArray:
    found: list[FloatArray] = []
    for start in range(0, len(source.items), _BATCH):
        numbers = range(start, min(start + _BATCH, len(source.items)))
        batch = collate([source.look(number, which) for number in numbers])
        found.append(source.targets.percent(_outputs(network, batch["image"]), batch["base"].numpy()))
    return np.concatenate(found) if found else np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegressionData:
    """Triplets of the three parts."""

    train: Sequence[TripletItem]
    train_truth: Sequence[TripletItem]
    validation: Sequence[TripletItem]
    test: Sequence[TripletItem]


def run_regressor(
    folder: Path,
    regressor: Regressor,
    data: RegressionData,
    make: Callable[[Sequence[TripletItem], Sequence[TripletItem]], TripletSource],
    *,
    settings: FitSettings,
    seed: int,
    mark: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Train a regressor and keep its values of validation and test; what is done is taken as it is.

    Parameters
    ----------
    make : callable
        Makes the source of triplets and of their true twins.

    Raises
    ------
    SettingsError
        A part has no triplet, or heights are asked for where no corners are known.
    """
    done = stored(folder, mark)
    if done is not None:
        return done
    _require(regressor, data)
    tell(f"{folder.parent.name} {folder.name}: training on {len(data.train)} triplets")
    source = make(data.train, data.train_truth)
    held_out, tested = make(data.validation, ()), make(data.test, ())
    batches = [
        collate([held_out.plain(n) for n in range(start, min(start + _BATCH, len(data.validation)))])
        for start in range(0, len(data.validation), _BATCH)
    ]
    system = trained(
        folder,
        source,
        network=regressor.network,
        settings=regressor.fit or settings,
        seed=seed,
        loss=ValueLoss(kind=regressor.loss, manifold=regressor.manifold),
        validate=ValueScore(batches, source.targets),
        mark=mark,
    )
    result = {
        "fingerprint": mark,
        "facts": system.facts,
        "validation": readings(data.validation, values_of(system.network, held_out, regressor.looks)),
        "test": readings(data.test, values_of(system.network, tested, regressor.looks)),
    }
    write_json(folder / RESULT, result)
    return result


def _require(regressor: Regressor, data: RegressionData) -> None:
    for name in ("train", "validation", "test"):
        if not getattr(data, name):
            msg = (
                f"no triplet is left for {name}: the masks of its films were left out, see exclusions.json; "
                "train the segmenters longer or give more films"
            )
            raise SettingsError(msg)
    if regressor.targets == "heights" and not any(item.valued.anterior_px for item in data.train):
        msg = f"{regressor.name} learns heights, but the films have no corners; take it out of the settings"
        raise SettingsError(msg)


def readings(
    items: Sequence[TripletItem], values: Sequence[float | None] | FloatArray
) -> list[dict[str, Any]]:
    """Return what was measured beside what is true; None where a system gave no value."""
    return [
        {
            "film": item.valued.film,
            "patient": item.patient,
            "body": item.valued.body,
            "level": item.valued.level,
            "true": round(item.valued.percent, 4),
            "measured": None if value is None or not np.isfinite(value) else round(float(value), 4),
        }
        for item, value in zip(items, values, strict=True)
    ]
