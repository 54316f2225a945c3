"""metrics.py: every metric of the table can be computed with what it exports."""

import pytest
import torch

import metrics
from benchmark.metrics.images import ImagePair
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.sets import SetMetric
from benchmark.metrics.table import ALL_METRICS, MetricSuite
from tests.leaderboard_support import MeanDifference
from tests.metric_support import Coarse, float_pair, random_pair

NETWORKS = {"lpips": MeanDifference(), "kid": Coarse()}
SUITE = MetricSuite(MetricOptions(fid="on", chroma_matched="on"), NETWORKS)


def test_everything_it_names_exists_and_nothing_is_missing_in_its_list() -> None:
    assert sorted(metrics.__all__) == sorted(set(metrics.__all__))
    assert all(hasattr(metrics, name) for name in metrics.__all__)
    assert metrics.ALL_METRICS is ALL_METRICS


@pytest.mark.parametrize("key", [key for key, m in ALL_METRICS.items() if m.per_image])
def test_each_metric_of_an_image_is_a_function(key: str) -> None:
    pair = ImagePair(*float_pair(1))
    metric = SUITE.metrics[key]
    network = SUITE.network_arguments(metric)
    assert metric.measure is not None
    expected = metric.measure(pair, *network)
    output, function = pair.output, key
    if key == "lpips_matched":
        output, function = metrics.match_chroma(metrics.ImagePair(*float_pair(1))), "lpips"
    assert function in metrics.__all__
    truth = () if key == "colorfulness" else (pair.truth,)
    found = getattr(metrics, function)(output, *truth, *network)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("key", [key for key, metric in ALL_METRICS.items() if metric.gather])
def test_each_metric_of_a_set_is_a_class(key: str) -> None:
    metric = SUITE.metrics[key]
    assert metric.gather is not None
    made = metric.gather(*SUITE.network_arguments(metric))
    assert isinstance(made, SetMetric)
    assert getattr(metrics, type(made).__name__) is type(made)
    assert type(made).__name__ in metrics.__all__


@pytest.mark.parametrize("key", [key for key, m in ALL_METRICS.items() if m.between_samples])
def test_each_metric_between_samples_is_scored(key: str) -> None:
    samples = torch.stack(random_pair(2))
    assert key in metrics.score_samples([samples], SUITE)
