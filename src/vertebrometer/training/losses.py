"""What a network is asked to make small.

Every loss takes the network's outputs and a batch, and returns named parts with
their sum under `loss`. What a sample does not know is masked: a validity of 0
takes it out of the loss and out of the mean.

Names in a batch (n samples):

- `mask` (n, k, rows, cols), 0 to 1; `mask_valid`, broadcastable to it, often (n, k, 1, 1);
- `points` (n, points, 2) in pixels of the crop; `points_valid` (n, points);
- `body` (n,) 0 or 1; `body_valid` (n,);
- `level` (n,) whole number of the group, -1 where unknown;
- `flags` (n, flags) 0 or 1; `flags_valid` (n, flags).

A validity that is not given is 1; a truth that is not given takes its part out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vertebrometer.training.samples import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskLoss:
    """Binary cross-entropy plus soft Dice, for each channel."""

    bce: float = 1.0
    dice: float = 1.0
    dice_over: Literal["sample", "batch"] = "batch"
    """Over a batch, a film without bodies does not make the Dice of its few false pixels 0."""

    def __call__(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Compare logits (n, k, rows, cols) with `mask`."""
        bce, dice = mask_parts(logits, batch, over=self.dice_over)
        return {"loss": self.bce * bce + self.dice * dice, "bce": bce, "dice_loss": dice}


@dataclass(frozen=True, slots=True, kw_only=True)
class PointLoss:
    """Weights of what the point network learns at once."""

    points: float = 0.5
    """Of the distance between point and truth (smooth L1, in pixels of the crop)."""
    heat: float = 1.0
    """Of the divergence of each heat map from a small Gaussian about the truth."""
    spread: float = 0.1
    """Of the likelihood of the errors under the predicted spread; it does not move the points."""
    mask: float = 1.0
    body: float = 0.5
    level: float = 0.2
    flags: float = 0.2
    huber_px: float = 1.0
    """Below this error a point is pulled less and less."""
    heat_sd_px: float = 1.5
    """Standard deviation of the wanted heat maps, in pixels of the crop."""
    likelihood: Literal["laplace", "gauss"] = "laplace"

    def __call__(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Compare the outputs of the point network with whatever the batch knows."""
        parts = self._point_parts(outputs, batch) | self._crop_parts(outputs, batch)
        total = sum(
            (getattr(self, name) * part for name, part in parts.items()), torch.zeros(()).to(batch["image"])
        )
        return {"loss": total, **{f"{name}_loss": part for name, part in parts.items()}}

    def _point_parts(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        if "points" not in batch:
            return {}
        found, side = outputs["points"], batch["image"].shape[2:]
        known = _validity(batch, "points") > 0
        truth = torch.where(known[..., None], batch["points"], 0.0)
        # A heat map cannot point outside its crop.
        sides = torch.tensor(side, device=truth.device, dtype=truth.dtype)
        known = known & ((truth >= -0.5) & (truth <= sides - 0.5)).all(dim=2)
        distance = functional.smooth_l1_loss(found, truth, beta=self.huber_px, reduction="none").sum(dim=2)
        missed = (found - truth).detach()
        return {
            "points": masked_mean(distance, known),
            "spread": masked_mean(
                negative_log_likelihood(missed, outputs["spread"], self.likelihood).sum(2), known
            ),
            "heat": masked_mean(heat_divergence(outputs["heat"], truth, side[0], self.heat_sd_px), known),
        }

    def _crop_parts(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        parts = {}
        if "mask" in batch:
            parts["mask"] = sum(
                mask_parts(outputs["mask"], batch, over="batch"), torch.zeros(()).to(batch["image"])
            )
        for name in ("body", "flags"):
            if name in batch:
                known = _validity(batch, name)
                truth = torch.where(known > 0, batch[name].float(), 0.0)
                wrong = functional.binary_cross_entropy_with_logits(
                    outputs[name].float(), truth, reduction="none"
                )
                parts[name] = masked_mean(wrong, known)
        if "level" in batch:
            known = batch["level"] >= 0
            wrong = functional.cross_entropy(
                outputs["level"].float(), batch["level"].clamp(min=0), reduction="none"
            )
            parts["level"] = masked_mean(wrong, known)
        return parts


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the values that count; 0 where none does."""
    weights = valid.to(values.dtype).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def mask_parts(logits: Tensor, batch: Batch, *, over: Literal["sample", "batch"]) -> tuple[Tensor, Tensor]:
    """Cross-entropy and one minus soft Dice of masks; a finer truth is averaged to the grid of the logits."""
    logits = logits.float()
    truth, valid = batch["mask"], _validity(batch, "mask")
    valid = valid.view(*valid.shape, *(1,) * (truth.ndim - valid.ndim)).expand_as(truth)
    truth = torch.where(valid > 0, truth, 0.0)
    if truth.shape[2:] != logits.shape[2:]:
        finer = truth.shape[2] // logits.shape[2]
        truth, valid = (functional.avg_pool2d(each, finer) for each in (truth, valid))
    wrong = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return masked_mean(wrong, valid), _dice_loss(logits.sigmoid(), truth, valid, over)


def _dice_loss(chance: Tensor, truth: Tensor, valid: Tensor, over: Literal["sample", "batch"]) -> Tensor:
    axes = (0, 2, 3) if over == "batch" else (2, 3)
    shared = (chance * truth * valid).sum(dim=axes)
    either = ((chance + truth) * valid).sum(dim=axes)
    # One pixel on both sides: an empty truth and an empty answer agree.
    missing = 1.0 - (2.0 * shared + 1.0) / (either + 1.0)
    # Where nothing is to be found, cross-entropy alone judges: Dice would pull a rare mask, such as the
    # sacrum's, to nothing everywhere.
    return masked_mean(missing, (truth * valid).sum(dim=axes) > 0)


def negative_log_likelihood(missed: Tensor, log_variance: Tensor, law: Literal["laplace", "gauss"]) -> Tensor:
    """How unlikely errors are under a spread, up to a constant."""
    if law == "gauss":
        return 0.5 * (log_variance + missed**2 * (-log_variance).exp())
    return 0.5 * log_variance + math.sqrt(2.0) * missed.abs() * (-0.5 * log_variance).exp()


def heat_divergence(heat: Tensor, points_rc: Tensor, side_px: int, sd_px: float) -> Tensor:
    """Kullback-Leibler divergence of heat maps (n, points, h, w) from Gaussians, shape (n, points)."""
    stride = side_px / heat.shape[2]
    down, right = (_bell(points_rc[..., axis], heat.shape[2 + axis], stride, sd_px) for axis in (0, 1))
    wanted = (down.unsqueeze(3) * right.unsqueeze(2)).flatten(2)
    given = heat.float().flatten(2).log_softmax(dim=2)
    return (wanted * (wanted.clamp(min=1e-12).log() - given)).sum(dim=2)


def _bell(centre: Tensor, length: int, stride: float, sd_px: float) -> Tensor:
    """Weights of a Gaussian on a side of the map; they sum to 1 wherever the centre lies."""
    places = (torch.arange(length, device=centre.device, dtype=torch.float32) + 0.5) * stride - 0.5
    return (-0.5 * ((places - centre.unsqueeze(-1)) / sd_px) ** 2).softmax(dim=-1)


def _validity(batch: Batch, name: str) -> Tensor:
    truth = batch[name]
    given = batch.get(f"{name}_valid")
    if given is not None:
        return given.float()
    return torch.ones(truth.shape[:-1] if name == "points" else truth.shape, device=truth.device)
