"""Whether a run.json is true: its written images are scored anew."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import metrics
from benchmark.color import rgb_to_8bit
from benchmark.data.loading import load_test, locate, locate_test
from benchmark.errors import UserError
from benchmark.evaluation.calibration import calibrate, find_painted
from benchmark.evaluation.evaluate import predicted_paints
from benchmark.evaluation.outputs import MEAN, Outputs
from benchmark.evaluation.per_image import ScoreTable, measure, read_test
from benchmark.evaluation.protocol import Protocol, options_of
from benchmark.evaluation.summary import summarize
from benchmark.files import read_json, sha256_of_file
from benchmark.results.folders import FIXED_RUNS, RunFolder
from benchmark.results.records import RunRecord, Score
from benchmark.settings import Settings

RELATIVE, ABSOLUTE = 1e-4, 3e-5
"""How far two measurements of one thing may be apart: other processors round otherwise."""


@dataclass
class Verdict:
    """What was found of one test: faults, and what could not be checked."""

    test: Path
    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def find_tests(run: str, results: Path) -> list[Path]:
    """The folders of the tests of a run: by its name, its folder, or the folder of one test."""
    folder = results / run if (results / run).is_dir() else Path(run)
    found = sorted(
        path.parent
        for pattern in ("run.json", "tests/*/run.json", "seed-*/tests/*/run.json")
        for path in folder.glob(pattern)
    )
    if not found:
        raise UserError(f"There is no run.json in {folder}: name a run, its folder or a test's.")
    return found


def verify(
    test: Path, dataset: str | None, truth: str | None, lpips_weights: str | None
) -> Verdict:
    """Check one test. UserError if its images' truths are not at hand."""
    verdict = Verdict(test)
    try:
        record, table = read_test(test)
    except UserError as error:
        verdict.faults.append(str(error))
        return verdict
    options = options_of(record.protocol)
    assert options is not None  # read_test has refused others
    suite = metrics.load_metric_suite(options, lpips_weights)
    outputs = _outputs(test, record, options, table, dataset, truth)
    verdict.faults += _check_kind(record)
    verdict.faults += _check_files(outputs, table)
    if verdict.faults:
        return verdict
    samples = record.samples.count if record.samples else 1
    verdict.faults += _check_means(outputs, samples)
    anew = measure(outputs, samples, suite, None)
    verdict.faults += _check_values(anew.table, table)
    verdict.faults += _check_summary(record, anew, table, samples, options)
    _check_calibration(record, outputs, samples, verdict)
    _check_weights(record, test, verdict)
    verdict.unchecked.append("what it says of training, cost, time and environment.")
    rows = metrics.table(options)
    verdict.unchecked += [
        f"{rows[key].label}: {anew.missing[key]}."
        for key, score in record.metrics.items()
        if score.mean is not None and key in anew.missing
    ]
    return verdict


def _outputs(
    test: Path,
    record: RunRecord,
    options: metrics.Options,
    table: pd.DataFrame,
    dataset: str | None,
    truth: str | None,
) -> Outputs:
    """The written images beside their truths. UserError if these are not those of the test."""
    folder = RunFolder.of_test(test)
    begun = read_json(folder.settings).get("images", {}) if folder.settings.exists() else {}
    if dataset is None and truth is None and not begun:
        raise UserError(f"{test} does not say where its images are: name --truth or --dataset.")
    if dataset is None and truth is None:
        sources = locate(begun.get("dataset"), begun.get("test_images"), folder.results)
    else:
        sources = locate_test(dataset, truth, folder.results)
    split_seed = record.settings.get("split_seed", Settings.model_fields["split_seed"].default)
    size = record.protocol["size"]
    images = load_test(sources, size, split_seed)
    if Protocol.of(images, sources.name, size, options).hash != record.protocol_hash:
        raise UserError(
            f"The {len(images)} test images of {sources.test_images or sources.dataset} are "
            f"not those of {test}: name theirs with --truth, or the --dataset they came from."
        )
    # Files may have had other names when they were tested on.
    first = table[table["sample"] == "0"]
    place_of = dict(zip(first["sha256"], first["output"], strict=True))
    names = [Path(place_of.get(image.digest, "-")).name for image in images.files]
    return Outputs(test, images, names)


def _check_kind(record: RunRecord) -> Iterator[str]:
    """Fixed rows have their own names, and nobody else has them."""
    own = record.run in FIXED_RUNS or record.run.startswith(f"{FIXED_RUNS[-1]}-")
    if own != (record.kind == "fixed"):
        yield f"the run {record.run} cannot be of kind {record.kind}."
    if (record.submission is None) == (record.kind == "submitted"):
        yield "only what was submitted, and all of it, says how its images were prepared."


def _check_files(outputs: Outputs, table: pd.DataFrame) -> Iterator[str]:
    """Every image of the test is in the table, and its files are the ones that were scored."""
    expected = sorted(image.digest for image in outputs.inputs.files)
    for sample, rows in table.groupby("sample", sort=False):
        if sorted(rows["sha256"]) != expected:
            yield f"per_image.csv has other test images than there are (sample {sample})."
        for place, code in zip(rows["output"], rows["output_sha256"], strict=True):
            path = outputs.folder / place
            if not path.is_file():
                yield f"{place} is missing."
            elif sha256_of_file(path) != code:
                yield f"{place} is not the image that was scored."


def _check_means(outputs: Outputs, samples: int) -> Iterator[str]:
    if samples == 1:
        return
    for row in range(len(outputs.inputs)):
        mean8 = rgb_to_8bit(outputs.mean(row, samples)).int()
        if (mean8 - outputs.read(row, MEAN).int()).abs().max() > 1:
            yield f"{outputs.place(row, MEAN)} is not the mean of its samples."


def _check_values(anew: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """The values of single images, the worst of each metric named."""
    order = ["sample", "sha256", "file"]
    anew, table = (part.sort_values(order, ignore_index=True) for part in (anew, table))
    for key in metrics.METRICS:
        if key not in anew or key not in table:
            continue  # what is missing in the table, run.json may not have either
        said, found = table[key].to_numpy(float), anew[key].to_numpy(float)
        wrong = ~np.isclose(said, found, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield (
                f"{key} of {table['file'][row]} is {said[row]:.6g} in per_image.csv and "
                f"{found[row]:.6g} measured ({wrong.sum()} of {len(wrong)} values are wrong)."
            )


def _check_summary(
    record: RunRecord,
    anew: ScoreTable,
    table: pd.DataFrame,
    samples: int,
    options: metrics.Options,
) -> Iterator[str]:
    """The means, deviations and intervals are those of the values."""
    keys = [key for key in metrics.METRICS if key in table and key not in anew.table]
    # What cannot be measured here is summed up from the table as it is.
    values = anew.table.merge(table[["sample", "sha256", "file", *keys]], how="left")
    known = ScoreTable(values, anew.sets, anew.missing)
    first, several = summarize(known, samples, options)
    parts: list[tuple[str, dict[str, Score], dict[str, Score]]] = [("", record.metrics, first)]
    if several is not None and record.samples is not None:
        parts.append((" of the mean", record.samples.mean, several.mean))
        parts.append((" of the best", record.samples.best, several.best))
    for what, said, found in parts:
        for key, score in found.items():
            if score.mean is None and key in anew.missing:
                continue
            if key not in said:
                yield f"run.json has no {key}{what}."
                continue
            for fact in ("label", "unit", "direction", "n", "mean", "std", "low", "high"):
                was, found_now = getattr(said[key], fact), getattr(score, fact)
                if was != found_now and not _near(was, found_now):
                    yield f"{fact} of {key}{what} is {was} in run.json and {found_now} measured."


def _near(first: object, second: object) -> bool:
    if not isinstance(first, float) or not isinstance(second, float):
        return False
    return bool(np.isclose(first, second, rtol=RELATIVE, atol=ABSOLUTE))


def _check_calibration(record: RunRecord, outputs: Outputs, samples: int, verdict: Verdict) -> None:
    painted = find_painted(outputs.inputs)
    if painted is None and record.calibration is not None:
        verdict.faults.append("it tells of a calibration, and its images have no known paints.")
    if painted is not None and calibrate(painted, predicted_paints(painted, outputs, samples)) != (
        record.calibration
    ):
        verdict.faults.append("the calibration is not that of the images.")


def _check_weights(record: RunRecord, test: Path, verdict: Verdict) -> None:
    """The weights are those that the record names, if they are still here."""
    if record.weights is None:
        return
    folder = RunFolder.of_test(test)
    sister = RunFolder(folder.results, record.weights.trained_as, folder.seed)
    places = [place.path / record.weights.file for place in (folder, sister)]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        verdict.unchecked.append(f"the weights: {record.weights.file} is not here any more.")
    elif sha256_of_file(path) != record.weights.sha256:
        verdict.faults.append(f"{path} are not the weights that were tested.")
