"""Train several networks that look at one body together, on the same crops drawn on a GPU.

Making films takes longer than learning from them: CPUs make films all the time and cut bodies out of them,
the GPU keeps the cuts and draws crops from them, and every network sees each crop.
"""

from __future__ import annotations

import copy
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from vertebrometer.config import read_settings
from vertebrometer.errors import SettingsError
from vertebrometer.networks import NetworkConfig, build_network
from vertebrometer.training.checkpoints import LAST, Progress, restore_run, save_run, save_weights
from vertebrometer.training.corner_source import ERRORS, SHARES
from vertebrometer.training.crops import Cuts
from vertebrometer.training.data import CutJob, DataSettings, cut_jobs
from vertebrometer.training.drawing import (
    Chance,
    Chooser,
    DeviceCuts,
    Drawing,
    Drawn,
    corners_batch,
    points_batch,
    thinned,
)
from vertebrometer.training.loop import learning_rate_at, move_average, optimiser_for
from vertebrometer.training.losses import PointLoss
from vertebrometer.training.run import (
    CornerSettings,
    PointsSettings,
    export_corners,
    export_points,
    note_origin,
    trained_on,
)
from vertebrometer.training.samples import Batch
from vertebrometer.training.settings import TrainingSettings
from vertebrometer.training.spreading import in_processes
from vertebrometer.training.validation import PointScore
from vertebrometer.training.warm import start

log = logging.getLogger(__name__)

_TAKEN_EVERY: Final = 20
"""Steps after which cuts that were made meanwhile are taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointNetwork:
    """One of the networks that are trained together."""

    kind: Literal["points", "corners"]
    name: str
    """Of its folder."""
    network: NetworkConfig
    version: str = "1"
    start_from: str = ""
    """As in `TrainingSettings`."""
    learning_rate: float = 1.5e-3
    encoder_rate: float = 1.0
    """As in `TrainingSettings`."""
    real_share: float = 1.0
    """Share of the samples of real films that this network learns from."""
    loss: PointLoss = field(default_factory=PointLoss)


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSettings:
    """Settings file of ``vertebrometer train bodies``."""

    out: Path
    """Folder with a folder for each network."""
    networks: tuple[JointNetwork, ...]
    minutes: float
    data: DataSettings = field(default_factory=DataSettings)
    chance: Chance = field(default_factory=Chance)
    bank_mm: float = 0.3
    seed: int = 0
    batch_size: int = 256
    warmup_steps: int = 200
    weight_decay: float = 1e-3
    ema_decay: float = 0.999
    capacity: int = 100_000
    """Cuts that the device keeps, of about 155 kB each."""
    first_cuts: int = 2000
    """So many, and some of every source, are wanted before the first step."""
    report_minutes: float = 1.0
    """How often the networks are validated and their checkpoints written."""
    validation_samples: int = 768

    def __post_init__(self) -> None:
        names = [each.name for each in self.networks]
        if not names or len(set(names)) < len(names):
            msg = f"networks that are trained together need names of their own, got {names}"
            raise SettingsError(msg)
        if self.minutes <= 0 or self.batch_size < 1 or self.capacity < self.batch_size:
            msg = "minutes and batch_size must be above 0 and capacity no less than a batch"
            raise SettingsError(msg)

    def of_one(self, one: JointNetwork) -> PointsSettings | CornerSettings:
        """Give the settings as if one network were trained alone, for its checkpoint and its card."""
        run = TrainingSettings(
            out=self.out / one.name,
            network=one.network,
            start_from=one.start_from,
            seed=self.seed,
            # The time budget ends a run.
            epochs=1,
            steps_per_epoch=10**9,
            batch_size=self.batch_size,
            max_minutes=self.minutes,
            optimiser="adamw",
            learning_rate=one.learning_rate,
            encoder_rate=one.encoder_rate,
            weight_decay=self.weight_decay,
            schedule="cosine",
            warmup_steps=self.warmup_steps,
            ema_decay=self.ema_decay,
            exported="last",
        )
        kind = PointsSettings if one.kind == "points" else CornerSettings
        return kind(run=run, data=self.data, loss=one.loss, bank_mm=self.bank_mm, version=one.version)


def run_bodies(config: Path, *, resume: bool = False) -> list[Path]:
    """Train the networks of a settings file together and return their ONNX files.

    Raises
    ------
    SettingsError
        The settings are wrong, or their folder is in use and `resume` is not asked for.
    """
    settings, base = read_settings(config, JointSettings), config.parent
    settings = replace(settings, out=base / settings.out)
    used = [one.name for one in settings.networks if (settings.out / one.name / LAST).exists()]
    if used and not resume:
        msg = f"{settings.out.name} holds a run of {used[0]} already; resume it or name another folder"
        raise SettingsError(msg)
    held, jobs = (_jobs(settings, base, validation=which) for which in (True, False))
    # Weights are written before the processes that make films come to rest.
    with _made([*held, *jobs], settings.data.processes) as made:
        fit_together(settings, base, made, held_out=len(held))
        return [_exported(settings, one, made.films) for one in settings.networks]


def _jobs(settings: JointSettings, base: Path, *, validation: bool) -> list[CutJob]:
    return cut_jobs(
        settings.data,
        pixel_mm=settings.bank_mm,
        base=base,
        degraded=settings.chance.degraded,
        validation=validation,
    )


def _exported(settings: JointSettings, one: JointNetwork, films: Mapping[str, int]) -> Path:
    alone, sources = settings.of_one(one), trained_on(settings.data, films)
    if isinstance(alone, PointsSettings):
        return export_points(alone, alone.run.out, sources)
    return export_corners(alone, alone.run.out, sources)


def fit_together(settings: JointSettings, base: Path, made: CutStream, *, held_out: int) -> None:
    """Train all networks and leave their checkpoints.

    Parameters
    ----------
    made : CutStream
        Cuts as they come; the first `held_out` parts of it validate.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        # Not cudnn.benchmark: while all CPUs make films, trying kernels took 20 seconds for one network.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    kept = _held_out(settings, [made.get() for _ in range(held_out)], device, rng)
    made.films.clear()
    cuts = DeviceCuts(settings.capacity, device)
    wanted = {group for group, weight in settings.data.weights.items() if weight > 0}
    while len(cuts) < settings.first_cuts or any(not cuts.pool(g, "nothing").size for g in wanted):
        cuts.add(made.get())
    log.info("first cuts: %d of %d films", len(cuts), made.films.total())
    choose = Chooser(cuts, settings.data.weights, settings.chance)
    drawing = Drawing(cuts, settings.chance)
    learners = [
        _Learner(settings, one, base, drawing(choose(rng, settings.batch_size))) for one in settings.networks
    ]
    started = told = time.monotonic()
    before = minutes = max(learner.progress.minutes for learner in learners)
    while minutes < settings.minutes:
        drawn = drawing(choose(rng, settings.batch_size))
        for learner in learners:
            learner.step(drawn, minutes)
        if learners[0].progress.step % _TAKEN_EVERY == 0:
            for part in made.ready():
                cuts.add(part)
            if device.type == "cuda":  # The clock counts what is done, not what is asked for.
                torch.cuda.synchronize()
        now = time.monotonic()
        minutes = before + (now - started) / 60
        if now - told > 60 * settings.report_minutes:
            told = now
            log.info("%.1f min, %d cuts of %s films", minutes, len(cuts), dict(made.films))
            for learner in learners:
                learner.report(kept)
    for learner in learners:
        learner.report(kept)


class _Learner:
    """One network, its optimiser and its mean over steps."""

    def __init__(self, settings: JointSettings, one: JointNetwork, base: Path, drawn: Drawn) -> None:
        self.one, self.settings = one, settings.of_one(one)
        run = self.settings.run
        device = drawn.image.device
        network = build_network(one.network).to(device)
        last = run.out / LAST
        if one.start_from and not last.exists():
            note_origin(run.out, start(network, one.start_from, base, self.batch(drawn)["image"]))
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimiser = optimiser_for(self.network, run, fused=device.type == "cuda")
        self.progress = Progress()
        if last.exists():
            self.progress = restore_run(
                last, network=self.network, averaged=self.averaged, optimiser=self.optimiser
            )

    def batch(self, drawn: Drawn) -> Batch:
        return points_batch(drawn) if self.one.kind == "points" else corners_batch(drawn, ERRORS, SHARES)

    def step(self, drawn: Drawn, minutes: float) -> None:
        run = self.settings.run
        self.progress.minutes = minutes
        rate = learning_rate_at(run, self.progress.step, minutes / (run.max_minutes or minutes))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        batch = self.batch(thinned(drawn, "real", self.one.real_share))
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        self.network.train()
        with _quick(image):
            outputs = self.network(image)
        losses = self.settings.loss(outputs, batch)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), run.clip_norm)
        self.optimiser.step()
        self.progress.step += 1
        move_average(self.averaged, self.network, run.ema_decay, self.progress.step)

    @torch.no_grad()
    def report(self, kept: Sequence[Drawn]) -> None:
        """Validate, write the checkpoint and tell."""
        batches = [{name: value.cpu() for name, value in self.batch(drawn).items()} for drawn in kept]
        with _quick(kept[0].image):
            score = PointScore(batches)(self.averaged)
        run = self.settings.run
        save_run(
            run.out / LAST,
            network=self.network,
            averaged=self.averaged,
            optimiser=self.optimiser,
            progress=self.progress,
            settings=run,
        )
        save_weights(run.out / "weights.pt", self.averaged, run, score)
        worded = ", ".join(f"{name} {value:.3f}" for name, value in score.items() if name != "score")
        log.info("%s, step %d: %s", self.one.name, self.progress.step, worded)


def _quick(like: Tensor) -> torch.autocast:
    """bfloat16 where the device has it by itself."""
    return torch.autocast(like.device.type, dtype=torch.bfloat16, enabled=like.device.type == "cuda")


def _held_out(
    settings: JointSettings, parts: Sequence[Cuts], device: torch.device, rng: np.random.Generator
) -> list[Drawn]:
    """Draw the samples that validate, once."""
    cuts = DeviceCuts(sum(len(part) for part in parts), device)
    for part in parts:
        cuts.add(part)
    chance = replace(settings.chance, overlaid=0.0, squash_gain=0.12, squash_largest=0.5)
    share = settings.data.validation_real_share if settings.data.films else 0.0
    choose = Chooser(cuts, {"phantom": 1 - share, "real": share}, chance)
    drawing = Drawing(cuts, chance)
    size = 64
    return [drawing(choose(rng, size)) for _ in range(max(settings.validation_samples // size, 1))]


_Part: TypeAlias = tuple[CutJob, Cuts] | BaseException | None


class CutStream:
    """Cuts as they come from the processes that make them."""

    def __init__(self, jobs: Sequence[CutJob], processes: int) -> None:
        self.films: Counter[str] = Counter()
        """Films of each group whose cuts were taken."""
        self._jobs, self._processes = jobs, processes
        self._queue: queue.Queue[_Part] = queue.Queue(maxsize=32)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()

    def _feed(self) -> None:
        try:
            for job, cuts in zip(
                self._jobs, in_processes(_make, self._jobs, processes=self._processes), strict=True
            ):
                self._put((job, cuts))
                if self.stop.is_set():
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 (carried to the thread that waits for cuts)
            self._put(error)

    def _put(self, part: _Part) -> None:
        while not self.stop.is_set():
            try:
                self._queue.put(part, timeout=0.2)
            except queue.Full:
                continue
            return

    def get(self) -> Cuts:
        """Wait for the next cuts.

        Raises
        ------
        SettingsError
            All films are made and more are wanted.
        """
        cuts = self._next()
        if cuts is None:
            msg = "all films of the settings are made and show too few bodies of every source; ask for more"
            raise SettingsError(msg)
        return cuts

    def ready(self) -> Iterator[Cuts]:
        """Yield what has come by now."""
        while not self._queue.empty():
            cuts = self._next()
            if cuts is None:
                return
            yield cuts

    def _next(self) -> Cuts | None:
        part = self._queue.get()
        if isinstance(part, BaseException):
            raise part
        if part is None:
            self._queue.put(None)
            return None
        job, cuts = part
        self.films[job.group] += job.end - job.first
        return cuts


def _make(job: CutJob) -> Cuts:
    return job()


@contextmanager
def _made(jobs: Sequence[CutJob], processes: int) -> Iterator[CutStream]:
    made = CutStream(jobs, processes)
    try:
        yield made
    finally:
        made.stop.set()
        made.thread.join()
