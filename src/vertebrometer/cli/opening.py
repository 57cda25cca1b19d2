"""Networks, opened once in each process and while other things are still being imported and read."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vertebrometer.pipeline import MeasureSettings
    from vertebrometer.radiographs import Radiograph
    from vertebrometer.report import FilmReport
    from vertebrometer.runtime import MeasuringNetworks


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
_networks: dict[int, Future[MeasuringNetworks]] = {}
_measurers: dict[str, FilmMeasurer] = {}


def open_early(threads: int) -> None:
    """Begin to open the networks in a thread, while other modules are imported and the film is found.

    What ONNX Runtime does meanwhile holds no lock of Python's.
    """
    if threads not in _networks:
        future = _networks[threads] = Future()
        threading.Thread(target=_fulfil, args=(future, threads)).start()


def open_measurer(settings: MeasureSettings) -> FilmMeasurer:
    """Return the measurer for these settings, made on first use.

    Raises
    ------
    WeightsError
        The shipped weights are missing or damaged.
    """
    from vertebrometer.pipeline import Measurer

    known = repr(settings)
    if known not in _measurers:
        if settings.threads not in _networks:
            _fulfil(_networks.setdefault(settings.threads, Future()), settings.threads)
        _measurers[known] = Measurer(settings, networks=_networks[settings.threads].result())
    return _measurers[known]


def _fulfil(future: Future[MeasuringNetworks], threads: int) -> None:
    from vertebrometer.runtime import open_networks

    try:
        future.set_result(open_networks(threads=threads))
    except BaseException as error:  # noqa: BLE001 (raised where the networks are asked for)
        future.set_exception(error)
