"""The pairs of a study, and who sees which: lists in which every image occurs once.

A participant who saw the same photo twice would know the one that stays the same. So each sees one
list, in which an image has one pair; over all lists, every image has every pair (a Latin square).
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.results.study import Question, Trial

Pair = tuple[int, int | None]
"""The indices of two models; None is the true photo."""


@dataclass(frozen=True)
class Lengths:
    """The numbers of pairs in a list. repeats: how many are shown again, with their sides swapped.

    images: how many test images the study has. trials: pairs of a list without the repeated ones.
    """

    images: int
    trials: int
    repeats: int


def pairs_of(question: Question, n_models: int, rng: random.Random) -> list[Pair]:
    """All pairs of a study, in an order in which every model occurs about equally often anywhere.

    `real`: each model with the truth. `better`: all pairs of models.
    """
    models = rng.sample(range(n_models), n_models)
    if question == "real":
        return [(model, None) for model in models]
    return [(models[first], models[second]) for first, second in round_robin(n_models)]


def round_robin(count: int) -> list[tuple[int, int]]:
    """All pairs of `count` things, round by round; in each round, each one occurs at most once.

    This is the circle method: the first one stays, and the others move by one place.
    """
    circle: list[int | None] = [*range(count), *([None] if count % 2 else [])]
    found = []
    for _ in range(len(circle) - 1):
        half = len(circle) // 2
        for first, second in zip(circle[:half], reversed(circle[half:]), strict=True):
            if first is not None and second is not None:
                found.append((first, second))
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return found


def make_lists(
    pairs: Sequence[Pair], images: Sequence[str], lengths: Lengths, rng: random.Random
) -> list[dict[str, Trial]]:
    """The lists of a study, id → trial in the order of showing. Ids are random.

    images: the names of the test images. If a list is shorter than these, the lists have different
    parts of them.
    """
    sides, taken = Sides(rng), set[str]()
    names = rng.sample(images, len(images))
    lists = []
    for start in range(0, len(names), lengths.trials):
        for shift in range(len(pairs)):
            places = range(lengths.trials)
            trials = [
                sides.place(
                    names[(start + place) % len(names)], pairs[(place + shift) % len(pairs)]
                )
                for place in places
            ]
            rng.shuffle(trials)
            shown = {_new_id(rng, taken): trial for trial in trials}
            lists.append(shown | _repeated(shown, lengths.repeats, rng, taken))
    return lists


def _repeated(
    shown: dict[str, Trial], count: int, rng: random.Random, taken: set[str]
) -> dict[str, Trial]:
    """Repeat some trials at the end, sides swapped; of the first half, unless that has too few."""
    candidates = list(shown)[: max(count, len(shown) // 2)]
    return {
        _new_id(rng, taken): Trial(
            image=shown[first].image,
            left=shown[first].right,
            right=shown[first].left,
            repeats=first,
        )
        for first in rng.sample(candidates, count)
    }


def _new_id(rng: random.Random, taken: set[str]) -> str:
    """An id of 8 hexadecimal digits that no other pair has."""
    while (found := rng.randbytes(4).hex()) in taken:
        pass
    taken.add(found)
    return found


class Sides:
    """The choice of sides: random, and each model and the truth is left about as often as right."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.excess = Counter[int | None]()  # how much more often on the left, by model

    def place(self, image: str, pair: Pair) -> Trial:
        """Return the trial of an image and a pair, with that on the left which was there less."""
        first: int | None = pair[0]
        second = pair[1]
        difference = self.excess[first] - self.excess[second]
        if difference > 0 or (difference == 0 and self.rng.random() < 0.5):
            first, second = second, first
        self.excess[first] += 1
        self.excess[second] -= 1
        return Trial(image=image, left=first, right=second)
