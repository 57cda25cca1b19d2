"""Facts about the bench: its films, whom it asks for, and what calibration makes of stated spreads."""

from dataclasses import replace

import numpy as np
import pytest

from tests.projection.conftest import box_spine, write_as_verse
from tests.spines import spine
from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, SixPoints
from vertebrometer.bench import BenchFilm, bench_films, calibrated, phantom_films, run_bench
from vertebrometer.compression import IntervalCalibration
from vertebrometer.errors import SettingsError
from vertebrometer.radiographs import Radiograph
from vertebrometer.report import FilmFacts, measured_report

LEVELS = ("T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3")
FREE = IntervalCalibration()


def drawn_films(count, seed):
    """Films of spines with every second body at some stage of collapse."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        loss = np.where(np.arange(8) % 2, rng.choice([0.0, 0.15, 0.3, 0.55], 8), 0.0)
        bodies = tuple(
            BodyTruth(level=level, points=own.points, contour_rc=own.contour_rc)
            for level, own in zip(LEVELS, spine(*(30 * (1 - loss))), strict=True)
        )
        truth = FilmTruth(file=f"{number}.dcm", shape=(400, 300), bodies=bodies, facing=Facing.RIGHT)
        group = "ct" if number % 3 == 2 else "phantom"
        yield BenchFilm(str(number), group, Radiograph(image=np.zeros((400, 300), np.float32)), truth)


def noisy_reader(films, *, scatter_px, stated_px, calibration=FREE, seed=0):
    """A reader whose points scatter by one SD and who states another."""
    rng, truths = np.random.default_rng(seed), iter([film.truth for film in films])

    def measure(radiograph):
        bodies = []
        for own, true in zip(spine(*[30.0] * 8, sd=stated_px), next(truths).bodies, strict=True):
            points = true.points.points_rc + rng.normal(0, scatter_px, (6, 2))
            bodies.append(replace(own, points=SixPoints(points), contour_rc=points, level=true.level))
        return measured_report(
            bodies,
            film=FilmFacts(file="film.dcm", rows=400, cols=300),
            facing=Facing.RIGHT,
            facing_confidence=1.0,
            calibration=calibration,
        )

    return measure


def held_percent(result, low, high):
    pairs = [pair for pair in result.pairs() if low <= pair.true < high]
    return 100 * np.mean([pair.interval_90[0] <= pair.true <= pair.interval_90[1] for pair in pairs])


@pytest.mark.parametrize("stated_px", [0.2, 0.8])
def test_intervals_of_a_reader_who_misstates_their_spread_hold_in_nine_of_ten_once_calibrated(stated_px):
    films = list(drawn_films(60, seed=1))
    seen = run_bench(films, noisy_reader(films, scatter_px=0.4, stated_px=stated_px))
    found = calibrated(seen, used=FREE)
    assert found.factors == pytest.approx([0.4 / stated_px] * 4, rel=0.35)
    others = list(drawn_films(60, seed=2))
    again = run_bench(
        others, noisy_reader(others, scatter_px=0.4, stated_px=stated_px, calibration=found, seed=9)
    )
    assert abs(held_percent(again, -50, 10) - 90) < 6
    assert abs(held_percent(again, 10, 100) - 90) < 6


def test_calibrating_again_what_is_calibrated_changes_nothing():
    films = list(drawn_films(60, seed=3))
    once = calibrated(run_bench(films, noisy_reader(films, scatter_px=0.4, stated_px=0.2)), used=FREE)
    reader = noisy_reader(films, scatter_px=0.4, stated_px=0.2, calibration=once)
    # Reports round to hundredths of a point.
    assert calibrated(run_bench(films, reader), used=once).factors == pytest.approx(once.factors, rel=0.01)


def test_a_band_with_few_bodies_takes_the_factor_of_all():
    films = list(drawn_films(12, seed=4))
    seen = run_bench(films, noisy_reader(films, scatter_px=0.4, stated_px=0.2))
    all_alike = calibrated(seen, used=FREE, least=10_000).factors
    assert len(set(all_alike)) == 1
    rare = calibrated(seen, used=FREE, least=len(seen.pairs()) // 2).factors
    assert rare[3] == all_alike[3]


def test_a_group_is_scored_by_itself():
    films = list(drawn_films(9, seed=5))
    seen = run_bench(films, noisy_reader(films, scatter_px=0.1, stated_px=0.1))
    assert (len(seen.pairs("ct")), len(seen.pairs("phantom"))) == (3 * 6, 6 * 6)
    assert len(seen.evaluation("ct", repeats=1).films) == 3


def test_a_film_of_the_bench_does_not_depend_on_how_many_there_are_and_asks_for_whole_bodies_only():
    (first,), (same, _) = phantom_films(1, seed=6), phantom_films(2, seed=6)
    assert np.array_equal(first.radiograph.image, same.radiograph.image)
    assert all(body.whole for body in first.truth.bodies)


@pytest.mark.parametrize(
    ("only", "words"), [(["sub-box", "sub-other"], "named sub-other; there are sub-box"), ([], None)]
)
def test_ct_that_is_not_there_is_told_before_any_film_is_made(tmp_path, only, words):
    if words:
        write_as_verse(tmp_path / "sub-box", *box_spine())
    with pytest.raises(SettingsError, match=words or "no CT volume with a mask"):
        bench_films(30, 1, ct=tmp_path, only=only)


def test_volumes_without_their_folder_are_refused():
    with pytest.raises(SettingsError, match="--ct"):
        bench_films(3, 1, only=["sub-verse014"])
