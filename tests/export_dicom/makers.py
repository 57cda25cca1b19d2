"""Films with a study round them, and reports of them."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.radiographs.makers import COLS, ROWS, dataset
from tests.spines import body, spine
from vertebrometer.anatomy import Facing, Reason
from vertebrometer.report import FilmFacts, FilmReport, ModelUsed, measured_report, refused_report

MODELS = (ModelUsed("coarse", "1", "c" * 64), ModelUsed("points", "2", "d" * 64))


def film(**elements) -> Dataset:
    """A lateral film in a study."""
    given = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "StudyDate": "20200101",
        "StudyTime": "101112",
        "StudyID": "S1",
    }
    return dataset(**{**given, **elements})


def facts(**values) -> FilmFacts:
    """What a report says of such a film."""
    given = {
        "file": "film.dcm",
        "sha256": "ab" * 32,
        "rows": ROWS,
        "cols": COLS,
        "spacing_mm": (0.1432, 0.1432),
        "spacing_source": "detector",
        "aspect": 1.0,
        "facts": {"modality": "CR", "bits": "12 of 16"},
    }
    return FilmFacts(**{**given, **values})


def report(**values) -> FilmReport:
    """Five bodies: named and unnamed, sure and doubtful, one wedged, one that is cut by the border."""
    bodies = [
        *spine(30.123, 24.5, 30.777, sd=0.5, left=20.0, pitch=30.0),
        body(120, 29.5, 31, left=20.0, level="L2", sd=0.4),
        body(155, 30, 31, left=20.0, level="L3", reasons=(Reason.CUT_BY_BORDER,)),
    ]
    given = {
        "film": facts(),
        "facing": Facing.RIGHT,
        "facing_confidence": 0.91,
        "models": MODELS,
        "settings": {"definition": "adjacent-mean", "threads": 2},
    }
    return measured_report(bodies, **{**given, **values})


def refused() -> FilmReport:
    """A film that could not be read."""
    return refused_report(FilmFacts(file="film.dcm"), code="truncated_file", message="the file ends too soon")


def picture() -> np.ndarray:
    """The image that goes with `film`."""
    return np.linspace(0, 1, ROWS * COLS, dtype=np.float32).reshape(ROWS, COLS)
