"""The table of metrics: their descriptions, and what the options change in them."""

import pytest

from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import ALL_METRICS, MetricSuite


@pytest.mark.parametrize(
    "options",
    [
        MetricOptions(),
        MetricOptions("squeeze", "absolute"),
        MetricOptions(fid="on"),
        MetricOptions(chroma_matched="on"),
        MetricOptions("squeeze", "absolute", "on", "on"),
    ],
    ids=str,
)
def test_the_table_describes_every_metric(options: MetricOptions) -> None:
    suite = MetricSuite(options)
    described = suite.describe()
    assert MetricOptions(**described.pop("options")) == options
    assert list(described) == list(suite.metrics)
    assert [key for key in ALL_METRICS if key in suite.metrics] == list(suite.metrics)
    for key, metric in suite.metrics.items():
        assert metric.key == key
        assert all((metric.label, metric.compares, metric.parameters, metric.source))
        assert metric.label in described[key]
        assert (metric.measure is None) != (metric.gather is None)
    assert {metric.network for metric in suite.metrics.values()} == {None, "lpips", "kid"}


def test_options_appear_in_labels_and_descriptions() -> None:
    default = MetricSuite().describe()
    for options, keys, word in (
        (MetricOptions(lpips_backbone="squeeze"), {"lpips", "diversity_lpips"}, "squeeze"),
        (MetricOptions(colorfulness="absolute"), {"colorfulness", "colorfulness_gap"}, "|R-G|"),
    ):
        suite = MetricSuite(options)
        described = suite.describe()
        changed = {key for key in described if described[key] != default[key]}
        assert changed == {"options", *keys}
        assert all(word in suite.metrics[key].label for key in keys)
