"""Intervals have their stated coverage, and paired differences are more sensitive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark import statistics
from benchmark.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_differences,
    ranks,
    resampled_sums,
)


def test_the_interval_covers_the_true_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    trials = 300
    covered = 0
    for _ in range(trials):  # skewed values, like the errors of images
        _, low, high = mean_interval(rng.gamma(4, 1, 60).tolist())
        assert low is not None
        assert high is not None
        covered += low <= 4 <= high
    assert 0.91 < covered / trials < 0.98


def test_the_interval_of_many_values_is_close_to_students() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    mean, low, high = mean_interval(values.tolist())
    expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected, abs=0.02)


def test_the_same_values_always_have_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=30).tolist()
    first = mean_interval(values)
    np.random.default_rng().normal()
    assert mean_interval(values) == first


def test_the_interval_of_constant_values_has_no_width() -> None:
    assert mean_interval([0.3] * 20) == Interval(0.3, 0.3, 0.3)


def test_a_single_value_has_no_interval() -> None:
    assert mean_interval([0.3]) == Interval(0.3, None, None)


def test_paired_differences_are_significant_where_two_intervals_overlap() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.normal(10, 3, 64)  # one value per image, the same for both models
    first = difficulty + rng.normal(0, 0.3, 64)
    second = difficulty + 0.5 + rng.normal(0, 0.3, 64)
    first_interval, second_interval = mean_interval(first.tolist()), mean_interval(second.tolist())
    assert first_interval.high is not None
    assert second_interval.low is not None
    assert first_interval.high > second_interval.low  # they overlap
    low, high = paired_differences(np.stack([first, second]))
    assert high[0, 1] < 0 < low[1, 0]
    assert ranks(np.stack([first, second]), higher_is_better=False) == [1, 2]
    assert ranks(np.stack([first, second]), higher_is_better=True) == [2, 1]


def test_paired_intervals_are_those_of_the_differences() -> None:
    """The reference is SciPy's bootstrap of the differences."""
    rng = np.random.default_rng(5)
    values = rng.gamma(4, 1, (3, 80))
    low, high = paired_differences(values)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        _, expected_low, expected_high = mean_interval((values[i] - values[j]).tolist())
        assert (low[i, j], high[i, j]) == pytest.approx((expected_low, expected_high), abs=0.1)
        assert (low[i, j], high[i, j]) == pytest.approx((-high[j, i], -low[j, i]))


def test_a_constant_shift_has_an_exact_interval_and_equal_rows_share_a_rank() -> None:
    values = np.random.default_rng(4).normal(size=40)
    low, high = paired_differences(np.stack([values + 2, values, values]))
    assert (low[0, 1], high[0, 1]) == pytest.approx((2, 2))
    assert (low[1, 2], high[1, 2]) == (0, 0)
    assert ranks(np.stack([values + 2, values, values]), higher_is_better=False) == [3, 1, 1]


def test_a_rank_counts_only_significantly_better_rows() -> None:
    """Only the first and the last row differ significantly from each other."""
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, (3, 50))
    noise -= noise.mean(axis=1, keepdims=True)
    values = noise + np.array([[0.0], [0.3], [0.6]])
    assert ranks(values, higher_is_better=False) == [1, 1, 2]
    assert ranks(values[::-1], higher_is_better=False) == [2, 1, 1]
    assert ranks(values, higher_is_better=True) == [2, 1, 1]


def test_resampled_sums_have_the_spread_of_the_mean_and_keep_the_values_of_an_image_together() -> (
    None
):
    values = np.random.default_rng(5).gamma(4, 1, 60)
    sums = resampled_sums(np.stack([values, 2 * values, np.ones(60)], axis=-1))
    _, low, high = mean_interval(values.tolist())
    limits = np.quantile(sums[:, 0] / 60, [0.025, 0.975])
    assert limits.tolist() == pytest.approx([low, high], abs=0.05)
    np.testing.assert_allclose(sums[:, 1], 2 * sums[:, 0])
    np.testing.assert_array_equal(sums[:, 2], 60)


def test_resampling_in_parts_draws_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    whole = resampled_sums(values)
    monkeypatch.setattr(statistics, "DRAWS_AT_ONCE", 50 * 7)
    np.testing.assert_allclose(resampled_sums(values), whole, rtol=1e-12, atol=1e-12)


# ---- many pairs ----------------------------------------------------------------------------------


def test_holms_procedure_is_that_of_the_paper() -> None:
    """0.01 ≤ 0.05 / 4 and 0.013 ≤ 0.05 / 3, but 0.03 > 0.05 / 2, so 0.04 is not rejected either."""
    p_values = np.array([0.04, 0.01, 0.03, 0.013])
    assert holm(p_values).tolist() == [False, True, False, True]
    assert holm(np.array([0.04])).tolist() == [True]


@given(seed=st.integers(0, 1000), rows=st.integers(2, 6))
def test_a_correction_never_separates_what_was_tied(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 30)) + rng.normal(size=(rows, 1)) / 2
    plain, corrected = ranks(values, False), ranks(values, False, "holm")
    assert all(after <= before for before, after in zip(plain, corrected, strict=True))
    assert ranks(np.stack([values[0], values[0]]), False, "holm") == [1, 1]


def test_among_many_equal_rows_a_correction_seldom_finds_any_difference() -> None:
    rng = np.random.default_rng(1)
    found = [
        max(ranks(rng.normal(size=(8, 40)), False, correct)) > 1
        for correct in ("none", "holm")
        for _ in range(40)
    ]
    assert sum(found[:40]) > 15  # of 28 pairs
    assert sum(found[40:]) <= 6
