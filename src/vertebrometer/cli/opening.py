"""Networks, opened once in each process and while other things are still being imported and read."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vertebrometer.pipeline import MeasureSettings
    from vertebrometer.radiographs import Radiograph
    from vertebrometer.report import FilmReport


class FilmMeasurer(Protocol):
    """What measures a film that was read; `vertebrometer.pipeline.Measurer` does."""

    @property
    def model_hashes(self) -> dict[str, str]:
        """SHA-256 of each weight file, by name."""
        ...

    def measure(self, radiograph: Radiograph) -> FilmReport:
        """Measure one film."""
        ...


# Loading the weights takes longer than measuring a film, so each process does it once.
_open: dict[str, Future[FilmMeasurer]] = {}


def open_early(settings: MeasureSettings) -> None:
    """Begin to open the networks in a thread; one film of two seconds takes 0.03 to 0.1 s less."""
    if repr(settings) not in _open:
        future = _open[repr(settings)] = Future()
        threading.Thread(target=_fulfil, args=(future, settings)).start()


def open_measurer(settings: MeasureSettings) -> FilmMeasurer:
    """Return the measurer for these settings, made on first use.

    Raises
    ------
    WeightsError
        The shipped weights are missing or damaged.
    """
    if repr(settings) not in _open:
        _fulfil(_open.setdefault(repr(settings), Future()), settings)
    return _open[repr(settings)].result()


def _fulfil(future: Future[FilmMeasurer], settings: MeasureSettings) -> None:
    from vertebrometer.pipeline import Measurer

    try:
        future.set_result(Measurer(settings))
    except BaseException as error:  # noqa: BLE001 (raised where the measurer is asked for)
        future.set_exception(error)
