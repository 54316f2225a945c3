"""The metrics of sets: KID and FID against torch-fidelity, and the ab divergence."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd as reference_mmd

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.metrics.histogram import ab_divergence
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.score import in_batches, score
from benchmark.metrics.sets import (
    Features,
    Undefined,
    frechet_distance,
    kernel_distance,
    kernel_mmd,
)
from benchmark.metrics.table import MetricSuite
from tests.metric_support import Coarse, random_pair, scored


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


# ---- FID -----------------------------------------------------------------------------------------


def paired(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw features (n, d) of outputs and of their truths, which depend on each other."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(n, d, generator=generator) @ torch.randn(d, d, generator=generator)
    return truth + 2 * torch.randn(n, d, generator=generator) + 0.3, truth


@pytest.mark.parametrize(("n", "d"), [(500, 16), (40, 64)])  # the second one is singular
def test_the_frechet_distance_equals_torch_fidelitys(n: int, d: int) -> None:
    output, truth = paired(n, d)
    statistics = [fid_features_to_statistics(x) for x in (output, truth)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(output, truth).value == pytest.approx(expected, rel=1e-5, abs=1e-3)


def test_the_frechet_distance_does_not_depend_on_the_parts_or_the_order_of_images() -> None:
    output, truth = paired(300, 8)
    whole, parts = frechet_distance(output, truth), (Features(), Features())
    order = torch.randperm(300)
    for rows in torch.split(order, 37):
        parts[0].append(output[rows])
        parts[1].append(truth[rows])
    found = frechet_distance(*parts)
    np.testing.assert_allclose(found[:1] + found[2:], whole[:1] + whole[2:], rtol=1e-9)
    assert frechet_distance(truth, truth).value == pytest.approx(0, abs=1e-6)
    with pytest.raises(Undefined, match="at least 2"):
        frechet_distance(output[:1], truth[:1])


def test_the_interval_of_the_frechet_distance_is_as_wide_as_that_of_a_bootstrap() -> None:
    output, truth = paired(400, 6)
    found = frechet_distance(output, truth)
    assert found.low is not None
    assert found.high is not None
    drawn = [torch.randint(400, (400,)) for _ in range(300)]
    values = [frechet_distance(output[rows], truth[rows]).value for rows in drawn]
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.std(values), rel=0.15)


def test_a_covariance_of_as_many_images_as_features_is_singular() -> None:
    d = 64
    for n in (d - 1, d, d + 1):
        _, covariance = Features.of(features(3, n, d).double()).moments()
        assert int(torch.linalg.matrix_rank(covariance, hermitian=True)) == min(n - 1, d)


def test_metrics_of_one_source_share_its_features() -> None:
    calls: list[int] = []

    class Counting(Coarse):
        def forward(self, rgb8: Tensor) -> Tensor:
            calls.append(len(rgb8))
            return super().forward(rgb8)

    pair = random_pair(3, n=6)
    suite = MetricSuite(MetricOptions(fid="on"), networks={"kid": Counting()})
    found = score(in_batches(zip(*pair, strict=True)), suite).per_set
    assert sum(calls) == 12
    features = [Coarse()(rgb8) for rgb8 in pair]
    assert found["fid"].value == pytest.approx(frechet_distance(*features).value, rel=1e-4)
    assert found["kid"].value == kernel_distance(*features).value
