"""Verify a test: its written images are scored again and compared with its run.json."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.color import rgb_to_8bit
from benchmark.data.loading import load_test, locate, locate_test
from benchmark.errors import UserError
from benchmark.evaluation.calibration import calibrate, find_painted
from benchmark.evaluation.observer import Observer
from benchmark.evaluation.outputs import Outputs
from benchmark.evaluation.per_image import ScoreTable, identify, score_missing
from benchmark.evaluation.protocol import Protocol, options_of
from benchmark.evaluation.recorded import read_test
from benchmark.evaluation.summary import summarize
from benchmark.files import sha256_of_file
from benchmark.metrics.table import METRICS, MetricSuite, load_metric_suite
from benchmark.results.folders import MEAN, RunFolder, TestFolder, is_fixed_run
from benchmark.results.records import (
    ImageSources,
    RunRecord,
    Score,
    SubmissionRecord,
    TrainingRecord,
    read_record,
)
from benchmark.settings import Settings

RELATIVE, ABSOLUTE = 1e-4, 3e-5
"""How far two measurements of the same thing may be apart: processors round differently."""


@dataclass
class Verification:
    """The result of verifying one test: its faults, and what could not be checked."""

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def verify(
    folder: TestFolder, dataset: str | None, truth: str | None, lpips_weights: str | None
) -> Verification:
    """Verify one test. Raises UserError if the truths of its images cannot be found."""
    verification = Verification()
    try:
        record, table = read_test(folder)
    except UserError as error:
        verification.faults.append(str(error))
        return verification
    options = options_of(record.protocol)
    assert options is not None  # read_test refuses a protocol of other metrics
    suite = load_metric_suite(options, lpips_weights)
    outputs = _outputs(folder, record, suite, table, dataset, truth)
    verification.faults += _check_kind(record)
    verification.faults += _check_files(outputs, table)
    if verification.faults:
        return verification
    samples = record.samples.count if record.samples else 1
    verification.faults += _check_means(outputs, samples)
    observer = Observer(num_images=0, painted=find_painted(outputs.inputs))
    rescored = ScoreTable(identify(outputs, samples))
    score_missing(rescored, outputs, samples, suite, observer)
    verification.faults += _check_values(rescored.table, table)
    verification.faults += _check_summary(record, rescored, table, samples, suite)
    verification.faults += _check_calibration(record, observer)
    _check_weights(record, folder, verification)
    verification.unchecked.append("run.json's values for training, cost, time and environment.")
    verification.unchecked += [
        f"{suite.metrics[key].label}: {rescored.unavailable[key]}."
        for key, score in record.metrics.items()
        if score.mean is not None and key in rescored.unavailable
    ]
    return verification


def _outputs(
    folder: TestFolder,
    record: RunRecord,
    suite: MetricSuite,
    table: pd.DataFrame,
    dataset: str | None,
    truth: str | None,
) -> Outputs:
    """Find the written images and their truths. Raises UserError if the truths are others."""
    run = folder.run()
    if dataset is not None or truth is not None:
        sources = locate_test(dataset, truth, run.results)
    elif (images := _image_sources(run, record)) is not None:
        sources = locate(images.dataset, images.test_images, run.results)
    else:
        raise UserError(
            f"{folder.path} does not say where its images are: name --truth or --dataset."
        )
    split_seed = record.settings.get("split_seed", Settings.model_fields["split_seed"].default)
    size = record.protocol.size
    test_images = load_test(sources, size, split_seed)
    if Protocol.of(test_images, sources.name, size, suite).hash != record.protocol_hash:
        raise UserError(
            f"The {len(test_images)} test images of {sources.test_images or sources.dataset} are "
            f"not those of {folder.path}: name its own with --truth, or name their --dataset."
        )
    # The files may have had other names when they were tested.
    first = table[table["sample"] == "0"]
    output_of = dict(zip(first["sha256"], first["output"], strict=True))
    names = [Path(output_of.get(image.digest, "-")).name for image in test_images.files]
    return Outputs(folder, test_images, names)


def _image_sources(run: RunFolder, record: RunRecord) -> ImageSources | None:
    """Where a run took its images from, if its folder or that of its weights says so."""
    trained = run
    if record.weights is not None and record.weights.run is not None:
        trained = RunFolder(run.results, record.weights.run, run.seed)
    if trained.settings.exists():
        return read_record(trained.settings, TrainingRecord).images
    if run.submission.exists():
        return read_record(run.submission, SubmissionRecord).images
    return None


def _check_kind(record: RunRecord) -> Iterator[str]:
    """Fixed rows have names of their own, which no other run has."""
    if is_fixed_run(record.run) != (record.kind == "fixed"):
        yield f"the run {record.run} cannot be of kind {record.kind}."
    if (record.submission is None) == (record.kind == "submitted"):
        yield "only a submitted run has, and must have, an entry `submission`."


def _check_files(outputs: Outputs, table: pd.DataFrame) -> Iterator[str]:
    """Every image of the test is in the table, and its files are the ones that were scored."""
    expected = sorted(image.digest for image in outputs.inputs.files)
    for sample, rows in table.groupby("sample", sort=False):
        if sorted(rows["sha256"]) != expected:
            yield f"per_image.csv has other test images than there are (sample {sample})."
        for output, sha256 in zip(rows["output"], rows["output_sha256"], strict=True):
            path = outputs.folder.path / output
            if not path.is_file():
                yield f"{output} is missing."
            elif sha256_of_file(path) != sha256:
                yield f"{output} is not the image that was scored."


def _check_means(outputs: Outputs, samples: int) -> Iterator[str]:
    if samples == 1:
        return
    for row in range(len(outputs.inputs)):
        mean8 = rgb_to_8bit(outputs.mean(row, samples)).int()
        if (mean8 - outputs.read(row, MEAN).int()).abs().max() > 1:
            yield f"{outputs.relative_path(row, MEAN)} is not the mean of its samples."


def _check_values(rescored: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """The values of single images are those measured now; the first wrong one of each metric."""
    order = ["sample", "sha256", "file"]
    rescored, table = (part.sort_values(order, ignore_index=True) for part in (rescored, table))
    for key in METRICS:
        if key not in rescored or key not in table:
            continue  # what is missing in the table, run.json may not have either
        recorded, measured = table[key].to_numpy(float), rescored[key].to_numpy(float)
        wrong = ~np.isclose(recorded, measured, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield (
                f"{key} of {table['file'][row]} is {recorded[row]:.6g} in per_image.csv and "
                f"{measured[row]:.6g} measured ({wrong.sum()} of {len(wrong)} values are wrong)."
            )


def _check_summary(
    record: RunRecord,
    rescored: ScoreTable,
    table: pd.DataFrame,
    samples: int,
    suite: MetricSuite,
) -> Iterator[str]:
    """The means, deviations and intervals are those of the values."""
    keys = [key for key in METRICS if key in table and key not in rescored.table]
    # What cannot be measured here is summarized from the table as it is.
    values = rescored.table.merge(table[["sample", "sha256", "file", *keys]], how="left")
    known = ScoreTable(values, rescored.per_set, rescored.unavailable)
    first, several = summarize(known, samples, suite)
    parts: list[tuple[str, dict[str, Score], dict[str, Score]]] = [("", record.metrics, first)]
    if several is not None and record.samples is not None:
        parts.append((" of the mean", record.samples.mean, several.mean))
        parts.append((" of the best", record.samples.best, several.best))
    for what, recorded, measured in parts:
        for key, score in measured.items():
            if score.mean is None and key in rescored.unavailable:
                continue
            if key not in recorded:
                yield f"run.json has no {key}{what}."
                continue
            for name in ("label", "unit", "direction", "n", "mean", "std", "low", "high"):
                old, new = getattr(recorded[key], name), getattr(score, name)
                if old != new and not _near(old, new):
                    yield f"{name} of {key}{what} is {old} in run.json and {new} measured."


def _near(first: object, second: object) -> bool:
    if not isinstance(first, float) or not isinstance(second, float):
        return False
    return bool(np.isclose(first, second, rtol=RELATIVE, atol=ABSOLUTE))


def _check_calibration(record: RunRecord, observer: Observer) -> Iterator[str]:
    if observer.painted is None:
        if record.calibration is not None:
            yield "run.json has a calibration, and its images have no known paints."
    elif calibrate(observer.painted, observer.predicted_paints()) != record.calibration:
        yield "the calibration is not that of the images."


def _check_weights(record: RunRecord, folder: TestFolder, verification: Verification) -> None:
    """The weights are those that the record names, if they are still there."""
    weights = record.weights
    if weights is None:
        return
    path = Path(weights.file)
    if weights.run is not None:
        run = folder.run()
        path = RunFolder(run.results, weights.run, run.seed).path / weights.file
    if not path.is_file():
        verification.unchecked.append(f"the weights: {weights.file} is not there any more.")
    elif sha256_of_file(path) != weights.sha256:
        verification.faults.append(f"{path} are not the weights that were tested.")
