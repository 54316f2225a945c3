"""What the answers say of each model: the share of pairs in which it was chosen, and its strength.

For the question `real` the share is the fooling rate of Zhang et al. 2016, "Colorful Image
Colorization": how often an output was taken for the real photo. For `better` it is the preference
rate, and the strengths are those of Bradley and Terry 1952.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from benchmark.results.study import Rate, Strength
from benchmark.study.intervals import quantile, variances, wilson

STEPS, TOLERANCE = 10_000, 1e-10
"""The most steps of the fit of strengths, and the change at which it ends."""


@dataclass(frozen=True)
class Judgment:
    """One answer: of the two, the winner was chosen. Models by index; None is the true photo."""

    participant: str
    image: str
    winner: int | None
    loser: int | None


def about(model: int, judgments: Sequence[Judgment]) -> list[Judgment]:
    """The answers to pairs of a model."""
    return [one for one in judgments if model in (one.winner, one.loser)]


def rate_of(model: int, judgments: Sequence[Judgment]) -> Rate:
    """Return the share of a model's pairs, at least one, in which it was chosen.

    The interval is Wilson's, for the number of independent answers that would have the variance of
    these. It has a width also where the share is 0 or 1, at which a bootstrap would give none.
    """
    chosen = np.array([one.winner == model for one in judgments], dtype=np.float64)
    share, n = float(chosen.mean()), len(judgments)
    participants = [one.participant for one in judgments]
    images = [one.image for one in judgments]
    width = quantile(participants, images)
    if width is None:
        return Rate(value=share, low=None, high=None)
    independent = share * (1 - share) / n
    variance = float(variances((chosen - share)[:, None] / n, participants, images)[0])
    effective = n * independent / variance if variance > 0 else float(n)
    low, high = wilson(share, effective, width)
    return Rate(value=share, low=low, high=high)


# ---- Bradley and Terry ---------------------------------------------------------------------------


def strengths_of(n_models: int, judgments: Sequence[Judgment]) -> list[Strength] | None:
    """Return the Bradley-Terry strength of each model: P(i beats j) = 1 / (1 + exp(s_j - s_i)).

    judgments: only between models. None if a group of models won or lost all pairs with the others,
    which leaves their strengths without bounds (Ford 1957).
    """
    pairs = [(one.winner, one.loser) for one in judgments]
    wins = np.zeros((n_models, n_models))
    for winner, loser in pairs:
        wins[winner, loser] += 1
    if connected_components(wins > 0, connection="strong")[0] > 1:
        return None
    strengths = _fit(wins)
    wide = quantile([one.participant for one in judgments], [one.image for one in judgments])
    errors = np.sqrt(_variances(strengths, wins, judgments)) if wide is not None else None
    found = []
    for index, value in enumerate(strengths):
        low = high = None
        if errors is not None and wide is not None:
            low, high = (float(value + sign * wide * errors[index]) for sign in (-1, 1))
        found.append(Strength(value=float(value), low=low, high=high))
    return found


def _fit(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """The strengths of the greatest likelihood, mean 0, by Hunter's iteration (2004, eq. 3)."""
    games, won = wins + wins.T, wins.sum(axis=1)
    odds = np.ones(len(wins))
    for _ in range(STEPS):
        new = won / (games / (odds[:, None] + odds)).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / odds)).max() < TOLERANCE:
            return np.log(new)
        odds = new
    return np.log(odds)


def _variances(
    strengths: NDArray[np.float64], wins: NDArray[np.float64], judgments: Sequence[Judgment]
) -> NDArray[np.float64]:
    """The variances of the strengths, (M,): the inverse information takes scores to influences."""
    expected = 1 / (1 + np.exp(strengths - strengths[:, None]))  # [i, j]: P(i beats j)
    weights = (wins + wins.T) * expected * expected.T
    information = np.diag(weights.sum(axis=1)) - weights
    scores = np.zeros((len(judgments), len(strengths)))
    for row, one in enumerate(judgments):
        surprise = 1 - expected[one.winner, one.loser]
        scores[row, one.winner], scores[row, one.loser] = surprise, -surprise
    influence = scores @ np.linalg.pinv(information, hermitian=True)
    return variances(
        influence, [one.participant for one in judgments], [one.image for one in judgments]
    )
