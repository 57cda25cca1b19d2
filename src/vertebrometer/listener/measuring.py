"""How a worker measures a film; the measuring itself is handed in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vertebrometer.errors import VertebrometerError
from vertebrometer.listener.logs import say, words_of
from vertebrometer.listener.settings import MeasureOptions
from vertebrometer.report import FilmFacts, FilmReport, refused_report
from vertebrometer.types import GrayImage

INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A report with the image it is of; None where there is no image."""

    report: FilmReport
    image: GrayImage | None = None


MeasureFilm: TypeAlias = Callable[[Path], Measured]
"""Reads and measures one film; raises `VertebrometerError` where that cannot be done."""

OpenMeasure: TypeAlias = Callable[[MeasureOptions], MeasureFilm]
"""Loads the networks in a worker; must be a function of a module, because it travels to other processes."""


def open_measurer(options: MeasureOptions) -> MeasureFilm:
    """Load the shipped networks."""
    from vertebrometer.compression import Definition  # noqa: PLC0415 (only workers need it)
    from vertebrometer.pipeline import Measurer, MeasureSettings  # noqa: PLC0415
    from vertebrometer.radiographs import read_radiograph  # noqa: PLC0415

    measurer = Measurer(MeasureSettings(definition=Definition(options.definition), threads=options.threads))

    def measure_film(path: Path) -> Measured:
        radiograph = read_radiograph(path)
        return Measured(measurer.measure(radiograph), radiograph.image)

    return measure_film


def measure_safely(path: Path, measure_film: MeasureFilm, *, film_id: int) -> Measured:
    """Measure one film; whatever is wrong with it becomes a report that says so."""
    try:
        return measure_film(path)
    except VertebrometerError as error:
        return _refused(path, error.code, str(error))
    except MemoryError:
        return _refused(path, INTERNAL_ERROR, "the memory did not suffice for this film")
    except Exception as error:  # noqa: BLE001 (the one place where a bug must not stop the other films)
        say("internal_error", level=logging.ERROR, film=film_id, error=words_of(error))
        return _refused(path, INTERNAL_ERROR, f"the program failed on this film ({type(error).__name__})")


def _refused(path: Path, code: str, message: str) -> Measured:
    return Measured(refused_report(FilmFacts(file=path.name), code=code, message=message))
