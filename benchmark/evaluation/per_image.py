"""Scoring a test: its table has a row for each image and sample, and metrics of sets go beside.

What an earlier test measured of the very same files is not measured again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmark.errors import UserError
from benchmark.evaluation.observer import Observer
from benchmark.evaluation.outputs import Outputs
from benchmark.evaluation.partial_scores import CHUNK, read_chunk, write_chunk
from benchmark.evaluation.recorded import IDENTITY, read_test, sample_names
from benchmark.files import sha256_of_json
from benchmark.metrics.score import Measured, combine, in_batches, measure, score_samples
from benchmark.metrics.sets import SetScore
from benchmark.metrics.table import MetricSuite
from benchmark.metrics.truths import TruthStore
from benchmark.results.folders import Sample, TestFolder
from benchmark.results.records import RunRecord

# ---- what was measured before --------------------------------------------------------------------


@dataclass(frozen=True)
class PreviousScores:
    """The record and the table of the test that was in a folder before."""

    record: RunRecord
    table: pd.DataFrame

    @classmethod
    def read(cls, folder: TestFolder) -> "PreviousScores | None":
        """The previous scores; None where there are none that can be read."""
        try:
            return cls(*read_test(folder))
        except UserError:
            return None

    @property
    def identity(self) -> pd.DataFrame:
        """The identity columns of the files that they are of."""
        return self.table[list(IDENTITY)]


def identify(outputs: Outputs, count: int) -> pd.DataFrame:
    """The identity columns of all samples' outputs. Raises UserError for a missing file."""
    files = outputs.inputs.files
    parts = [
        pd.DataFrame(
            {
                "file": [image.name for image in files],
                "sha256": [image.digest for image in files],
                "sample": str(sample),
                "output": [outputs.relative_path(row, sample) for row in range(len(files))],
                "output_sha256": outputs.hashes(sample),
            }
        )
        for sample in sample_names(count)
    ]
    return pd.concat(parts, ignore_index=True)


# ---- measuring -----------------------------------------------------------------------------------


@dataclass
class ScoreTable:
    """The scores of a test's outputs.

    table: per_image.csv. per_set: the metrics of sets, of the first sample. unavailable: why a
    metric has no value. is_new: whether it holds anything that the previous test did not know.
    """

    table: pd.DataFrame
    per_set: dict[str, SetScore] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    is_new: bool = True

    def of_sample(self, sample: Sample) -> pd.DataFrame:
        """The rows of a sample, in the order of the images."""
        return self.table[self.table["sample"] == str(sample)]

    def lacking(self, keys: Iterable[str], sample: Sample) -> set[str]:
        """The metrics for which a sample does not have all of its values."""
        known = self.of_sample(sample).notna().all()
        return {key for key in keys if not known.get(key, False)}

    def add(self, sample: Sample, columns: Mapping[str, list[float]]) -> None:
        """Put a sample's values of some metrics into the table."""
        for key, values in columns.items():
            self.table.loc[self.table["sample"] == str(sample), key] = values
            self.is_new = True


def score_missing(
    scores: ScoreTable,
    outputs: Outputs,
    count: int,
    suite: MetricSuite,
    observer: Observer | None = None,
    partial: Path | None = None,
) -> None:
    """Measure what `scores` lack of the outputs: of each sample and, if several, of their mean.

    Each image is decoded once, for scoring and for the `observer`, which is shown every image that
    it asks for. partial: a folder of what was measured of many images before an interruption.
    """
    for sample in sample_names(count):
        _score_sample(scores, outputs, sample, suite, observer, partial)
    _score_diversity(scores, outputs, count, suite)


def take_over(
    identity: pd.DataFrame, previous: PreviousScores | None, suite: MetricSuite
) -> ScoreTable:
    """The scores that the previous test has of these files, by their hashes."""
    if previous is None:
        return ScoreTable(identity)
    metrics = suite.metrics
    unknown = previous.table.columns.difference([*IDENTITY, *metrics])
    known = previous.table.drop(columns=unknown)
    same = identity.equals(previous.identity)
    if not same:  # the distances between samples are those of the previous set of samples
        between = [key for key, metric in metrics.items() if metric.between_samples]
        known = known.drop(columns=known.columns.intersection(between))
    first = identity["sample"] == "0"
    unmoved = identity[first].equals(known.loc[known["sample"] == "0", list(IDENTITY)])
    per_set = {
        key: SetScore(value.mean, value.std, value.low, value.high)
        for key, value in previous.record.metrics.items()
        if unmoved and metrics[key].gather and value.mean is not None
    }
    table = identity.merge(known, how="left", on=list(IDENTITY))
    return ScoreTable(table, per_set, is_new=not same)


def lacks_anything(scores: ScoreTable, count: int, suite: MetricSuite) -> bool:
    """Whether any metric that the suite can measure has not been measured yet."""
    wanted = set[str]()
    for sample in sample_names(count):
        wanted |= _lacking(scores, sample, suite)
    wanted |= _lacking_diversity(scores, count, suite)
    return bool(wanted - suite.reasons_without(wanted).keys())


def _lacking(scores: ScoreTable, sample: Sample, suite: MetricSuite) -> set[str]:
    """The metrics of a sample's images, and for the first one those of sets, still to measure."""
    metrics = suite.metrics
    wanted = scores.lacking((key for key, metric in metrics.items() if metric.per_image), sample)
    if sample == 0:
        gathered = {key for key, metric in metrics.items() if metric.gather}
        wanted |= gathered - scores.per_set.keys()
    return wanted


def _lacking_diversity(scores: ScoreTable, count: int, suite: MetricSuite) -> set[str]:
    between = [key for key, metric in suite.metrics.items() if metric.between_samples]
    return scores.lacking(between, 0) if count > 1 else set()


def _score_sample(
    scores: ScoreTable,
    outputs: Outputs,
    sample: Sample,
    suite: MetricSuite,
    observer: Observer | None,
    partial: Path | None,
) -> None:
    """Measure what is lacking of one sample, and show its images to the observer."""
    wanted = _lacking(scores, sample, suite)
    scores.unavailable |= suite.reasons_without(wanted)
    measurable = wanted - scores.unavailable.keys()
    watching = observer if observer is not None and observer.wants(sample) else None
    if measurable:
        truths = suite.truth_store(measurable)
        found = _measured(scores, outputs, sample, suite, measurable, watching, partial, truths)
        measured = combine(found, suite, measurable, truths)
        scores.add(sample, measured.per_image)
        scores.is_new |= bool(measured.per_set)
        scores.per_set |= measured.per_set
        scores.unavailable |= measured.unavailable
    elif watching is not None:
        _show(outputs, sample, watching, range(len(outputs.inputs)))


def _measured(
    scores: ScoreTable,
    outputs: Outputs,
    sample: Sample,
    suite: MetricSuite,
    keys: set[str],
    observer: Observer | None,
    partial: Path | None,
    truths: TruthStore | None,
) -> Iterator[Measured]:
    """Yield the batches of a sample's images, as measured now or before."""
    n, squares = len(outputs.inputs), outputs.inputs.rgb8
    if partial is None or n <= CHUNK:
        known = truths.part(squares) if truths is not None else None
        yield from measure(in_batches(outputs.pairs(sample, observer)), suite, keys, known)
        return
    identity = scores.of_sample(sample)[list(IDENTITY)]
    for start in range(0, n, CHUNK):
        rows = range(start, min(start + CHUNK, n))
        known = truths.part(squares[row] for row in rows) if truths is not None else None
        files = identity.iloc[start : rows.stop].to_numpy().tolist()
        key = sha256_of_json([files, suite.describe(), sorted(keys)])
        path = partial / f"{sample}-{start}.safetensors"
        batches = read_chunk(path, key)
        if batches is None:
            pairs = outputs.pairs(sample, observer, rows)
            write_chunk(path, key, list(measure(in_batches(pairs), suite, keys, known)))
            batches = read_chunk(path, key)
            assert batches is not None
        elif observer is not None:
            _show(outputs, sample, observer, rows)
        yield from batches


def _show(outputs: Outputs, sample: Sample, observer: Observer, rows: range) -> None:
    """Show the observer what it wants of images that are not measured now."""
    for row in rows:
        if observer.wants(sample, row):
            observer.observe(sample, row, outputs.read(row, sample))


def _score_diversity(scores: ScoreTable, outputs: Outputs, count: int, suite: MetricSuite) -> None:
    """Measure the distances between the samples of each image."""
    if count == 1:
        reason = "there is one sample of each image; --samples makes more"
        for key, metric in suite.metrics.items():
            if metric.between_samples:
                scores.unavailable[key] = reason
        return
    wanted = _lacking_diversity(scores, count, suite)
    scores.unavailable |= suite.reasons_without(wanted)
    if not wanted - scores.unavailable.keys():
        return
    distances = score_samples(outputs.all_samples(count), suite)
    for sample in range(count):
        columns = {
            key: [of_image[sample] for of_image in values] for key, values in distances.items()
        }
        scores.add(sample, columns)
