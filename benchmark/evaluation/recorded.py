"""A finished test as it is read back: run.json and per_image.csv, and what each says of the other.

Files may be damaged or forged. What is read here can be tabulated, drawn and compared without
further checks; whether it is true, `main.py verify` finds out from the images.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from benchmark.console import shorten
from benchmark.errors import UserError, first_line
from benchmark.evaluation.calibration import PROBABILITIES
from benchmark.evaluation.protocol import fault_of, options_of
from benchmark.files import replacing, sha256_of_bytes
from benchmark.metrics.table import ALL_METRICS, NO_TRUTH, MetricSuite
from benchmark.results.folders import MEAN, Sample, TestFolder
from benchmark.results.records import Calibration, RunRecord
from benchmark.results.schema import MOST, read_record

IDENTITY = ("file", "sha256", "sample", "output", "output_sha256")
"""The columns that identify an output: the test image and its hash; the sample, its file and hash.
All other columns are metrics."""


def sample_names(count: int) -> list[Sample]:
    """The samples that are scored: each of `count` and, if there are several, their mean."""
    return [*range(count), *([MEAN] if count > 1 else [])]


# ---- the table -----------------------------------------------------------------------------------


def write_table(path: Path, table: pd.DataFrame) -> str:
    """Write per_image.csv and return its SHA-256."""
    # A carriage return in a name needs quotes, which the module csv leaves out.
    returns = any("\r" in name for name in table["file"])
    text: str = table.to_csv(
        index=False,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL,
    )
    content = text.encode(errors="backslashreplace")
    with replacing(path) as part:
        part.write_bytes(content)
    return sha256_of_bytes(content)


def read_table(path: Path, sha256: str) -> pd.DataFrame:
    """Read per_image.csv. Raises UserError if it is not the file with this hash, or damaged."""
    if path.exists() and not path.is_file():  # a named pipe would never end
        raise UserError(f"{path} is no regular file: delete it and test again.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if sha256_of_bytes(content) != sha256:
        raise UserError(f"{path} is not the table that run.json was made from: test again.")
    try:
        return pd.read_csv(
            io.BytesIO(content),
            dtype=dict.fromkeys(IDENTITY, str),
            # A file may be called NA; only a metric is missing where it is empty.
            keep_default_na=False,
            na_values={key: [""] for key in ALL_METRICS},
        )
    except (ValueError, OverflowError) as error:  # of pandas' parser, and of wrong UTF-8
        raise UserError(f"{path} is no table: {first_line(error)}; test again.") from error


# ---- a test --------------------------------------------------------------------------------------


def read_test(folder: TestFolder) -> tuple[RunRecord, pd.DataFrame]:
    """Read a test's run.json and per_image.csv and check what each says of the other.

    Raises UserError, with the reason, for a test that may not stand in a table.
    """
    record = read_record(folder.record, RunRecord)
    fault = record.refusal or fault_of(record.protocol, record.protocol_hash)
    fault = fault or _fault_of_folder(record, folder) or next(_faults_of_scores(record), None)
    if fault is None:
        table = read_table(folder.per_image, record.per_image_sha256)
        fault = next(_faults_of_table(record, table), None)
    if fault is not None:
        raise UserError(f"{folder.record}: {fault}.")
    return record, table


def _fault_of_folder(record: RunRecord, folder: TestFolder) -> str | None:
    run = folder.run()
    if (record.run, record.seed) != (run.run, run.seed):
        return f"it is of run {record.run!r}, seed {record.seed}, and lies in another run's folder"
    return None


def _faults_of_scores(record: RunRecord) -> Iterator[str]:
    """What is missing in run.json or differs from the metrics of its protocol."""
    options = options_of(record.protocol)
    assert options is not None  # fault_of has found the options
    metrics = MetricSuite(options).metrics
    parts = [("", record.metrics, set(metrics))]
    if (several := record.samples) is not None:
        per_image = {key for key, metric in metrics.items() if metric.per_image}
        ranked = {key for key in per_image if metrics[key].direction != "none"}
        parts.append((" of the mean of its samples", several.mean, per_image))
        parts.append((" of the best of its samples", several.best, ranked))
    for what, scores, expected in parts:
        if differing := sorted(scores.keys() ^ expected):
            yield f"the metrics{what} are not those of this suite: {shorten(differing)}"
            return
        for key, score in scores.items():
            metric = metrics[key]
            described = (score.label, score.unit, score.direction)
            if described != (metric.label, metric.unit, metric.direction):
                yield f"{key}{what} has another label, unit or direction than the metric has"
    if record.calibration is not None:
        yield from _faults_of_calibration(record.calibration)


def _faults_of_calibration(calibration: Calibration) -> Iterator[str]:
    paints: list[Mapping[str, object]] = [calibration.probabilities, calibration.overall.shares]
    paints += [kind.shares for kind in calibration.kinds.values()]
    if any(found.keys() != PROBABILITIES.keys() for found in paints):
        yield f"its calibration is not of the paints {', '.join(PROBABILITIES)}"


def _faults_of_table(record: RunRecord, table: pd.DataFrame) -> Iterator[str]:
    """What per_image.csv lacks of what run.json says, or has besides."""
    options = options_of(record.protocol)
    assert options is not None  # fault_of has found the options
    metrics = MetricSuite(options).metrics
    unmeasured = {
        key
        for key, value in record.metrics.items()
        if value.mean is None and (metrics[key].network or value.reason == NO_TRUTH)
    }
    single = {key for key, metric in metrics.items() if metric.per_image}
    between = {key for key, metric in metrics.items() if metric.between_samples}
    needed = single - unmeasured
    if record.samples is not None:
        needed |= between - unmeasured
    if lacking := [name for name in (*IDENTITY, *ALL_METRICS) if name in {*IDENTITY, *needed}
                   and name not in table]:  # fmt: skip
        yield f"per_image.csv has no {', '.join(lacking)}"
        return
    if unknown := [str(name) for name in table if name not in {*IDENTITY, *needed}]:
        yield f"per_image.csv has columns of which run.json has no value: {shorten(unknown)}"
        return
    samples = sample_names(record.samples.count if record.samples is not None else 1)
    counts = table["sample"].value_counts().to_dict()
    n = record.n_expected
    if record.protocol.n_images != n or counts != dict.fromkeys(map(str, samples), n):
        yield f"per_image.csv does not have the {n} images of each sample that run.json names"
    for key in sorted(needed):
        yield from _faults_of_column(record, table, key)
    yield from _faults_of_names(table)


def _faults_of_column(record: RunRecord, table: pd.DataFrame, key: str) -> Iterator[str]:
    """The values of a metric are numbers, and finite where run.json has their mean."""
    column = table[key]
    if ALL_METRICS[key].between_samples:
        column = column[table["sample"] != MEAN]
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        yield f"per_image.csv has a {key} with values that are not numbers"
        return
    values = column.to_numpy(np.float64)
    if np.isnan(values).any() or (np.abs(values[np.isfinite(values)]) > MOST).any():
        yield f"per_image.csv has a {key} with values that are missing or out of range"
    first = table[key][table["sample"] == "0"].to_numpy(np.float64)
    if np.isfinite(first).all() != (record.metrics[key].mean is not None):
        yield f"per_image.csv has values of {key}, and run.json has none, or the other way round"


def _faults_of_names(table: pd.DataFrame) -> Iterator[str]:
    """Outputs are PNG files in the folders of their samples."""
    for sample, output in zip(table["sample"], table["output"], strict=True):
        folder = TestFolder.sample_folder(0 if sample == "0" else sample)
        path = PurePosixPath(output)
        name = path.name.encode(errors="surrogatepass")
        plain = len(name) <= 255 and b"\0" not in name and path.suffix == ".png"
        if path.parent.as_posix() != folder or not plain:
            yield f"per_image.csv has an output elsewhere than in {folder}/: {output[:200]!r}"
            return
