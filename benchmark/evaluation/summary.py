"""The scores of a test as run.json has them: means, deviations and intervals over its images."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.evaluation.per_image import ScoreTable
from benchmark.metrics.sets import SetScore
from benchmark.metrics.table import Metric, MetricSuite
from benchmark.results.folders import MEAN
from benchmark.results.records import Score, SeveralSamples
from benchmark.statistics import Interval, mean_interval


def summarize(
    scores: ScoreTable, samples: int, suite: MetricSuite
) -> tuple[dict[str, Score], SeveralSamples | None]:
    """Summarize the scores of the first sample and, if several, of their mean and the best."""
    each = [scores.of_sample(sample) for sample in range(samples)]
    unavailable = scores.unavailable

    def of_first(metric: Metric) -> Score:
        if metric.key in scores.per_set:
            return _of_set(metric, scores.per_set[metric.key], len(each[0]))
        if metric.between_samples and metric.key in scores.table:
            columns = [part[metric.key].to_numpy(np.float64) for part in each]
            return _over_images(metric, np.mean(columns, axis=0))
        return _of_column(metric, each[0], unavailable)

    metrics = suite.metrics
    first = {key: of_first(metric) for key, metric in metrics.items()}
    if samples == 1:
        return first, None
    per_image = {key: metric for key, metric in metrics.items() if metric.per_image}
    ranked = {key: metric for key, metric in per_image.items() if metric.direction != "none"}
    mean = scores.of_sample(MEAN)
    best = each[0].copy()
    for key, metric in ranked.items():
        if key in best:
            choose = np.maximum.reduce if metric.direction == "up" else np.minimum.reduce
            best[key] = choose([part[key].to_numpy(np.float64) for part in each])
    return first, SeveralSamples(
        count=samples,
        mean={key: _of_column(metric, mean, unavailable) for key, metric in per_image.items()},
        best={key: _of_column(metric, best, unavailable) for key, metric in ranked.items()},
    )


def _of_column(metric: Metric, table: pd.DataFrame, unavailable: Mapping[str, str]) -> Score:
    if metric.key not in table:
        return _make_score(metric, n=0, reason=unavailable[metric.key])
    return _over_images(metric, table[metric.key].to_numpy(np.float64))


def _over_images(metric: Metric, values: NDArray[np.float64]) -> Score:
    """The score of a metric with one value an image. Raises ValueError for NaN."""
    n = len(values)
    if np.isnan(values).any():
        raise ValueError(f"{metric.key} of image {int(np.isnan(values).argmax())} is not a number")
    if not np.isfinite(values).all():
        return _make_score(metric, n=n, reason="infinite for an image that equals the truth")
    std = float(values.std(ddof=1)) if n > 1 else None
    return _make_score(metric, std=std, n=n, interval=mean_interval(values.tolist()))


def _of_set(metric: Metric, score: SetScore, n: int) -> Score:
    low_high = None if score.low is None else Interval(score.value, score.low, score.high)
    return _make_score(metric, score.value, score.deviation, n=n, interval=low_high)


def _make_score(
    metric: Metric,
    mean: float | None = None,
    std: float | None = None,
    *,
    n: int,
    interval: Interval | None = None,
    reason: str | None = None,
) -> Score:
    mean, low, high = interval or (mean, None, None)
    return Score(
        label=metric.label,
        unit=metric.unit,
        direction=metric.direction,
        mean=mean,
        std=std,
        low=low,
        high=high,
        n=n,
        reason=reason,
    )
