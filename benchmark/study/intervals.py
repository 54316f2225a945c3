"""Intervals of what participants answered, over the choice of participants and of images.

The answers of one participant depend on each other, and so do those on one image. Both are taken
into account (Cameron, Gelbach and Miller 2011, two-way clustering); an interval that took all
answers for independent would be too narrow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmark.statistics import LEVEL


def variances(
    influence: NDArray[np.float64], participants: Sequence[Any], images: Sequence[Any]
) -> NDArray[np.float64]:
    """Return the variances of k estimates from the influence of each answer, (n, k) → (k,).

    influence: by how much each answer moves each estimate. participants, images: whose each answer
    is, and on what. The variance is V_participants + V_images - V_answers, and at least each of the
    three, since in few answers the difference can be too small by chance.
    """
    of_participants = _clustered(influence, participants)
    of_images = _clustered(influence, images)
    of_answers = _clustered(influence, range(len(influence)))
    both = of_participants + of_images - of_answers
    found: NDArray[np.float64] = np.max([of_participants, of_images, of_answers, both], axis=0)
    return found


def _clustered(influence: NDArray[np.float64], clusters: Sequence[Any]) -> NDArray[np.float64]:
    """The sum of the squared sums of clusters, times G / (G - 1) for G clusters: (n, k) → (k,)."""
    indices = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(indices), influence.shape[1]))
    np.add.at(sums, [indices[cluster] for cluster in clusters], influence)
    count = len(indices)
    found: NDArray[np.float64] = (sums**2).sum(axis=0) * (count / max(count - 1, 1))
    return found


def quantile(participants: Sequence[Any], images: Sequence[Any]) -> float | None:
    """Return the number of standard errors to each end of an interval; None without an interval.

    It is Student's, with one degree of freedom less than there are participants or images, so that
    few participants give a wide interval and a single one none.
    """
    freedom = min(len(set(participants)), len(set(images))) - 1
    return float(student.ppf((1 + LEVEL) / 2, freedom)) if freedom > 0 else None


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share of n independent answers (Wilson 1927).

    It stays in [0, 1] and has a width where the share is 0 or 1.
    """
    square = quantile**2 / n
    center = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * np.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, float(center - half)), min(1.0, float(center + half))
