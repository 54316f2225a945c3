"""Intervals cover what they say, and pairs say more than two intervals."""

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics import Interval, mean_interval, paired_difference, resampled_sums


def test_the_interval_covers_the_true_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    trials = 300
    covered = 0
    for _ in range(trials):  # skewed, as per-picture errors are
        _, low, high = mean_interval(rng.gamma(4, 1, 60).tolist())
        assert low is not None
        assert high is not None
        covered += low <= 4 <= high
    assert 0.91 < covered / trials < 0.98


def test_the_interval_is_near_students_for_many_values() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    mean, low, high = mean_interval(values.tolist())
    expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected, abs=0.02)


def test_the_same_values_have_the_same_interval_whatever_was_drawn_before() -> None:
    values = np.random.default_rng(2).normal(size=30).tolist()
    first = mean_interval(values)
    np.random.default_rng().normal()
    assert mean_interval(values) == first


def test_constant_values_have_no_width() -> None:
    assert mean_interval([0.3] * 20) == Interval(0.3, 0.3, 0.3)


def test_a_single_value_has_no_interval() -> None:
    assert mean_interval([0.3]) == Interval(0.3, None, None)


def test_pairs_tell_apart_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.normal(10, 3, 64)  # of the pictures, for both alike
    first = difficulty + rng.normal(0, 0.3, 64)
    second = difficulty + 0.5 + rng.normal(0, 0.3, 64)
    alone, other = mean_interval(first.tolist()), mean_interval(second.tolist())
    assert alone.high is not None
    assert other.low is not None
    assert alone.high > other.low  # they overlap
    difference = paired_difference(first.tolist(), second.tolist())
    assert difference.mean == pytest.approx(float(np.mean(first - second)))
    assert difference.high is not None
    assert difference.high < 0


def test_pairs_are_symmetric_up_to_sign_and_exact_for_a_constant_shift() -> None:
    values = np.random.default_rng(4).normal(size=40)
    shifted = paired_difference((values + 2).tolist(), values.tolist())
    assert tuple(shifted) == pytest.approx((2, 2, 2))
    assert paired_difference(values.tolist(), values.tolist()) == Interval(0, 0, 0)


def test_values_that_are_not_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 2"):
        paired_difference([1, 2, 3], [1, 2])


def test_resampled_sums_spread_as_the_mean_does_and_keep_pictures_whole() -> None:
    values = np.random.default_rng(5).gamma(4, 1, 60)
    sums = resampled_sums(np.stack([values, 2 * values, np.ones(60)], axis=-1))
    _, low, high = mean_interval(values.tolist())
    limits = np.quantile(sums[:, 0] / 60, [0.025, 0.975])
    assert limits.tolist() == pytest.approx([low, high], abs=0.05)
    np.testing.assert_allclose(sums[:, 1], 2 * sums[:, 0])
    np.testing.assert_array_equal(sums[:, 2], 60)
