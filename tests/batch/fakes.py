"""A measurer without weights; at module level, so that it can travel to worker processes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.spines import spine
from vertebrometer.anatomy import Facing
from vertebrometer.batch import MeasuredFilm
from vertebrometer.errors import TruncatedFileError
from vertebrometer.report import FilmFacts, measured_report


@dataclass(frozen=True)
class FakeMeasure:
    """Finds the same spine on every film; the file's name says what goes wrong."""

    log: Path | None = None
    seconds: float = 0.0

    def __call__(self, path: Path) -> MeasuredFilm:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(path.name + "\n")
        time.sleep(self.seconds)
        if path.name.startswith("bad"):
            raise TruncatedFileError("the file ends before its image does")
        if path.name.startswith("bug"):
            raise KeyError("PatientName: Jane Doe")
        if path.name.startswith("deadly"):
            os._exit(9)
        film = FilmFacts(file=path.name, rows=200, cols=200)
        report = measured_report(spine(30, 24, 30), film=film, facing=Facing.RIGHT, facing_confidence=1.0)
        return MeasuredFilm(report, np.zeros((200, 200), dtype=np.float32))
