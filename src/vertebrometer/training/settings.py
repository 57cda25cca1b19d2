"""One training run as a value; saved whole in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vertebrometer.networks.settings import NetworkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How long, how fast and on what machine a network is trained."""

    out: Path
    """Folder for checkpoints, logs and overlays."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(name="unet"))
    start_from: str = ""
    """Weights to learn on from: ``shipped:points``, an ONNX file beside the settings file, or ``photographs``
    for the encoder efficientnet-lite0."""
    frozen: tuple[str, ...] = ()
    """Parts of the network that keep their weights and statistics, by their names in it, as ``body.down``.
    What they tell stays as it was, whatever the others learn."""
    seed: int = 0
    epochs: int = 200
    steps_per_epoch: int = 200
    """Samples are made without end, so that an epoch is a number of steps."""
    batch_size: int = 5
    """Samples in a batch, on each device."""
    max_minutes: float | None = None
    """Time budget, all resumed parts together; None trains all epochs."""
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    encoder_rate: float = 1.0
    """Learning rate of an encoder that starts from photographs, as a fraction of the others'."""
    schedule: Literal["constant", "cosine"] = "constant"
    """A cosine falls with the steps, or with the time budget where that ends sooner."""
    final_rate: float = 0.01
    """Where a cosine ends, as a fraction of the learning rate."""
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 leaves them."""
    ema_decay: float = 0.0
    """Validated and exported weights are an average with this decay per step; 0 takes them as they are."""
    exported: Literal["best", "last"] = "best"
    """best: by validation score. last: those at the end, where a cosine has come to rest."""
    checkpoint_seconds: float = 300.0
    """At most this much work is lost when the run is killed."""
    workers: int = 0
    """Processes that make samples; 0 makes them in the training process."""
    threads: int = 0
    """CPU threads of the network; 0 leaves that to torch."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 0
    """GPUs, or CPU processes; 0 takes every GPU there is, or one CPU process."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bf16-mixed on a GPU, 32-true on a CPU. bf16-mixed falls back to 32-true, with a warning, on a CPU
    that has no bfloat16."""
    overlay_samples: int = 8
    """Samples drawn after each epoch; 0 draws none."""

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                msg = f"{name} must be above 0, got {getattr(self, name)}"
                raise ValueError(msg)
        for name in (
            "warmup_steps",
            "weight_decay",
            "clip_norm",
            "workers",
            "threads",
            "devices",
            "overlay_samples",
        ):
            if getattr(self, name) < 0:
                msg = f"{name} must not be negative, got {getattr(self, name)}"
                raise ValueError(msg)
        if not 0.0 <= self.ema_decay < 1.0:
            msg = f"ema_decay lies from 0 to below 1, got {self.ema_decay}"
            raise ValueError(msg)
        if self.max_minutes is not None and self.max_minutes <= 0:
            msg = f"max_minutes must be above 0, got {self.max_minutes}; leave it out to train all epochs"
            raise ValueError(msg)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch
