"""Random draws in training are a function of the seed and the step."""

import torch

from benchmark.randomness import Randomness, derive_seed

CPU = torch.device("cpu")


def test_randomness_is_a_function_of_seed_and_step() -> None:
    draws = [
        Randomness(seed, step, CPU).normal(4, 3) for seed, step in ((1, 2), (1, 2), (1, 3), (2, 2))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])
    assert len({derive_seed(a, b) for a in range(50) for b in range(50)}) == 2500


def test_seeds_of_file_names_are_the_same_in_every_version() -> None:
    """Names that are not UTF-8 have seeds too."""
    assert derive_seed(8000, "a/é.png", 0) == 9106987267912955472
    assert derive_seed(8000, "caf\udce9.png", 0) != derive_seed(8000, "caf\udce8.png", 0)
