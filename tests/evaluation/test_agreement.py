import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vertebrometer.evaluation import (
    auroc,
    bland_altman,
    icc_agreement,
    icc_consistency,
    lin_concordance,
    mean_absolute_error,
    mean_squared_error,
    pearson,
    root_mean_squared_error,
)

# Peak flow by two meters, first readings: Bland & Altman, Lancet 1986;i:307-10, table 1.
LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

# Four judges rate six targets: Shrout & Fleiss, Psychol Bull 1979;86:420-8, table 2.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_agreement_repeats_the_published_example():
    agreement = bland_altman(LARGE_METER, MINI_METER)
    assert agreement.bias.value == pytest.approx(-2.1, abs=0.05)
    assert agreement.sd == pytest.approx(38.8, abs=0.05)
    # The paper takes two standard deviations (-79.7 to 75.5) where we take 1.96.
    assert agreement.lower.value == pytest.approx(-79.7 + 0.04 * 38.8, abs=0.1)
    assert agreement.upper.value == pytest.approx(75.5 - 0.04 * 38.8, abs=0.1)


def test_intervals_of_bias_and_limits_repeat_the_published_example():
    agreement = bland_altman(LARGE_METER, MINI_METER)
    assert (agreement.bias.low, agreement.bias.high) == pytest.approx((-22.0, 17.8), abs=0.15)
    # -114.3 to -45.1 in the paper, about the limit at two SD and with a simpler standard error.
    assert (agreement.lower.low, agreement.lower.high) == pytest.approx(
        (-114.3 + 1.55, -45.1 + 1.55), abs=0.5
    )


def test_intraclass_correlations_repeat_the_published_example():
    assert icc_agreement(SHROUT_FLEISS).value == pytest.approx(0.29, abs=0.005)
    assert icc_consistency(SHROUT_FLEISS).value == pytest.approx(0.71, abs=0.005)


def test_intervals_of_the_intraclass_correlations_are_those_of_the_usual_software():
    # psych::ICC of R on the same table: ICC2 0.019 to 0.761, ICC3 0.342 to 0.946.
    agreement, consistency = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
    assert (agreement.low, agreement.high) == pytest.approx((0.019, 0.761), abs=0.001)
    assert (consistency.low, consistency.high) == pytest.approx((0.342, 0.946), abs=0.001)


def test_a_reader_who_always_adds_ten_is_consistent_but_does_not_agree():
    first = np.array([5.0, 12.0, 20.0, 31.0])
    table = np.stack([first, first + 10], axis=1)
    assert icc_consistency(table).value == pytest.approx(1.0)
    assert icc_agreement(table).value < 0.8


def test_concordance_is_correlation_times_closeness_to_the_line_of_identity():
    x, y = np.array(LARGE_METER, dtype=float), np.array(MINI_METER, dtype=float)
    closeness = 2 / (x.std() / y.std() + y.std() / x.std() + (x.mean() - y.mean()) ** 2 / (x.std() * y.std()))
    ccc = lin_concordance(x, y)
    assert ccc.value == pytest.approx(np.corrcoef(x, y)[0, 1] * closeness)
    assert 0.8 < ccc.low < ccc.value < ccc.high < 1.0


@given(st.lists(st.integers(0, 60), min_size=4, max_size=30, unique=True))
def test_a_reading_agrees_with_itself(values):
    assert lin_concordance(values, values).value == pytest.approx(1.0)
    assert bland_altman(values, values).upper.value == 0.0
    assert pearson(values, values).value == pytest.approx(1.0)


def test_pearson_and_its_interval_are_those_of_scipy():
    expected = stats.pearsonr(LARGE_METER, MINI_METER)
    interval = expected.confidence_interval()
    r = pearson(LARGE_METER, MINI_METER)
    assert (r.value, r.low, r.high) == pytest.approx((expected.statistic, interval.low, interval.high))


@pytest.mark.parametrize("figure", [pearson, bland_altman, lin_concordance])
def test_two_pairs_say_nothing_about_agreement(figure):
    assert figure([1, 2], [1, 3]) is None


def test_constant_readings_have_no_correlation():
    assert pearson([1, 2, 3, 4], [5, 5, 5, 5]) is None
    assert icc_agreement(np.full((4, 2), 7.0)) is None


def test_errors_follow_equations_six_to_eight():
    measured, true = [10.0, 22.0, 35.0], [12.0, 20.0, 40.0]
    assert mean_absolute_error(measured, true) == pytest.approx(3.0)
    assert mean_squared_error(measured, true) == pytest.approx(11.0)
    assert root_mean_squared_error(measured, true) == pytest.approx(np.sqrt(11.0))


def test_no_pairs_have_no_error():
    with pytest.raises(ValueError, match="at least one pair"):
        mean_absolute_error([], [])


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        mean_absolute_error([1.0], [1.0, 2.0])


def test_gaps_in_readings_are_refused():
    with pytest.raises(ValueError, match="without gaps"):
        icc_agreement([[1.0, np.nan], [2.0, 2.0], [3.0, 3.0]])


def test_the_area_under_the_curve_counts_ties_half():
    assert auroc([1, 2, 3, 4], [False, False, True, True]) == 1.0
    assert auroc([1, 1], [False, True]) == 0.5
    assert auroc([1, 2], [True, True]) is None
