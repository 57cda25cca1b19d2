"""Spread work over processes; a task that kills its process does not take others with it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Died(Generic[TaskT]):
    """The process that worked on `task` ended without an answer."""

    task: TaskT


def spread(
    tasks: Sequence[TaskT], work: Callable[[TaskT], ResultT], workers: int
) -> Iterator[ResultT | Died[TaskT]]:
    """Yield the result of each task, in any order.

    With one worker everything runs in this process. With more, tasks and
    `work` travel to fresh processes; after one died, what was under way is
    tried again task by task, so that only the guilty one is `Died`.
    """
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    rest = list(enumerate(tasks))
    done: set[int] = set()
    for number, result in _until_broken(rest, work, workers):
        done.add(number)
        yield result
    suspects = [(number, task) for number, task in rest if number not in done]
    while suspects:
        for number, result in _until_broken(suspects, work, 1):
            done.add(number)
            yield result
        suspects = [(number, task) for number, task in suspects if number not in done]
        if suspects:
            # One at a time and in order, so the first without an answer is the one that killed.
            yield Died(suspects.pop(0)[1])


def _until_broken(
    tasks: Sequence[tuple[int, TaskT]], work: Callable[[TaskT], ResultT], workers: int
) -> Iterator[tuple[int, ResultT]]:
    """Yield numbered results until all are done or a process died."""
    waiting = iter(tasks)
    # Forked processes inherit the threads of numerical libraries in a state that may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[ResultT], int] = {}
        try:
            # Few tasks ahead: an interrupt need not wait for a long queue.
            for number, task in waiting:
                running[pool.submit(work, task)] = number
                if len(running) >= (1 if workers == 1 else workers + 1):
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _finished(running: dict[Future[ResultT], int]) -> list[tuple[int, ResultT]]:
    complete, _ = wait(running, return_when=FIRST_COMPLETED)
    # Whole results first: those that are in count even if another process just died.
    ordered = sorted(complete, key=lambda future: isinstance(future.exception(), BrokenProcessPool))
    out: list[tuple[int, ResultT]] = []
    for future in ordered:
        if out and isinstance(future.exception(), BrokenProcessPool):
            break
        out.append((running.pop(future), future.result()))
    return out
