"""Where training samples come from, and how they become batches.

Sample n of a run depends on (seed, n) alone, so that a resumed run goes on with
the samples it would have seen, whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

Sample: TypeAlias = Mapping[str, "NDArray[np.generic] | np.generic | float | int"]
"""Named arrays of one sample; every source of one run gives the same names and shapes."""

Batch: TypeAlias = dict[str, Tensor]
"""The same names, each with the samples first."""


class SampleSource(Protocol):
    """Makes samples without end."""

    def sample(self, rng: np.random.Generator, /) -> Sample:
        """Draw one sample; the same generator state gives the same sample."""
        ...


@dataclass(frozen=True, slots=True)
class MixedSource:
    """Draws each sample from one of several sources."""

    sources: tuple[SampleSource, ...]
    weights: tuple[float, ...]
    """How often each source is drawn, in any unit."""

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.weights) or not self.sources:
            msg = f"a mixture needs a weight for each source, got {len(self.sources)} and {len(self.weights)}"
            raise ValueError(msg)
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            msg = f"weights must not be negative and not all zero, got {self.weights}"
            raise ValueError(msg)

    def sample(self, rng: np.random.Generator, /) -> Sample:
        """Draw a source, then a sample of it."""
        shares = np.array(self.weights) / sum(self.weights)
        return self.sources[int(rng.choice(len(self.sources), p=shares))].sample(rng)


def draw(source: SampleSource, seed: int, number: int) -> Sample:
    """Draw sample `number` of the run with this seed."""
    return source.sample(np.random.default_rng([seed, number]))


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples; whole numbers become int64 and all others float32.

    Raises
    ------
    ValueError
        Samples differ in their names or shapes; the message says in which.
    """
    names = samples[0].keys()
    for sample in samples:
        if sample.keys() != names:
            msg = (
                f"all samples of a run carry the same names; these differ in {sorted(sample.keys() ^ names)}"
            )
            raise ValueError(msg)
    return {name: _stacked(name, [np.asarray(sample[name]) for sample in samples]) for name in names}


def _stacked(name: str, values: list[NDArray[np.generic]]) -> Tensor:
    shapes = sorted({value.shape for value in values})
    if len(shapes) > 1:
        msg = f"all samples of a run have the same shapes; {name!r} came as {shapes}"
        raise ValueError(msg)
    stacked = np.stack(values)
    return torch.from_numpy(stacked.astype(np.int64 if stacked.dtype.kind in "iu" else np.float32))


def batches(
    source: SampleSource,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Yield the batches of a run without end, from `start_step` on.

    Parameters
    ----------
    workers : int
        Processes that make samples; 0 makes them here. The batches are the same.
    rank, world_size : int
        This device among those that train together; each sees samples of its own.
    pin_memory : bool
        Put batches where a GPU can fetch them quickly.
    """
    stream = _Stream(
        source, batch_size=batch_size, seed=seed, start_step=start_step, rank=rank, world_size=world_size
    )
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=single_thread if workers else None,
        pin_memory=pin_memory,
        # The loader draws a seed; from a generator of its own, so that dropout goes on undisturbed.
        generator=torch.Generator(),
    )
    return iter(loader)


def fixed_batches(source: SampleSource, *, samples: int, batch_size: int, seed: int) -> list[Batch]:
    """Make a set of samples once, for validation or for overlays."""
    numbers = range(samples)
    return [
        collate([draw(source, seed, number) for number in numbers[start : start + batch_size]])
        for start in range(0, samples, batch_size)
    ]


class _Stream(IterableDataset[Batch]):
    """All batches of one device; each worker makes every k-th of them."""

    def __init__(
        self, source: SampleSource, *, batch_size: int, seed: int, start_step: int, rank: int, world_size: int
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.start_step, self.rank, self.world_size = start_step, rank, world_size

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        # The loader takes one batch from each worker in turn, so steps come out in order.
        for step in count(self.start_step + first, stride):
            number = (step * self.world_size + self.rank) * self.batch_size
            yield collate([draw(self.source, self.seed, number + i) for i in range(self.batch_size)])


def single_thread(_worker: int = 0) -> None:
    """Keep OpenCV to one thread here: many processes with as many threads each slow one another."""
    cv2.setNumThreads(0)
