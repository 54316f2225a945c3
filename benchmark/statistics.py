"""Confidence intervals of means over images, and ranks by significant differences."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, sem, t

Correction = Literal["none", "holm"]
"""How ranks allow for the number of pairs that are compared."""
RESAMPLES = 2000
DRAWS_AT_ONCE = 2**22
"""Draws that are kept in memory together; with fewer than 2,000 images all of them are."""
LEVEL = 0.95
SEED = 0  # fixed, so that the same values always have the same interval


class Interval(NamedTuple):
    """A mean and its 95 % percentile-bootstrap interval.

    mean: the mean. low, high: the ends of the interval, None if there is only one value.
    """

    mean: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one value per image, with its interval over the choice of images."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Interval(float(array.mean()), None, None)
    if np.ptp(array) == 0:  # SciPy would warn of degenerate data
        return Interval(float(array[0]), float(array[0]), float(array[0]))
    result = bootstrap(
        (array,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        batch=100,  # bounds the memory, which would be resamples × images
        rng=np.random.default_rng(SEED),
    )
    low, high = result.confidence_interval
    return Interval(float(array.mean()), float(low), float(high))


def paired_differences(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the intervals of the mean difference of every two rows of values (R, N).

    The rows are models, the columns N ≥ 2 images, the same for all. Returns low and high, (R, R)
    each, of row i - row j; two rows differ significantly where the interval excludes 0. This is far
    more sensitive than a comparison of two intervals, since the difficulty of an image cancels.
    """
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    low, high = np.empty((2, len(values), len(values)))
    for i, row in enumerate(values):
        # The rows are subtracted first, so that equal rows differ by exactly 0.
        means = resampled_sums((row - values).T) / values.shape[1]
        low[i], high[i] = np.percentile(means, tails, axis=0)
    return low, high


def ranks(
    values: NDArray[np.float64], higher_is_better: bool, correct: Correction = "none"
) -> list[int]:
    """Return for each row of values (R, N) its rank: 1 + the number of significantly better rows.

    So all rows that are not significantly worse than another one have rank 1. correct: `holm` asks
    of each pair that differs significantly alone that it also does among all pairs.
    """
    low, high = paired_differences(values)
    worse = high < 0 if higher_is_better else low > 0  # whether row i is worse than row j
    if correct == "holm" and len(values) > 1:
        worse &= _differ_after_holm(values)
    return (1 + worse.sum(axis=1)).tolist()


def _differ_after_holm(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pairs of rows differ in a paired t-test after Holm's correction, (R, R).

    A t-test, since p-values of a bootstrap are no smaller than 1 / RESAMPLES.
    """
    first, second = np.triu_indices(len(values), k=1)
    differences = values[first] - values[second]
    means, errors = differences.mean(axis=1), sem(differences, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal rows: 0 / 0
        p_values = np.nan_to_num(2 * t.sf(np.abs(means / errors), values.shape[1] - 1), nan=1.0)
    differ = np.zeros((len(values), len(values)), bool)
    differ[first, second] = holm(p_values)
    return differ | differ.T


def holm(p_values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of M hypotheses are rejected, the probability of any wrong rejection 1 - LEVEL.

    Holm 1979: from the smallest p-value on, the k-th (from 0) is compared with (1 - LEVEL) /
    (M - k), until the first that is larger.
    """
    order = np.argsort(p_values, kind="stable")
    limits = (1 - LEVEL) / np.arange(len(p_values), 0, -1)
    passed = np.logical_and.accumulate(p_values[order] <= limits)
    rejected = np.zeros(len(p_values), bool)
    rejected[order[passed]] = True
    return rejected


def resampled_sums(values: NDArray[Any]) -> NDArray[Any]:
    """Return bootstrap resamples of sums over images: (images, columns) → (RESAMPLES, columns).

    The same images are drawn for all columns and in every call. Where an image has several values,
    such as one for each object, a row holds their sum: whole images are drawn, since the values of
    one image depend on each other.
    """
    count = len(values)
    rng, shares = np.random.default_rng(SEED), np.full(count, 1 / count)
    at_once = min(RESAMPLES, max(1, DRAWS_AT_ONCE // count))
    return np.concatenate(
        [
            rng.multinomial(count, shares, min(at_once, RESAMPLES - start)) @ values
            for start in range(0, RESAMPLES, at_once)
        ]
    )
