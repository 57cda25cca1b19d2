"""The training loop: the same on a CPU, a GPU or several, by Lightning Fabric."""

from __future__ import annotations

import copy
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor, nn

from vertebrometer.errors import SettingsError, VertebrometerError
from vertebrometer.networks import LiteEncoderDecoder, count_parameters
from vertebrometer.training.checkpoints import BEST, LAST, Progress, restore_run, save_run, save_weights
from vertebrometer.training.records import RunLog, write_facts
from vertebrometer.training.samples import Batch, SampleSource, batches, fixed_batches
from vertebrometer.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_EMULATED_FROM = 2.5
"""How many times slower than float32 bfloat16 is only imitated."""

LossOf: TypeAlias = Callable[[Any, Batch], dict[str, Tensor]]
"""From the network's outputs and a batch to named losses; `loss` is made small, the others are logged."""

Validate: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
"""From a network to named figures; the checkpoint with the highest `score` is the best."""

Draw: TypeAlias = Callable[[Batch, Any], NDArray[np.uint8]]
"""From a batch and the network's outputs to a picture, blue-green-red."""


class TrainingDivergedError(VertebrometerError):
    """The loss is no number any more."""

    code = "training_diverged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """How a run ended."""

    finished: bool
    """False where it was stopped before its steps or its time were used up."""
    steps: int
    minutes: float
    best_score: float | None
    best: Path
    last: Path


def fit(
    network: nn.Module,
    source: SampleSource,
    *,
    loss_of: LossOf,
    settings: TrainingSettings,
    validate: Validate | None = None,
    draw: Draw | None = None,
    resume: Path | None = None,
    show_progress: bool = False,
) -> Fitted:
    """Train `network` in place and leave checkpoints, logs and overlays in `settings.out`.

    Parameters
    ----------
    network : nn.Module
        As `build_network(settings.network)` made it; other weights may be loaded before.
    source : SampleSource
        Samples without end; sample n depends on (seed, n) alone.
    loss_of : callable
        Such as `MaskLoss()` or `PointLoss()`.
    validate : callable, optional
        Called after each epoch. Without it the checkpoint with the lowest training loss is the best.
    draw : callable, optional
        Makes a picture of some training samples after each epoch.
    resume : Path, optional
        A checkpoint of the same run to go on from, usually `settings.out / "last.pt"`.

    Raises
    ------
    SettingsError
        The folder holds a run already and `resume` is not given.
    TrainingDivergedError
        The loss is no number; the last checkpoint is from before that.
    """
    if resume is None and (settings.out / LAST).exists():
        msg = f"{settings.out} holds a run already; resume it from its {LAST} or name another folder"
        raise SettingsError(msg)
    run = _Run(network, source, loss_of=loss_of, settings=settings, validate=validate, draw=draw)
    if resume is not None:
        run.restore(resume)
    with _stop_softly() as stop, _bar(settings, shown=show_progress and run.leads) as tell:
        return run.go(stop, tell)


def learning_rate_at(settings: TrainingSettings, step: int, done: float) -> float:
    """Learning rate before `step`, where the share `done` (0 to 1) of the run lies behind."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        fall = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        rate *= settings.final_rate + (1.0 - settings.final_rate) * fall
    return rate * min(1.0, (step + 1) / (settings.warmup_steps + 1))


class _Run:
    """One run on one device; the first device leads: it writes, validates and keeps the time."""

    def __init__(
        self,
        network: nn.Module,
        source: SampleSource,
        *,
        loss_of: LossOf,
        settings: TrainingSettings,
        validate: Validate | None,
        draw: Draw | None,
    ) -> None:
        self.settings, self.source = settings, source
        self.loss_of, self.validate, self.draw = loss_of, validate, draw
        self.fabric = _launched(settings)
        self.leads = self.fabric.is_global_zero
        torch.manual_seed(settings.seed + self.fabric.global_rank)
        # Convolutions run a third faster with channels last, also on a CPU.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = frozen_parts(self.network, settings.frozen)
        self.optimiser = optimiser_for(self.network, settings)
        self.model, self.stepper = self.fabric.setup(self.network, self.optimiser)
        self.averaged = copy.deepcopy(self.network) if settings.ema_decay else self.network
        self.progress = Progress()
        self.log: RunLog | None = None
        self.tick = self.saved = time.monotonic()

    def restore(self, path: Path) -> None:
        self.progress = restore_run(
            path, network=self.network, averaged=self.averaged, optimiser=self.optimiser
        )
        if (
            not self.leads
        ):  # Only the leader's random state is kept; the others only must not repeat themselves.
            torch.manual_seed(hash((self.settings.seed, self.fabric.global_rank, self.progress.step)))
        log.info("resumed at step %d", self.progress.step)

    def go(self, stop: threading.Event, tell: Callable[[int, str], None]) -> Fitted:
        settings, progress = self.settings, self.progress
        if self.leads:
            settings.out.mkdir(parents=True, exist_ok=True)
            device = str(self.fabric.device)
            write_facts(settings.out, settings, device=device, parameters=count_parameters(self.network))
            self.log = RunLog(settings.out, from_step=progress.step)
        stream = self._stream()
        stopped = False
        self.saved = self.tick = time.monotonic()
        while progress.step < settings.total_steps and not self._out_of_time():
            self._step(next(stream))
            self._count_time()
            stopped = self._agree(stop)
            if progress.step % settings.steps_per_epoch == 0:
                self._end_epoch(tell)
                stopped = self._agree(stop) or stopped  # The leader's clock went on while it validated.
            elif stopped or self.tick - self.saved > settings.checkpoint_seconds:
                self._save()
            tell(progress.step, "")
            if stopped:
                break
        if progress.counted and not stopped:  # The time ran out within an epoch.
            self._end_epoch(tell)
        del stream
        if self.log is not None:
            self.log.close()
        return Fitted(
            finished=not stopped or progress.step >= settings.total_steps,
            steps=progress.step,
            minutes=progress.minutes,
            best_score=progress.best_score,
            best=settings.out / BEST,
            last=settings.out / LAST,
        )

    def _stream(self) -> Iterator[Batch]:
        return batches(
            self.source,
            batch_size=self.settings.batch_size,
            seed=self.settings.seed,
            start_step=self.progress.step,
            workers=self.settings.workers,
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
            pin_memory=self.fabric.device.type == "cuda",
        )

    def _step(self, batch: Batch) -> None:
        settings, progress = self.settings, self.progress
        rate = learning_rate_at(settings, progress.step, self._done())
        for group in self.optimiser.param_groups:  # Runs of before have no `share` in their checkpoints.
            group["lr"] = rate * group.get("share", 1.0)
        batch = on_device(batch, self.fabric.device)
        self.model.train()
        for part in self.frozen:
            part.eval()
        losses = self.loss_of(self.model(batch["image"]), batch)
        self.stepper.zero_grad()
        self.fabric.backward(losses["loss"])
        if settings.clip_norm:
            self.fabric.clip_gradients(
                self.model, self.stepper, max_norm=settings.clip_norm, error_if_nonfinite=False
            )
        self.stepper.step()
        progress.step += 1
        if self.averaged is not self.network:
            move_average(self.averaged, self.network, settings.ema_decay, progress.step)
        progress.counted += 1
        # One transfer for all: each waits until the GPU has come so far.
        for name, loss in zip(losses, torch.stack(list(losses.values())).tolist(), strict=True):
            progress.sums[name] = progress.sums.get(name, 0.0) + loss
        if not math.isfinite(progress.sums["loss"]):
            msg = (
                f"the loss is no number any more at step {progress.step}; resume from {settings.out / LAST} "
                "with a lower learning_rate, or check the samples"
            )
            raise TrainingDivergedError(msg)

    def _count_time(self) -> None:
        now = time.monotonic()
        self.progress.minutes += (now - self.tick) / 60
        self.tick = now

    def _done(self) -> float:
        """Share of the run that lies behind, by steps or by time."""
        by_steps = self.progress.step / self.settings.total_steps
        if self.settings.max_minutes is None:
            return by_steps
        return max(by_steps, self.progress.minutes / self.settings.max_minutes)

    def _out_of_time(self) -> bool:
        return self.settings.max_minutes is not None and self.progress.minutes >= self.settings.max_minutes

    def _agree(self, stop: threading.Event) -> bool:
        """Let all devices see the same clock and the same wish to stop."""
        if self.fabric.world_size == 1:
            return stop.is_set()
        mine = torch.tensor([self.progress.minutes, float(stop.is_set())], dtype=torch.float64)
        all_of_them = self.fabric.all_reduce(mine.to(self.fabric.device), reduce_op="max")
        self.progress.minutes, stopped = torch.as_tensor(all_of_them).tolist()
        return bool(stopped)

    def _end_epoch(self, tell: Callable[[int, str], None]) -> None:
        progress = self.progress
        means = {name: total / progress.counted for name, total in progress.sums.items()}
        progress.sums, progress.counted = {}, 0
        if self.leads:
            figures = self._validated() if self.validate else {"score": -means["loss"]}
            self._picture()
            self._count_time()
            if progress.best_score is None or figures["score"] > progress.best_score:
                progress.best_score, progress.best_step = figures["score"], progress.step
                save_weights(self.settings.out / BEST, self.averaged, self.settings, figures)
            self._record(means, figures)
            tell(progress.step, f"loss {means['loss']:.4f}, score {figures['score']:.4f}")
        self._save()
        self.fabric.barrier()

    def _record(self, means: Mapping[str, float], figures: Mapping[str, float]) -> None:
        step, epoch = self.progress.step, math.ceil(self.progress.step / self.settings.steps_per_epoch)
        rate = self.optimiser.param_groups[0]["lr"]
        row = {"epoch": epoch, "minutes": self.progress.minutes, "learning_rate": rate}
        row |= {f"train_{name}": value for name, value in means.items()}
        row |= {f"validation_{name}": value for name, value in figures.items()}
        if self.log is not None:
            self.log.add(step, row)
        log.info("epoch %d, step %d: loss %.4f, %s", epoch, step, means["loss"], _worded(figures))

    def _validated(self) -> dict[str, float]:
        assert self.validate is not None
        with _evaluating(self.averaged), self.fabric.autocast():
            return dict(self.validate(self.averaged))

    def _picture(self) -> None:
        settings = self.settings
        if self.draw is None or not settings.overlay_samples:
            return
        # A seed of its own, so that the same samples are drawn after each epoch.
        count = settings.overlay_samples
        batch = fixed_batches(self.source, samples=count, batch_size=count, seed=settings.seed + 1)[0]
        with _evaluating(self.averaged), self.fabric.autocast():
            outputs = self.averaged(on_device(batch, self.fabric.device)["image"])
        folder = settings.out / "overlays"
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"step-{self.progress.step:07d}.png"), self.draw(batch, outputs))

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.leads:
            save_run(
                self.settings.out / LAST,
                network=self.network,
                averaged=self.averaged,
                optimiser=self.optimiser,
                progress=self.progress,
                settings=self.settings,
            )


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Carry a batch to where the network is, images with their channels last."""
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    return moved | {"image": moved["image"].contiguous(memory_format=torch.channels_last)}


def bfloat16_is_emulated() -> bool:
    """Whether a convolution in bfloat16 takes this CPU much longer than one in float32.

    Measured, since what a CPU can do and what torch makes of it go by many names. A CPU with
    bfloat16 takes at most as long, one that imitates it five to a hundred times as long.
    """
    images = torch.zeros(8, 32, 32, 32).contiguous(memory_format=torch.channels_last)
    kernel = torch.zeros(32, 32, 3, 3)

    def seconds(kind: torch.dtype) -> float:
        given, weights = images.to(kind), kernel.to(kind)
        taken = []
        for _ in range(4):
            started = time.perf_counter()
            nn.functional.conv2d(given, weights, padding=1)
            taken.append(time.perf_counter() - started)
        # The first call sets things up, and others may wait for a busy machine.
        return min(taken[1:])

    with torch.no_grad():
        return seconds(torch.bfloat16) > _EMULATED_FROM * seconds(torch.float32)


def _launched(settings: TrainingSettings) -> Fabric:
    if settings.threads:
        torch.set_num_threads(settings.threads)
    on_gpu = settings.accelerator != "cpu" and torch.cuda.is_available()
    precision: Any = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu else "32-true"
    if precision == "bf16-mixed" and not on_gpu and bfloat16_is_emulated():
        log.warning("this CPU has no bfloat16 and would imitate it many times slower; training in float32")
        precision = "32-true"
    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.devices or ("auto" if on_gpu else 1),
        precision=precision,
    )
    fabric.launch()
    return fabric


def optimiser_for(
    network: nn.Module, settings: TrainingSettings, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Make the optimiser of the settings; `share` of a group is its part of the learning rate."""
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    body = getattr(network, "body", None)
    down = list(body.encoder.parameters()) if isinstance(body, LiteEncoderDecoder) else []
    known = {id(parameter) for parameter in down}
    others = [each for each in network.parameters() if id(each) not in known and each.requires_grad]
    groups = [{"params": others, "share": 1.0}]
    if down:
        groups.append({"params": down, "share": settings.encoder_rate})
    return kind(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=fused)


def frozen_parts(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Let parts of a network keep their weights; return them, for their statistics must be kept as well.

    Raises
    ------
    SettingsError
        The network has no part of such a name.
    """
    parts = dict(network.named_modules())
    for name in names:
        if name not in parts or not name:
            there = ", ".join(part for part in parts if part and part.count(".") < 2)
            msg = f"frozen names {name!r}, which is no part of the network; there are {there}"
            raise SettingsError(msg)
        parts[name].requires_grad_(requires_grad=False)
    return [parts[name] for name in names]


@torch.no_grad()
def move_average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights a little towards those of the network, more at the start of a run."""
    share = 1.0 - min(decay, (1 + step) / (10 + step))
    for mean, now in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, share)
        else:
            mean.copy_(now)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Switch dropout and batch statistics off for a while."""
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was)


@contextmanager
def _stop_softly() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a wish to stop after the step; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def wish(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        log.warning("stopping after this step, with a checkpoint (signal %d)", number)
        stop.set()

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(settings: TrainingSettings, *, shown: bool) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar; the function it gives takes the step and, now and then, words."""
    if not shown:
        with nullcontext():
            yield lambda _step, _words: None
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns) as bar:
        task = bar.add_task("", total=settings.total_steps)

        def tell(step: int, words: str) -> None:
            bar.update(task, completed=step, **({"description": words} if words else {}))  # type: ignore[arg-type]

        yield tell


def _worded(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
