"""per_image.csv: the values of every output of a test, a row for each image and sample.

What an earlier test measured of the very same files is not measured again.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import metrics
from benchmark.errors import UserError
from benchmark.evaluation.outputs import MEAN, Outputs, Sample
from benchmark.evaluation.protocol import fault_of
from benchmark.files import replacing, sha256_of_bytes
from benchmark.results.folders import RunFolder
from benchmark.results.records import RunRecord, read_record

FACTS = ("file", "sha256", "sample", "output", "output_sha256")
"""The columns that are no metric: the test image and its hash; the sample, its file and hash."""


def write_table(path: Path, table: pd.DataFrame) -> str:
    """Write per_image.csv; returns its SHA-256."""
    content = table.to_csv(index=False, lineterminator="\n").encode()
    with replacing(path) as part:
        part.write_bytes(content)
    return sha256_of_bytes(content)


def read_table(path: Path, sha256: str) -> pd.DataFrame:
    """Read per_image.csv. UserError if it is not the one of this hash."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if sha256_of_bytes(content) != sha256:
        raise UserError(f"{path} is not the table that run.json was made from: test again.")
    return pd.read_csv(io.BytesIO(content), dtype=dict.fromkeys(FACTS, str))


def read_test(folder: Path) -> tuple[RunRecord, pd.DataFrame]:
    """A test's run.json and per_image.csv, checked as far as they say it of each other.

    UserError, with the reason, for what may not stand in a table.
    """
    record = read_record(folder / "run.json")
    table = read_table(folder / "per_image.csv", record.per_image_sha256)
    fault = record.refusal or fault_of(record.protocol, record.protocol_hash)
    fault = fault or _fault_of_place(record, folder) or _fault_of_table(record, table)
    if fault is not None:
        raise UserError(f"{folder / 'run.json'}: {fault}.")
    return record, table


def _fault_of_place(record: RunRecord, folder: Path) -> str | None:
    run = RunFolder.of_test(folder)
    if (record.run, record.seed) != (run.run, run.seed):
        return f"it is of run {record.run}, seed {record.seed}, and lies in another's folder"
    return None


def _fault_of_table(record: RunRecord, table: pd.DataFrame) -> str | None:
    """What per_image.csv lacks of what run.json says, or None."""
    rows = metrics.METRICS
    if record.metrics.keys() != rows.keys():
        differing = record.metrics.keys() ^ rows.keys()
        return f"it has other metrics than this suite: {', '.join(sorted(differing))}"
    several = record.samples
    if several is not None and several.mean.keys() != {k for k, m in rows.items() if m.per_image}:
        return "the scores of the mean of its samples are not complete"
    valued = [
        key
        for key, score in record.metrics.items()
        if score.mean is not None and rows[key].gather is None
    ]
    lacking = [name for name in (*FACTS, *valued) if name not in table]
    if lacking:
        return f"per_image.csv has no {', '.join(lacking)}"
    for key in rows:
        if key in table and not pd.api.types.is_numeric_dtype(table[key]):
            return f"per_image.csv has a {key} that is no number"
    samples = several.count if several is not None else 1
    who = {str(sample) for sample in [*range(samples), *([MEAN] if several is not None else [])]}
    counts = table["sample"].value_counts().to_dict()
    n = record.n_expected
    if record.protocol["n_images"] != n or counts != dict.fromkeys(who, n):
        return f"per_image.csv has not the {n} images of each sample that run.json tells of"
    for sample, place in zip(table["sample"], table["output"], strict=True):
        part = "images" if sample == "0" else f"samples/{sample}"
        if Path(place).parent.as_posix() != part:
            return f"per_image.csv has an output elsewhere than in {part}/: {place!r}"
    return None


@dataclass(frozen=True)
class PreviousScores:
    """The test that was in a folder before: its record and its table."""

    record: RunRecord
    table: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "PreviousScores | None":
        """None where there is none that can be read."""
        try:
            return cls(*read_test(folder))
        except UserError:
            return None

    def is_of(self, outputs: Outputs, samples: int) -> bool:
        """Whether it is of these very files, the mean of the samples among them."""
        who: list[Sample] = [*range(samples), *([MEAN] if samples > 1 else [])]
        try:
            now = pd.concat([_facts(outputs, sample) for sample in who], ignore_index=True)
        except UserError:  # a file is missing
            return False
        return now.equals(self.table[list(FACTS)])


@dataclass
class ScoreTable:
    """What is known of a test's outputs.

    table: per_image.csv. sets: the metrics of sets, of the first sample. missing: why a metric has
    no value. is_new: whether anything is known now that the earlier test did not know.
    """

    table: pd.DataFrame
    sets: dict[str, metrics.SetScore] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    is_new: bool = True

    def of_sample(self, sample: Sample) -> pd.DataFrame:
        """The rows of a sample, in the order of the images."""
        return self.table[self.table["sample"] == str(sample)]

    def lacking(self, keys: Iterable[str], sample: Sample) -> set[str]:
        """The metrics for which a sample has not all its values."""
        known = self.of_sample(sample).notna().all()
        return {key for key in keys if not known.get(key, False)}

    def add(self, sample: Sample, columns: Mapping[str, list[float]]) -> None:
        """Put a sample's values of some metrics into the table."""
        for key, values in columns.items():
            self.table.loc[self.table["sample"] == str(sample), key] = values
            self.is_new = True


def measure(
    outputs: Outputs, samples: int, suite: metrics.MetricSuite, previous: PreviousScores | None
) -> ScoreTable:
    """All metrics of the outputs as written: of each sample and, if several, of their mean."""
    several = samples > 1
    who: list[Sample] = [*range(samples), *([MEAN] if several else [])]
    facts = pd.concat([_facts(outputs, sample) for sample in who], ignore_index=True)
    measured = _take_over(facts, previous, suite)
    for sample in who:
        _measure_images(measured, outputs, sample, suite)
    if several:
        _measure_diversity(measured, outputs, samples, suite)
    else:
        for key, row in metrics.table(suite.options).items():
            if row.between_samples:
                measured.missing[key] = "there is one sample an image; --samples makes more"
    return measured


def _facts(outputs: Outputs, sample: Sample) -> pd.DataFrame:
    files = outputs.inputs.files
    return pd.DataFrame(
        {
            "file": [image.name for image in files],
            "sha256": [image.digest for image in files],
            "sample": str(sample),
            "output": [outputs.place(row, sample) for row in range(len(files))],
            "output_sha256": outputs.hashes(sample),
        }
    )


def _take_over(
    facts: pd.DataFrame, previous: PreviousScores | None, suite: metrics.MetricSuite
) -> ScoreTable:
    """What the earlier test knows of these files, by their hashes."""
    if previous is None:
        return ScoreTable(facts)
    rows = metrics.table(suite.options)
    known = previous.table.drop(columns=previous.table.columns.difference([*FACTS, *rows]))
    same = facts.equals(known[list(FACTS)])
    if not same:  # the distances between samples are of the samples there were
        between_samples = [key for key, row in rows.items() if row.between_samples]
        known = known.drop(columns=known.columns.intersection(between_samples))
    first = facts["sample"] == "0"
    unmoved = facts[first].equals(known.loc[known["sample"] == "0", list(FACTS)])
    sets = {
        key: metrics.SetScore(score.mean, score.std)
        for key, score in previous.record.metrics.items()
        if unmoved and rows[key].gather and score.mean is not None
    }
    return ScoreTable(facts.merge(known, how="left", on=list(FACTS)), sets, is_new=not same)


def _measure_images(
    measured: ScoreTable, outputs: Outputs, sample: Sample, suite: metrics.MetricSuite
) -> None:
    """The metrics of a sample's images, and for the first one those of sets."""
    rows = metrics.table(suite.options)
    wanted = measured.lacking((key for key, row in rows.items() if row.per_image), sample)
    if sample == 0:
        wanted |= {key for key, row in rows.items() if row.gather and key not in measured.sets}
    measured.missing |= metrics.out_of_reach(wanted, suite)
    if wanted - measured.missing.keys():
        batches = metrics.in_batches(outputs.beside_truth(sample))
        scores = metrics.score(batches, suite, wanted)
        measured.add(sample, scores.images)
        measured.is_new |= bool(scores.sets)
        measured.sets |= scores.sets
        measured.missing |= scores.missing


def _measure_diversity(
    measured: ScoreTable, outputs: Outputs, samples: int, suite: metrics.MetricSuite
) -> None:
    """The metrics of samples, of several samples of each image."""
    rows = metrics.table(suite.options)
    wanted = measured.lacking((key for key, row in rows.items() if row.between_samples), 0)
    measured.missing |= metrics.out_of_reach(wanted, suite)
    if wanted - measured.missing.keys():
        distances = metrics.score_samples(outputs.all_samples(samples), suite)
        for sample in range(samples):
            columns = {
                key: [of_image[sample] for of_image in values] for key, values in distances.items()
            }
            measured.add(sample, columns)
