"""Verify a test: its written images are scored again and compared with its run.json."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.color import rgb_to_8bit
from benchmark.console import shorten
from benchmark.data.cache import ImageSet
from benchmark.data.loading import load_test
from benchmark.data.sources import locate, locate_test
from benchmark.errors import UserError
from benchmark.evaluation.calibration import calibrate, find_painted, object_table
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.observer import Observer
from benchmark.evaluation.outputs import Outputs
from benchmark.evaluation.per_image import ScoreTable, identify, score_missing
from benchmark.evaluation.protocol import Protocol, options_of
from benchmark.evaluation.recorded import read_test, sample_names
from benchmark.evaluation.summary import summarize
from benchmark.files import sha256_of_file
from benchmark.jobs.origin import Verification, check_coloring, check_records
from benchmark.metrics.networks import is_lack_of_weights
from benchmark.metrics.sets import too_few_images
from benchmark.metrics.table import ALL_METRICS, Metric, MetricSuite, load_metric_suite
from benchmark.results.folders import IMAGES, MEAN, SAMPLES, RunFolder, TestFolder
from benchmark.results.records import (
    ImageSources,
    RunRecord,
    Score,
    SubmissionRecord,
    TrainingRecord,
)
from benchmark.results.schema import read_record
from benchmark.settings import Settings

RELATIVE, ABSOLUTE = 1e-4, 3e-5
"""How far two measurements of the same thing may be apart: processors round differently."""


def verify(
    folder: TestFolder, dataset: str | None, truth: str | None, lpips_weights: str | None
) -> Verification:
    """Verify one test. Raises UserError if the truths of its images cannot be found."""
    found = Verification()
    try:
        record, table = read_test(folder)
    except UserError as error:
        found.faults.append(str(error))
        return found
    options = options_of(record.protocol)
    assert options is not None  # read_test refuses a protocol of other metrics
    suite = load_metric_suite(options, lpips_weights)
    outputs = _outputs(found, folder, record, suite, table, dataset, truth)
    samples = record.samples.count if record.samples else 1
    check_records(found, folder, record, table)
    damaged = [*_check_files(outputs, table)]
    found.faults += [*damaged, *_check_folders(outputs, samples)]
    if not damaged:
        try:
            _score_again(found, outputs, record, table, suite)
            check_coloring(found, outputs, record, samples)
        except UserError as error:  # an image with a forged hash may be none
            found.faults.append(str(error))
    found.unchecked.append(
        "what nothing can prove afterwards: times, memory, devices, versions and dates, and the "
        "figures."
    )
    return found


def _score_again(
    found: Verification,
    outputs: Outputs,
    record: RunRecord,
    table: pd.DataFrame,
    suite: MetricSuite,
) -> None:
    """Score the written images, and compare their values and all that follows from them."""
    samples = record.samples.count if record.samples else 1
    preprocessing = TestImages.recorded(record.protocol).preprocessing
    for row, sample in product(range(len(outputs.inputs)), sample_names(samples)):
        if outputs.read(row, sample).shape != outputs.inputs.rgb8.shape[1:]:
            found.faults.append(f"{outputs.relative_path(row, sample)} has another size.")
            return
    found.faults += _check_means(outputs, samples)
    observer = Observer(num_images=0, painted=find_painted(outputs.inputs, preprocessing))
    rescored = ScoreTable(identify(outputs, samples))
    score_missing(rescored, outputs, samples, suite, observer)
    found.faults += _check_values(rescored.table, table)
    _check_summary(found, record, rescored, table, suite)
    found.faults += _check_calibration(outputs.folder, record, observer)


def _outputs(
    found: Verification,
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
    elif (named := _image_sources(run, record)) is not None:
        sources = locate(named.dataset, named.test_images, run.results)
    else:
        raise UserError(
            f"{folder.path} does not say where its images are: name --truth or --dataset."
        )
    split_seed = record.settings.get("split_seed")
    if not isinstance(split_seed, int):  # fixed and submitted rows have no settings
        split_seed = Settings.model_fields["split_seed"].default
    chosen = TestImages.recorded(record.protocol)
    sources = chosen.chosen_from(sources)
    images = load_test(sources, chosen.preprocessing, split_seed, cached=False, quiet=True)
    if Protocol.of(images, sources.name, chosen, suite).hash != record.protocol_hash:
        named_as = sources.named_test_images or sources.named_dataset
        raise UserError(
            f"The {len(images)} test images of {named_as} are "
            f"not those of {folder.path}: name its own with --truth, or name their --dataset."
        )
    # The files may have had other names when they were tested.
    first = table[table["sample"] == "0"]
    known = defaultdict[str, list[tuple[str, str]]](list)
    for file, digest, output in zip(first["file"], first["sha256"], first["output"], strict=True):
        known[digest].append((file, Path(output).name))
    files, outputs = [], []
    for image in images.files:
        name, output = known[image.digest].pop(0) if known[image.digest] else (image.name, "-")
        files.append(replace(image, name=name))
        outputs.append(output)
    _check_failed(found, record, images, renamed=files != images.files)
    # In the order in which they were tested, on which the intervals depend.
    place = {file: row for row, file in enumerate(first["file"])}
    order = sorted(range(len(files)), key=lambda row: place.get(files[row].name, len(files)))
    inputs = ImageSet(files, images.rgb8, images.failures).select(order)
    return Outputs(folder, inputs, [outputs[row] for row in order])


def _check_failed(found: Verification, record: RunRecord, images: ImageSet, renamed: bool) -> None:
    """The files that could not be used are still there, and cannot be used for the same reasons."""
    if record.failed == images.failures:
        return
    if renamed and sorted(record.failed.values()) == sorted(images.failures.values()):
        found.unchecked.append("the names of files that could not be used: files were renamed.")
        return
    names = sorted(
        name
        for name in record.failed.keys() | images.failures.keys()
        if record.failed.get(name) != images.failures.get(name)
    )
    found.faults.append(
        f"`failed` of run.json does not name the files that cannot be used, and why: "
        f"{shorten(names)}."
    )


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


def _check_folders(outputs: Outputs, samples: int) -> Iterator[str]:
    """There are no other images than those of the test, and no other samples."""
    folders = [TestFolder.sample_folder(sample) for sample in sample_names(samples)]
    expected = {f"{folder}/{name}" for folder in folders for name in outputs.names}
    top = outputs.folder.path
    for folder in (IMAGES, SAMPLES):
        for path in sorted((top / folder).rglob("*")):
            name = path.relative_to(top).as_posix()
            if path.is_dir() and not path.is_symlink():
                known = any(f"{one}/".startswith(f"{name}/") for one in folders)
            else:
                known = name in expected
            if not known:
                yield f"{name} is not of the test that run.json describes."


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
    for key in ALL_METRICS:
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
    found: Verification,
    record: RunRecord,
    rescored: ScoreTable,
    table: pd.DataFrame,
    suite: MetricSuite,
) -> None:
    """The means, deviations and intervals are those of the values."""
    samples = record.samples.count if record.samples else 1
    keys = [key for key in ALL_METRICS if key in table and key not in rescored.table]
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
            _compare_score(found, f"{key}{what}", recorded[key], score, suite.metrics[key])
            if recorded[key].mean is not None and key in rescored.unavailable:
                found.unchecked.append(f"{score.label}{what}: {rescored.unavailable[key]}.")


def _compare_score(
    found: Verification, what: str, recorded: Score, measured: Score, metric: Metric
) -> None:
    """Compare a score with the one measured now, if both were measured."""
    if recorded.mean is None and metric.network and is_lack_of_weights(recorded.reason or ""):
        found.unchecked.append(f"{what}, which was not measured in the test: {recorded.reason}.")
        return
    if measured.mean is None and is_lack_of_weights(measured.reason or ""):
        # What needs no weights to know is compared: why a metric has no value for these images.
        expected = too_few_images(recorded.n) if metric.key == "kid" else None
        if recorded.mean is None and recorded.reason != expected:
            found.faults.append(f"{what} has no value for a reason that this suite does not give.")
        return
    for name in ("n", "mean", "std", "low", "high", "reason"):
        old, new = getattr(recorded, name), getattr(measured, name)
        if old != new and not _near(old, new):
            found.faults.append(f"{name} of {what} is {old} in run.json and {new} measured.")


def _near(first: object, second: object) -> bool:
    if not isinstance(first, float) or not isinstance(second, float):
        return False
    return bool(np.isclose(first, second, rtol=RELATIVE, atol=ABSOLUTE))


def _check_calibration(folder: TestFolder, record: RunRecord, observer: Observer) -> Iterator[str]:
    if observer.painted is None:
        if record.calibration is not None:
            yield "run.json has a calibration, and its images have no known paints."
        return
    paints = observer.predicted_paints()
    if calibrate(observer.painted, paints) != record.calibration:
        yield "the calibration is not that of the images."
    table = object_table(observer.painted, paints).to_csv(index=False, lineterminator="\n")
    try:
        written = folder.objects.read_text(encoding="utf-8")
    except (OSError, ValueError):
        yield f"{folder.objects.name} cannot be read."
    else:
        if written != table:
            yield f"{folder.objects.name} is not that of the images."
