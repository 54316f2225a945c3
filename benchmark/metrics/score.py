"""Score written images against their truths."""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit
from benchmark.metrics.images import ImagePair
from benchmark.metrics.sets import InceptionMetric, SetScore, TruthFeatures, Undefined
from benchmark.metrics.table import Metric, MetricSuite
from benchmark.metrics.truths import TruthPart, TruthStore


@dataclass(frozen=True)
class Scores:
    """The values of metrics by key: one an image, in order, and one a set.

    n: the number of images. unavailable: why a metric has no value, by key.
    """

    n: int
    per_image: dict[str, list[float]]
    per_set: dict[str, SetScore]
    unavailable: dict[str, str]


class Measured(NamedTuple):
    """What was measured of a batch: the number of its images, their values by metric, and for each
    source of set metrics the features of outputs and of truths."""

    n: int
    columns: dict[str, list[float]]
    features: dict[str, tuple[Tensor, Tensor]]


def score(
    batches: Iterable[tuple[Tensor, Tensor]],
    suite: MetricSuite = MetricSuite(),
    keys: Container[str] | None = None,
) -> Scores:
    """Measure written images: batches of (output, truth), uint8 (B, 3, H, W).

    keys: the metrics to measure; all that compare an output with its truth by default.
    The 8-bit images are scored, since they are what anyone else can score again. There are never
    more batches at once than threads and two more, so memory does not depend on their number (KID
    alone keeps the features of all). Raises ValueError if there is no image.
    """
    return combine(measure(batches, suite, keys), suite, keys)


def measure(
    batches: Iterable[tuple[Tensor, Tensor]],
    suite: MetricSuite,
    keys: Container[str] | None,
    truths: TruthPart | None = None,
) -> Iterator[Measured]:
    """Measure each batch alone, in order; the parameters are those of `score`.

    truths: what is known of the truths of all batches, or is to be kept of them.
    """
    rows, _ = _measurable(suite, keys)
    networks = {key: suite.network_arguments(row) for key, row in rows.items()}
    measures = {key: row.measure for key, row in rows.items() if row.measure}
    gathered = [row.gather(*networks[key]) for key, row in rows.items() if row.gather]
    sources = {metric.source: metric for metric in gathered}
    of_truths = next((m.source for m in gathered if isinstance(m, InceptionMetric)), None)

    def numbered() -> Iterator[tuple[int, Tensor, Tensor]]:
        start = 0
        for output8, truth8 in batches:
            yield start, output8, truth8
            start += len(output8)

    @torch.no_grad()
    def measure_batch(batch: tuple[int, Tensor, Tensor]) -> Measured:
        start, output8, truth8 = batch
        pair = ImagePair.from_8bit(output8, truth8)
        pair.truth_features = truths.rows(start, len(output8)) if truths is not None else None
        columns = {key: measure(pair, *networks[key]).tolist() for key, measure in measures.items()}
        features = {source: metric.features(pair) for source, metric in sources.items()}
        return Measured(len(pair.output), columns, features)

    looked_at = []
    for measured in _map_on_threads(measure_batch, numbered()):
        if truths is not None and of_truths is not None:
            looked_at.append(measured.features[of_truths][1])
        yield measured
    if truths is not None:
        truths.keep(looked_at)


def combine(
    measured: Iterable[Measured],
    suite: MetricSuite,
    keys: Container[str] | None,
    truths: TruthStore | None = None,
) -> Scores:
    """Combine what `measure` yields into scores. Raises ValueError if there is no image.

    truths: where the moments of the truths' features are kept.
    """
    rows, unavailable = _measurable(suite, keys)
    values: dict[str, list[float]] = {key: [] for key, row in rows.items() if row.measure}
    gathered = {
        key: row.gather(*suite.network_arguments(row)) for key, row in rows.items() if row.gather
    }
    for metric in gathered.values():
        if truths is not None and isinstance(metric, InceptionMetric):
            metric.truths = TruthFeatures(truths)
    n = 0
    for batch in measured:
        n += batch.n
        for key, column in values.items():
            column += batch.columns[key]
        for metric in gathered.values():
            metric.update(*batch.features[metric.source])
    if not n:
        raise ValueError("there is no image to score")
    per_set = {}
    for key, metric in gathered.items():
        try:
            per_set[key] = metric.compute()
        except Undefined as reason:
            unavailable[key] = str(reason)
    return Scores(n, values, per_set, unavailable)


def _measurable(
    suite: MetricSuite, keys: Container[str] | None
) -> tuple[dict[str, Metric], dict[str, str]]:
    """The metrics that are asked for and can be measured, and why others cannot, by key."""
    rows = {
        key: row
        for key, row in suite.metrics.items()
        if not row.between_samples and (keys is None or key in keys)
    }
    unavailable = suite.reasons_without(rows)
    return {key: row for key, row in rows.items() if key not in unavailable}, unavailable


@torch.no_grad()
def score_samples(
    batches: Iterable[Tensor], suite: MetricSuite = MetricSuite()
) -> dict[str, list[list[float]]]:
    """Measure how far samples of one input are apart: batches of uint8 (K, B, 3, H, W), K ≥ 2.

    Returns a list for each image by metric: the mean distance of each of its K samples from the
    others. The mean of these is the mean over pairs.
    """
    rows = {key: row for key, row in suite.metrics.items() if row.between_samples}
    measures = {
        key: row.measure
        for key, row in rows.items()
        if row.measure and key not in suite.reasons_without(rows)
    }
    values: dict[str, list[list[float]]] = {key: [] for key in measures}
    for samples8 in batches:
        samples = rgb_from_8bit(samples8)
        count = len(samples)
        for key, measure in measures.items():
            network = suite.network_arguments(rows[key])
            distances = torch.zeros(samples.shape[:2])
            for i, j in combinations(range(count), 2):
                distance = measure(ImagePair(samples[i], samples[j]), *network).cpu()
                distances[i] += distance
                distances[j] += distance
            values[key] += (distances.T / (count - 1)).tolist()
    return values


Item = TypeVar("Item")
Result = TypeVar("Result")


def _map_on_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield function(item) of each item, in order, on as many threads as torch has.

    Each thread computes one item alone: small tensors gain little from being shared among threads
    (1.3 times as fast so, with two threads). Items are made while others are computed. They are
    passed in a list and popped, so that idle threads of the pool keep no reference.
    """

    def take(items: list[Item]) -> Result:
        return function(items.pop())

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            running: deque[Future[Result]] = deque()
            for item in items:
                if len(running) > threads:
                    yield running.popleft().result()
                running.append(pool.submit(take, [item]))
            while running:
                yield running.popleft().result()
    finally:
        torch.set_num_threads(threads)


PIXELS_AT_ONCE = 64 * 64**2
"""Pixels of a batch. Smaller batches spend more time in calls, larger ones leave the cache
(2.5 ms an image of 64×64 with 32 or 64 images, 2.8 with 16, 3.4 with 128)."""


def in_batches(
    pairs: Iterable[tuple[Tensor, Tensor]], most: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Single (output, truth), uint8 (3, H, W), → batches for `score`, those of one size together.

    most: images a batch; by default as many as PIXELS_AT_ONCE allows. ValueError for a pair of
    two shapes.
    """
    batch: list[tuple[Tensor, Tensor]] = []
    for output, truth in pairs:
        if output.shape != truth.shape:
            shapes = f"{tuple(output.shape)} and {tuple(truth.shape)}"
            raise ValueError(f"prediction and truth differ in shape: {shapes}")
        full = most or max(1, PIXELS_AT_ONCE // output[0].numel())
        if batch and (len(batch) == full or batch[0][0].shape != output.shape):
            yield _stack(batch)
            batch = []
        batch.append((output, truth))
    if batch:
        yield _stack(batch)


def _stack(batch: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    outputs, truths = zip(*batch, strict=True)
    return torch.stack(outputs), torch.stack(truths)
