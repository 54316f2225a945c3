"""Rates and strengths: their intervals cover what simulated participants prefer."""

import numpy as np
import pytest

from benchmark.results.study import Rate
from benchmark.study.intervals import wilson
from benchmark.study.rates import Judgment, about, rate_of, strengths_of


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def simulate(
    rng: np.random.Generator, participants: int, images: int, odds: float, spread: float
) -> list[Judgment]:
    """Answers about one model; spread: the deviation of log odds over participants and images."""
    of_participant, of_image = rng.normal(0, spread, participants), rng.normal(0, spread, images)
    found = []
    for person in range(participants):
        for image in range(images):
            fooled = rng.random() < sigmoid(odds + of_participant[person] + of_image[image])
            sides = (0, None) if fooled else (None, 0)
            found.append(Judgment(str(person), str(image), *sides))
    return found


@pytest.mark.parametrize(
    ("odds", "spread", "participants"), [(-0.8, 0.0, 12), (-0.8, 0.8, 12), (-2.5, 0.8, 20)]
)
def test_the_interval_covers_the_rate_of_all_people_and_images(
    odds: float, spread: float, participants: int
) -> None:
    """Also where the answers of a participant, and those on an image, depend on each other."""
    rng = np.random.default_rng(0)
    draws = odds + spread * np.sqrt(2) * rng.normal(size=100_000)
    true = float(np.mean(1 / (1 + np.exp(-draws))))
    covered = 0
    for _ in range(150):
        rate = rate_of(0, simulate(rng, participants, 24, odds, spread))
        assert rate.low is not None
        assert rate.high is not None
        covered += rate.low <= true <= rate.high
    assert covered / 150 >= 0.91


def test_an_interval_of_independent_answers_would_be_too_narrow() -> None:
    rng = np.random.default_rng(1)
    judgments = simulate(rng, 10, 40, 0.0, 1.5)
    rate = rate_of(0, judgments)
    assert rate.low is not None
    assert rate.high is not None
    low, high = wilson(rate.value, len(judgments), 1.96)
    assert rate.high - rate.low > 2 * (high - low)


def test_a_rate_of_0_or_1_has_an_interval_and_a_single_participant_has_none() -> None:
    judgments = [Judgment(str(p), str(i), None, 0) for p in range(6) for i in range(10)]
    assert about(0, judgments) == judgments
    assert about(1, judgments) == []
    rate = rate_of(0, judgments)
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high is not None
    assert 0.02 < rate.high < 0.2
    assert rate_of(0, judgments[:10]) == Rate(value=0, low=None, high=None)


def test_wilsons_interval_is_that_of_scipy() -> None:
    from scipy.stats import binomtest

    for chosen in (0, 3, 10):
        expected = binomtest(chosen, 10).proportion_ci(0.95, method="wilson")
        found = wilson(chosen / 10, 10, 1.959964)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-6)


# ---- Bradley and Terry ---------------------------------------------------------------------------

TRUE = np.array([-1.0, -0.2, 0.2, 1.0])


def contests(rng: np.random.Generator, participants: int = 15) -> list[Judgment]:
    found = []
    for person in range(participants):
        for image in range(24):
            first, second = rng.choice(4, 2, replace=False).tolist()
            wins = rng.random() < sigmoid(TRUE[first] - TRUE[second])
            sides = (first, second) if wins else (second, first)
            found.append(Judgment(str(person), str(image), *sides))
    return found


def test_the_intervals_cover_the_true_strengths() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(60):
        strengths = strengths_of(4, contests(rng))
        assert strengths is not None
        for one, true in zip(strengths, TRUE, strict=True):
            assert one.low is not None
            assert one.high is not None
            covered += one.low <= true <= one.high
    assert covered / 240 >= 0.92


def test_two_models_have_the_log_odds_of_their_wins() -> None:
    """With two models the strength is known in closed form: half the log odds."""
    judgments = [Judgment(str(i % 5), str(i), 0, 1) for i in range(30)]
    judgments += [Judgment(str(i % 5), str(i), 1, 0) for i in range(10)]
    strengths = strengths_of(2, judgments)
    assert strengths is not None
    assert [one.value for one in strengths] == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


def test_strengths_without_bounds_are_none() -> None:
    always = [Judgment(str(i % 5), str(i), 0, 1) for i in range(20)]
    assert strengths_of(2, always) is None
    apart = [Judgment("a", str(i), *sides) for i in range(4) for sides in ((0, 1), (1, 0))]
    assert strengths_of(3, apart) is None
    alone = strengths_of(2, apart)
    assert alone is not None
    assert [(one.low, one.high) for one in alone] == [(None, None)] * 2
    assert [one.value for one in alone] == pytest.approx([0, 0])
