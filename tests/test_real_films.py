"""Real films, where the companion data stands beside the project; elsewhere they are skipped."""

from pathlib import Path

import numpy as np
import pytest

from vertebrometer.anatomy import level_rank, read_truth
from vertebrometer.evaluation import score_film
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import read_radiograph

FILMS = Path(__file__).resolve().parents[2] / "shared" / "data" / "films-standing"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FILMS.exists(), reason="the real films do not stand beside the project"),
]


def test_three_real_films_keep_their_recall():
    # Validation films: nothing was trained on them. Levels as the paper had them.
    truths = {film.file: film for film in read_truth(FILMS / "truth.json")}
    measurer = Measurer()
    scores = []
    for number in ("03", "21", "33"):
        name = f"standing-{number}.png"
        report = measurer.measure(read_radiograph(FILMS / name))
        scores.append(score_film(truths[name], report, first="T8", last="L5"))
    recall = sum(score.found for score in scores) / sum(score.bodies for score in scores)
    assert recall >= 0.88
    assert np.mean([score.false for score in scores]) <= 1.0
    assert level_rank("T8") < level_rank("L5")
