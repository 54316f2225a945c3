"""How sure a mean over images is, and whether two models differ."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0  # the same interval each time the same values are looked at


class Interval(NamedTuple):
    """A mean and its 95 % percentile-bootstrap interval; None where there is only one value."""

    mean: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of one value an image, and how far it would move with other images."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Interval(float(array.mean()), None, None)
    if np.ptp(array) == 0:  # SciPy warns of degenerate data; there is nothing to resample
        return Interval(float(array[0]), float(array[0]), float(array[0]))
    result = bootstrap(
        (array,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        batch=100,  # so that memory does not grow with resamples times images
        rng=np.random.default_rng(SEED),
    )
    low, high = result.confidence_interval
    return Interval(float(array.mean()), float(low), float(high))


def paired_differences(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """The intervals of the mean difference of any two rows of values (R, N) on the same images.

    Returns low and high, (R, R) each, of row i - row j. Where the interval excludes 0 the two
    differ. Far sharper than comparing two intervals, since what makes an image hard for both
    cancels. N is at least 2.
    """
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    low, high = np.empty((2, len(values), len(values)))
    for i, row in enumerate(values):
        # Subtracted first: equal rows then differ by 0, not by the rounding of two sums.
        means = resampled_sums((row - values).T) / values.shape[1]
        low[i], high[i] = np.percentile(means, tails, axis=0)
    return low, high


def ranks(values: NDArray[np.float64], higher_is_better: bool) -> list[int]:
    """For each row of values (R, N): one more than the rows that are significantly better.

    So rows that no test tells apart share a rank, and the best rows all have rank 1.
    """
    low, high = paired_differences(values)
    worse = high < 0 if higher_is_better else low > 0  # row i than row j
    return (1 + worse.sum(axis=1)).tolist()


def resampled_sums(values: NDArray[Any]) -> NDArray[Any]:
    """Bootstrap of sums over images: (images, columns) → (RESAMPLES, columns).

    The same images are drawn for all columns, and each time it is called. What an image has
    several of, such as objects, is summed before: its whole is drawn, since they have much in
    common.
    """
    count = len(values)
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return times @ values
