"""Scores that choose the best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.training.loop import on_device
from vertebrometer.training.samples import Batch


@dataclass(frozen=True, slots=True)
class MaskScore:
    """Mean Dice of the first mask, film by film."""

    batches: Sequence[Batch]
    threshold: float = 0.5

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Return `score` (mean Dice), `dice_median`, `dice_p5` and, of further masks, `dice_2` and so on."""
        found = np.concatenate(
            [
                dice_of_films(outputs, batch, self.threshold)
                for batch, outputs in _answers(network, self.batches)
            ]
        )
        first = found[:, 0][np.isfinite(found[:, 0])]
        scores = {
            "score": float(first.mean()),
            "dice_median": float(np.median(first)),
            "dice_p5": float(np.percentile(first, 5)),
        }
        for number, channel in enumerate(found.T[1:], 2):
            known = channel[np.isfinite(channel)]
            if known.size:
                scores[f"dice_{number}"] = float(known.mean())
        return scores


@dataclass(frozen=True, slots=True)
class PointScore:
    """Mean distance between points and truth, in pixels of the crop."""

    batches: Sequence[Batch]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Return `score` (minus the mean error), the error itself, and how right the other heads are."""
        error, unlikely = [], []
        right: dict[str, list[Tensor]] = {"body": [], "level": [], "flags": []}
        for batch, outputs in _answers(network, self.batches):
            known = batch.get("points_valid", torch.ones(batch["points"].shape[:2])) > 0
            missed = (outputs["points"].float() - batch["points"])[known]
            error.append(missed.norm(dim=-1))
            unlikely.append((missed**2 * (-outputs["spread"].float()[known]).exp()).mean(dim=-1))
            for name, hits in _hits(outputs, batch).items():
                right[name].append(hits)
        distance = torch.cat(error)
        scores = {
            "score": -float(distance.mean()),
            "error_px": float(distance.mean()),
            "error_p95_px": float(distance.quantile(0.95)),
            # Squared errors in units of the predicted variance: 1 where the spread is told rightly.
            "spread_ratio": float(torch.cat(unlikely).median()),
        }
        return scores | {
            f"{name}_right": float(torch.cat(hits).mean()) for name, hits in right.items() if hits
        }


def dice_of_films(
    logits: Tensor, batch: Batch, threshold: float = 0.5
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Dice of each film and mask, shape (n, k); NaN where a mask is not known or rightly empty."""
    chance = logits.float().sigmoid()
    truth = batch["mask"]
    if truth.shape[2:] != chance.shape[2:]:
        truth = functional.avg_pool2d(truth, truth.shape[2] // chance.shape[2])
    valid = batch["mask_valid"] if "mask_valid" in batch else torch.ones(truth.shape[:2])
    valid = valid.view(*valid.shape, *(1,) * (4 - valid.ndim)).expand(batch["mask"].shape)
    found, true = chance >= threshold, truth >= 0.5
    shared, either = (found & true).sum(dim=(2, 3)), found.sum(dim=(2, 3)) + true.sum(dim=(2, 3))
    dice = 2.0 * shared / either
    return dice.masked_fill(valid.amax(dim=(2, 3)) == 0, torch.nan).numpy().astype(np.float64)


def _answers(network: nn.Module, batches: Sequence[Batch]) -> Any:
    device = next(network.parameters()).device
    for batch in batches:
        outputs = network(on_device(batch, device)["image"])
        yield (
            batch,
            outputs.cpu() if isinstance(outputs, Tensor) else {n: v.cpu() for n, v in outputs.items()},
        )


def _hits(outputs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """1 for each right answer of a pooled head, 0 for each wrong one; unknown ones are left out."""
    hits: dict[str, Tensor] = {}
    for name in ("body", "flags"):
        if name in batch:
            known = batch.get(f"{name}_valid", torch.ones_like(batch[name])) > 0
            hits[name] = ((outputs[name] > 0) == (batch[name] > 0.5))[known].float()
    if "level" in batch:
        known = batch["level"] >= 0
        hits["level"] = (outputs["level"].argmax(dim=1) == batch["level"])[known].float()
    return hits
