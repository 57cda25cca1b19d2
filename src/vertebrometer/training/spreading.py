"""Films are made by as many processes as there are CPUs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from vertebrometer.training.samples import single_thread

ResultT = TypeVar("ResultT")


def in_processes(work: Callable[..., ResultT], *columns: Sequence[Any], processes: int) -> Iterator[ResultT]:
    """Yield what `work` gives for each row of `columns`, in their order.

    Parameters
    ----------
    work : callable
        Travels to fresh processes with its arguments.
    processes : int
        1 works in this process, 0 takes as many as there are CPUs.
    """
    workers = min(processes or os.cpu_count() or 1, len(columns[0]))
    if workers < 2:
        yield from map(work, *columns)
        return
    # Forked processes inherit the threads of numerical libraries in a state that may hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=single_thread) as pool:
        try:
            yield from pool.map(work, *columns)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
