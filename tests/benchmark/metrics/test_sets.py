"""The metrics of sets: the kernel distance against torch-fidelity, and the ab divergence."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_kid import kernel_mmd as reference_mmd

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.metrics.histogram import ab_divergence
from benchmark.metrics.sets import kernel_distance, kernel_mmd
from tests.metric_support import random_pair, scored


def features(seed: int, n: int, dimensions: int = 6) -> Tensor:
    return torch.randn(n, dimensions, generator=torch.Generator().manual_seed(seed))


def test_the_kernel_distance_of_two_sets_equals_torch_fidelitys() -> None:
    first, second = features(0, 40).exp(), features(1, 40).exp() + 0.3
    expected = float(reference_mmd(first.double().numpy(), second.double().numpy()))
    assert abs(expected) > 0.1
    assert float(kernel_mmd(first, second)) == pytest.approx(expected, rel=1e-4)


def test_the_kernel_distance_is_zero_on_average_for_one_distribution() -> None:
    """Also where each output equals its truth: equal pairs must not make two sets seem closer."""
    values = []
    for seed in range(60):
        truth, other = features(seed, 12), features(1000 + seed, 12)
        values.append([kernel_distance(x, truth).value for x in (other, truth)])
    mean, error = np.mean(values, axis=0), np.std(values, axis=0) / math.sqrt(len(values))
    assert (np.abs(mean) < 3 * error).all()
    assert (error < 0.1).all()


def test_the_kernel_distance_grows_with_the_shift_and_has_a_deviation() -> None:
    truth = features(0, 40)
    distances = [kernel_distance(truth + shift, truth) for shift in (0, 0.5, 1, 2)]
    assert sorted(distances) == distances
    assert all(distance.deviation for distance in distances)


def test_the_divergence_of_a_set_is_that_of_all_its_pixels() -> None:
    prediction, truth = random_pair(10, n=5)
    lab = [rgb_to_lab(rgb_from_8bit(part))[:, 1:] for part in (prediction, truth)]
    for batch_size in (1, 3, None):
        value = scored(prediction, truth, batch_size).per_set["ab_divergence"].value
        assert value == float(ab_divergence(*lab)) > 0
    assert scored(truth, truth).per_set["ab_divergence"].value == pytest.approx(0, abs=1e-6)


def test_a_kernel_distance_of_too_few_images_is_unavailable_with_the_reason() -> None:
    for n in (1, 3):
        scores = scored(*random_pair(9, n=n))
        assert scores.n == n
        assert scores.unavailable.keys() == {"kid", "lpips"}
        assert f"at least 4 images, and there are {n}" in scores.unavailable["kid"]
    assert "kid" in scored(*random_pair(9, n=4)).per_set
