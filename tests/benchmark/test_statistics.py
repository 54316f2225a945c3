"""Intervals cover what they say, and pairs say more than two intervals."""

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics import (
    Interval,
    mean_interval,
    paired_differences,
    ranks,
    resampled_sums,
)


def test_the_interval_covers_the_true_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    trials = 300
    covered = 0
    for _ in range(trials):  # skewed, as per-image errors are
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
    difficulty = rng.normal(10, 3, 64)  # of the images, for both alike
    first = difficulty + rng.normal(0, 0.3, 64)
    second = difficulty + 0.5 + rng.normal(0, 0.3, 64)
    alone, other = mean_interval(first.tolist()), mean_interval(second.tolist())
    assert alone.high is not None
    assert other.low is not None
    assert alone.high > other.low  # they overlap
    low, high = paired_differences(np.stack([first, second]))
    assert high[0, 1] < 0 < low[1, 0]
    assert ranks(np.stack([first, second]), higher_is_better=False) == [1, 2]
    assert ranks(np.stack([first, second]), higher_is_better=True) == [2, 1]


def test_paired_intervals_are_those_of_the_differences() -> None:
    """Against SciPy's bootstrap of the differences themselves."""
    rng = np.random.default_rng(5)
    values = rng.gamma(4, 1, (3, 80))
    low, high = paired_differences(values)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        _, expected_low, expected_high = mean_interval((values[i] - values[j]).tolist())
        assert (low[i, j], high[i, j]) == pytest.approx((expected_low, expected_high), abs=0.1)
        assert (low[i, j], high[i, j]) == pytest.approx((-high[j, i], -low[j, i]))


def test_a_constant_shift_is_exact_and_equals_are_ties() -> None:
    values = np.random.default_rng(4).normal(size=40)
    low, high = paired_differences(np.stack([values + 2, values, values]))
    assert (low[0, 1], high[0, 1]) == pytest.approx((2, 2))
    assert (low[1, 2], high[1, 2]) == (0, 0)
    assert ranks(np.stack([values + 2, values, values]), higher_is_better=False) == [3, 1, 1]


def test_a_rank_counts_only_those_that_are_surely_better() -> None:
    """The middle row can be told from neither; the outer two from each other."""
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, (3, 50))
    noise -= noise.mean(axis=1, keepdims=True)
    values = noise + np.array([[0.0], [0.3], [0.6]])
    assert ranks(values, higher_is_better=False) == [1, 1, 2]
    assert ranks(values[::-1], higher_is_better=False) == [2, 1, 1]
    assert ranks(values, higher_is_better=True) == [2, 1, 1]


def test_resampled_sums_spread_as_the_mean_does_and_keep_images_whole() -> None:
    values = np.random.default_rng(5).gamma(4, 1, 60)
    sums = resampled_sums(np.stack([values, 2 * values, np.ones(60)], axis=-1))
    _, low, high = mean_interval(values.tolist())
    limits = np.quantile(sums[:, 0] / 60, [0.025, 0.975])
    assert limits.tolist() == pytest.approx([low, high], abs=0.05)
    np.testing.assert_allclose(sums[:, 1], 2 * sums[:, 0])
    np.testing.assert_array_equal(sums[:, 2], 60)
