"""Lists are balanced: images, models and sides; and they are a function of the seed."""

import random
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.results.study import Question, Trial
from benchmark.study.design import Lengths, make_lists, pairs_of, round_robin

questions = st.sampled_from(["real", "better"])


def lists_of(
    question: Question, n_models: int, n_images: int, trials: int, repeats: int = 0, seed: int = 0
) -> list[dict[str, Trial]]:
    rng = random.Random(seed)
    names = [f"{number}.png" for number in range(n_images)]
    lengths = Lengths(n_images, trials, repeats)
    return make_lists(pairs_of(question, n_models, rng), names, lengths, rng)


@pytest.mark.parametrize("count", range(2, 10))
def test_a_round_robin_has_every_pair_once_and_every_thing_once_a_round(count: int) -> None:
    pairs = round_robin(count)
    assert sorted(map(sorted, pairs)) == [list(pair) for pair in combinations(range(count), 2)]
    size = count // 2
    for start in range(0, len(pairs), size):
        things = [thing for pair in pairs[start : start + size] for thing in pair]
        assert len(set(things)) == len(things)


@given(questions, st.integers(2, 6), st.integers(1, 30), st.data())
def test_every_list_has_each_image_once_and_all_lists_have_every_pair_of_every_image(
    question: Question, n_models: int, n_images: int, data: st.DataObject
) -> None:
    trials = data.draw(st.integers(1, n_images))
    lists = lists_of(question, n_models, n_images, trials, seed=data.draw(st.integers(0, 9)))
    for one in lists:
        assert len({trial.image for trial in one.values()}) == len(one) == trials
    seen = {
        (trial.image, frozenset((trial.left, trial.right)))
        for one in lists
        for trial in one.values()
    }
    n_pairs = n_models if question == "real" else n_models * (n_models - 1) // 2
    assert len(seen) == n_images * n_pairs
    ids = [trial_id for one in lists for trial_id in one]
    assert len(set(ids)) == len(ids)


@given(questions, st.integers(2, 6), st.integers(6, 40), st.integers(0, 9))
def test_models_occur_about_equally_often_and_about_equally_often_on_each_side(
    question: Question, n_models: int, n_images: int, seed: int
) -> None:
    lists = lists_of(question, n_models, n_images, n_images, seed=seed)
    for one in lists:
        counts = Counter(side for trial in one.values() for side in (trial.left, trial.right))
        of_models = [counts[model] for model in range(n_models)]
        # A list may begin and end within a round of pairs.
        assert max(of_models) - min(of_models) <= (1 if question == "real" else 3)
    left = Counter(trial.left for one in lists for trial in one.values())
    right = Counter(trial.right for one in lists for trial in one.values())
    assert len({left[model] + right[model] for model in range(n_models)}) == 1
    for model in {*left, *right}:
        assert abs(left[model] - right[model]) <= 2


def test_sides_and_order_are_random_but_those_of_the_seed() -> None:
    first, again, other = (lists_of("real", 2, 40, 40, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert list(map(list, first)) == list(map(list, again))
    assert first != other
    sides = [trial.left is None for trial in first[0].values()]
    runs = sum(before != after for before, after in pairwise(sides))
    assert 8 < runs < 32  # neither all alike nor alternating


def test_repeated_pairs_come_last_with_their_sides_swapped() -> None:
    for one in lists_of("better", 3, 12, 12, repeats=4):
        trials = list(one.values())
        assert [trial.repeats is not None for trial in trials] == [False] * 12 + [True] * 4
        for again in trials[12:]:
            assert again.repeats is not None
            first = one[again.repeats]
            assert (again.image, again.left, again.right) == (first.image, first.right, first.left)
            assert list(one).index(again.repeats) < 6
    assert len({trial.repeats for trial in trials[12:]}) == 4
