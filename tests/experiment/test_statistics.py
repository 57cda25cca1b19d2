"""Facts about the figures of the report, on numbers made by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")

from vertebrometer.experiment.geometric import best_mixture, mixed
from vertebrometer.experiment.statistics import (
    compare,
    compare_errors,
    pixel_figures,
    value_figures,
    with_holm,
)
from vertebrometer.experiment.triplet_data import rebuilt

pytestmark = pytest.mark.torch


def reading(patient, body, true, measured):
    return {
        "film": f"film-{patient}", "patient": str(patient), "body": body, "level": None,
        "true": true, "measured": measured,
    }  # fmt: skip


def readings(errors, *, true=30.0):
    """One body for each patient."""
    return [reading(n, 1, true, None if e is None else true + e) for n, e in enumerate(errors)]


def figures(*seeds, measurable=(30.0,) * 4):
    return value_figures(seeds, list(measurable), fractured_from=20.0, repeats=200)


def test_errors_follow_equations_six_to_eight():
    told = figures(readings([2.0, -4.0, 1.0, -1.0]))["fractured"]
    assert told["mae"]["value"] == pytest.approx(2.0)
    assert told["mse"] == pytest.approx(22 / 4)
    assert told["rmse"]["value"] == pytest.approx((22 / 4) ** 0.5)
    assert told["mae"]["low"] < 2.0 < told["mae"]["high"]
    assert told["always_zero"] == pytest.approx(30.0)


def test_what_was_not_measured_lowers_the_yield_and_not_the_error():
    told = figures(readings([2.0, None, 2.0, 2.0]))["fractured"]
    assert (told["n"], told["yield"]["measured"], told["yield"]["of"]) == (3, 3, 4)
    assert told["mae"]["value"] == pytest.approx(2.0)


def test_bands_part_bodies_by_their_true_value():
    rows = [reading(n, 1, true, true) for n, true in enumerate((-5.0, 10.0, 20.0, 40.0))]
    told = value_figures([rows], [r["true"] for r in rows], fractured_from=20.0, repeats=10)
    assert [told[name]["n"] for name in ("below 10 %", "10 to 20 %", "20 to 40 %", "from 40 %")] == [1] * 4
    assert told["fractured"]["n"] == 2


def test_several_seeds_give_the_error_of_a_single_network():
    told = figures(readings([1.0] * 4), readings([-3.0] * 4))["fractured"]
    assert told["mae"]["value"] == pytest.approx(2.0)
    assert told["mae_of_seeds"] == pytest.approx([1.0, 3.0])
    assert told["n"] == 4


def test_intervals_draw_patients_and_not_bodies():
    alone = [reading(n, 1, 30.0, 30.0 + e) for n, e in enumerate((0.0, 4.0) * 10)]
    crowd = [reading(n % 4, n, 30.0, 30.0 + (0.0, 4.0)[n % 2]) for n in range(20)]
    wide, narrow = (figures(rows)["fractured"]["mae"] for rows in (crowd, alone))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_two_patients_have_no_interval():
    assert figures(readings([1.0, 2.0]))["fractured"]["mae"]["low"] is None


def test_a_group_without_bodies_is_empty():
    assert figures(readings([1.0] * 4))["from 40 %"]["n"] == 0


def test_pixel_figures_are_means_over_films():
    told = pixel_figures({"a": [8, 2, 2, 88], "b": [10, 0, 0, 90]})
    assert told["dice"]["mean"] == pytest.approx(0.9)
    assert told["sensitivity"]["median"] == pytest.approx(0.9)


def test_holm_corrects_the_least_p_most():
    pairs = [{"p": p} for p in (0.01, 0.04, 0.03, None)]
    told = [pair["p_holm"] for pair in with_holm(pairs)]
    # Holm S, Scand J Stat 1979: 3 x 0.01; then 2 x 0.03; then at least as much as before.
    assert told == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]


def test_a_system_that_is_better_for_every_patient_is_found_to_be():
    rng = np.random.default_rng(0)
    errors = rng.uniform(1, 3, 20)
    own = {str(n): float(e) for n, e in enumerate(errors)}
    other = {str(n): float(e) + 1 for n, e in enumerate(errors)}
    told = compare("a", "b", own, other, 100)
    assert told["difference"]["value"] == pytest.approx(-1.0)
    assert told["p"] < 0.001


def test_few_patients_are_not_tested():
    assert compare("a", "b", {"1": 1.0}, {"1": 2.0}, 10)["p"] is None


def test_systems_are_compared_on_bodies_that_both_measured():
    systems = {"a": [readings([1.0] * 7)], "b": [readings([None, *[2.0] * 6])]}
    told = compare_errors(systems, lambda _: True, 50)[0]
    assert told["patients"] == 6
    assert told["difference"]["value"] == pytest.approx(-1.0)


def test_the_best_mixture_takes_the_better_system():
    good, bad = readings([0.0, 0.0, 0.0]), readings([9.0, 9.0, 9.0])
    assert best_mixture(good, bad)[0] == 1.0
    assert best_mixture(readings([3.0] * 3), readings([-3.0] * 3))[0] == pytest.approx(0.5)
    assert [r["measured"] for r in mixed(good, bad, 0.5)] == [34.5] * 3


def test_a_scalar_label_is_rebuilt_almost_exactly():
    labels = np.random.default_rng(1).normal(0, 1, (200, 1))
    inner = np.abs(labels[:, 0]) < 1.5
    assert np.abs(rebuilt(labels, 20) - labels)[inner].max() < 0.01


def test_labels_of_many_numbers_are_not():
    labels = np.random.default_rng(1).normal(0, 1, (200, 30))
    assert np.abs(rebuilt(labels, 20) - labels).mean() > 0.3
