"""Confidence intervals of means over images, and ranks by significant differences."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

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


def ranks(values: NDArray[np.float64], higher_is_better: bool) -> list[int]:
    """Return for each row of values (R, N) its rank: 1 + the number of significantly better rows.

    So all rows that are not significantly worse than another one have rank 1.
    """
    low, high = paired_differences(values)
    worse = high < 0 if higher_is_better else low > 0  # whether row i is worse than row j
    return (1 + worse.sum(axis=1)).tolist()


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
