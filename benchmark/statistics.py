"""How sure a mean over pictures is, and whether two models differ."""

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
    """The mean of one value a picture, and how far it would move with other pictures."""
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
        rng=np.random.default_rng(SEED),
    )
    low, high = result.confidence_interval
    return Interval(float(array.mean()), float(low), float(high))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """The mean of first - second on the same pictures, and its interval.

    Where the interval excludes 0 the two differ. Far sharper than comparing two intervals, since
    what makes a picture hard for both cancels.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values are not pairs")
    return mean_interval(np.subtract(first, second).tolist())


def resampled_sums(values: NDArray[Any]) -> NDArray[Any]:
    """Bootstrap of sums over pictures: (pictures, columns) → (RESAMPLES, columns).

    For what is no mean of one value a picture, such as a share of objects, of which a picture has
    several: their whole pictures are drawn with replacement, since they have much in common.
    """
    count = len(values)
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return times @ values
