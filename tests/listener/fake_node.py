"""A node whose measuring needs no weights: ``python -m tests.listener.fake_node node.toml``.

The number of columns of a film says what happens to it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.spines import spine
from vertebrometer.anatomy import Facing
from vertebrometer.listener import Measured, MeasureFilm, MeasureOptions, serve
from vertebrometer.radiographs import read_radiograph
from vertebrometer.report import FilmFacts, ModelUsed, measured_report

KILLS_WORKER, HANGS, HAS_BUG = 97, 98, 99
SECONDS = float(os.environ.get("FAKE_SECONDS", "0.02"))


def open_fake(_: MeasureOptions) -> MeasureFilm:
    """Find the same spine on every film."""
    return measure_film


def measure_film(path: Path) -> Measured:
    radiograph = read_radiograph(path)
    rows, cols = radiograph.image.shape
    time.sleep(SECONDS)
    if cols == KILLS_WORKER:
        os._exit(9)
    if cols == HANGS:
        time.sleep(3600)
    if cols == HAS_BUG:
        raise KeyError("PatientName: Spinelli^Quentina")
    film = FilmFacts(file=path.name, rows=rows, cols=cols, facts=radiograph.facts)
    report = measured_report(
        spine(30, 24, 30, sd=0.5, left=20.0, pitch=40.0),
        film=film,
        facing=Facing.RIGHT,
        facing_confidence=1.0,
        models=(ModelUsed("fake", "1", "f" * 64),),
        settings={"definition": "adjacent-mean"},
    )
    return Measured(report, radiograph.image)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), open_measure=open_fake)
