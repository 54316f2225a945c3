"""The scores of a test as run.json has them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import metrics
from benchmark.evaluation.outputs import MEAN
from benchmark.evaluation.per_image import ScoreTable
from benchmark.results.records import (
    Score,
    SeveralSamples,
)
from benchmark.statistics import Interval, mean_interval


def summarize(
    measured: ScoreTable, samples: int, options: metrics.Options
) -> tuple[dict[str, Score], SeveralSamples | None]:
    """The scores of the first sample; and, of several, those of their mean and of the best."""
    rows = metrics.table(options)
    each = [measured.of_sample(sample) for sample in range(samples)]

    def of_first(metric: metrics.Metric) -> Score:
        if metric.key in measured.sets:
            return _score(metric, *measured.sets[metric.key], n=len(each[0]))
        if metric.between_samples and metric.key in measured.table:
            return _of_images(
                metric, np.mean([part[metric.key].to_numpy(np.float64) for part in each], axis=0)
            )
        return _of_column(metric, each[0], measured.missing)

    scores = {key: of_first(metric) for key, metric in rows.items()}
    if samples == 1:
        return scores, None
    ranked = [row for row in rows.values() if row.per_image]
    mean = measured.of_sample(MEAN)
    best = each[0].copy()
    for metric in ranked:
        if metric.key in best and metric.direction != "none":
            choose = np.maximum.reduce if metric.direction == "up" else np.minimum.reduce
            best[metric.key] = choose([part[metric.key].to_numpy(np.float64) for part in each])
    return scores, SeveralSamples(
        count=samples,
        mean={row.key: _of_column(row, mean, measured.missing) for row in ranked},
        best={
            row.key: _of_column(row, best, measured.missing)
            for row in ranked
            if row.direction != "none"
        },
    )


def _of_column(metric: metrics.Metric, table: pd.DataFrame, missing: Mapping[str, str]) -> Score:
    if metric.key not in table:
        return _score(metric, n=0, reason=missing[metric.key])
    return _of_images(metric, table[metric.key].to_numpy(np.float64))


def _of_images(metric: metrics.Metric, values: NDArray[np.float64]) -> Score:
    """The entry of run.json of one value an image."""
    n = len(values)
    if np.isnan(values).any():
        raise ValueError(f"{metric.key} of image {int(np.isnan(values).argmax())} is not a number")
    if not np.isfinite(values).all():
        reason = "infinite for an image that equals the truth"
        return _score(metric, n=n, reason=reason)
    std = float(values.std(ddof=1)) if n > 1 else None
    return _score(metric, std=std, n=n, interval=mean_interval(values.tolist()))


def _score(
    metric: metrics.Metric,
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
