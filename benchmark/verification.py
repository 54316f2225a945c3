"""Whether a run.json is true: its written pictures are scored anew."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

import metrics

from .backbones import LpipsBackbone
from .calibration import calibrate, find_painted, taken_paints
from .color import rgb_to_8bit
from .data.loading import load_test, locate, locate_test
from .errors import UserError
from .evaluation import summarize
from .files import read_json, sha256_of_file
from .outputs import MEAN, Outputs
from .protocol import Protocol, fault_of
from .recipe import Settings
from .results import RunFolder, RunRecord, Score, read_record
from .scoring import Measured, measure, read_table

TOLERANCE = 1e-3
"""Of a value, relative and absolute: other processors round otherwise; a lie is larger."""


@dataclass
class Verdict:
    """What was found of one test: faults, and what could not be checked."""

    test: Path
    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def find_tests(run: str, results: Path) -> list[Path]:
    """The folders of the tests of a run: by its name, its folder, or the folder of one test."""
    folder = Path(run) if Path(run).is_dir() else results / run
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
    """Check one test. UserError if its pictures' truths are not at hand."""
    verdict = Verdict(test)
    try:
        record = read_record(test / "run.json")
        table = read_table(test / "per_image.csv", record.per_image_sha256)
    except UserError as error:
        verdict.faults.append(str(error))
        return verdict
    fault = record.refusal or fault_of(record.protocol, record.protocol_hash)
    options = _options_of(record)
    if fault is None and options is None:
        fault = "its metrics are none of this suite's"
    if fault is not None or options is None:
        verdict.faults.append(f"{fault}.")
        return verdict
    instruments = metrics.find_instruments(options, lpips_weights)
    outputs = _outputs(test, record, options, dataset, truth)
    verdict.faults += _check_files(outputs, table)
    if verdict.faults:
        return verdict
    samples = record.samples.count if record.samples else 1
    verdict.faults += _check_means(outputs, samples)
    anew = measure(outputs, samples, instruments, None)
    verdict.faults += _check_values(anew.table, table)
    verdict.faults += _check_summary(record, anew, table, samples, options)
    verdict.faults += _check_calibration(record, outputs, samples)
    _check_weights(record, test, verdict)
    rows = metrics.table(options)
    verdict.unchecked += [
        f"{rows[key].label}: {anew.missing[key]}."
        for key, score in record.metrics.items()
        if score.mean is not None and key in anew.missing
    ]
    return verdict


def _options_of(record: RunRecord) -> metrics.Options | None:
    """The options that a protocol's metrics were described from."""
    choices = product(get_args(LpipsBackbone), get_args(metrics.Variant))
    every = [metrics.Options(backbone, variant) for backbone, variant in choices]
    described = record.protocol.get("metrics")
    return next((options for options in every if metrics.describe(options) == described), None)


def _outputs(
    test: Path,
    record: RunRecord,
    options: metrics.Options,
    dataset: str | None,
    truth: str | None,
) -> Outputs:
    """The written pictures beside their truths. UserError if these are not those of the test."""
    folder = RunFolder.of_test(test)
    begun = read_json(folder.settings)["pictures"] if folder.settings.exists() else {}
    if dataset is None and truth is None and begun:
        sources = locate(begun["dataset"], begun["test_images"], folder.results)
    else:
        sources = locate_test(dataset, truth, folder.results)
    split_seed = record.settings.get("split_seed", Settings.model_fields["split_seed"].default)
    size = record.protocol["size"]
    pictures = load_test(sources, size, split_seed)
    if Protocol.of(pictures, sources.name, size, options).hash != record.protocol_hash:
        raise UserError(
            f"The {len(pictures)} test pictures of {sources.test_images or sources.dataset} are "
            f"not those of {test}: name theirs with --truth, or the --dataset they came from."
        )
    return Outputs(test, pictures)


def _check_files(outputs: Outputs, table: pd.DataFrame) -> Iterator[str]:
    """Every picture of the test is in the table, and its files are the ones that were scored."""
    expected = sorted(picture.digest for picture in outputs.inputs.files)
    for sample, rows in table.groupby("sample", sort=False):
        if sorted(rows["sha256"]) != expected:
            yield f"per_image.csv has other test pictures than there are (sample {sample})."
        for place, code in zip(rows["output"], rows["output_sha256"], strict=True):
            path = outputs.folder / place
            if not path.is_file():
                yield f"{place} is missing."
            elif sha256_of_file(path) != code:
                yield f"{place} is not the picture that was scored."


def _check_means(outputs: Outputs, samples: int) -> Iterator[str]:
    if samples == 1:
        return
    for row in range(len(outputs.inputs)):
        mean8 = rgb_to_8bit(outputs.mean(row, samples)).int()
        if (mean8 - outputs.read(row, MEAN).int()).abs().max() > 1:
            yield f"{outputs.place(row, MEAN)} is not the mean of its samples."


def _check_values(anew: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """The values of single pictures, the worst of each metric named."""
    order = ["sample", "sha256", "file"]
    anew, table = (part.sort_values(order, ignore_index=True) for part in (anew, table))
    for key in metrics.METRICS:
        if key not in anew or key not in table:
            continue
        said, found = table[key].to_numpy(float), anew[key].to_numpy(float)
        wrong = ~np.isclose(said, found, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield (
                f"{key} of {table['file'][row]} is {said[row]:.6g} in per_image.csv and "
                f"{found[row]:.6g} measured ({wrong.sum()} of {len(wrong)} values are wrong)."
            )


def _check_summary(
    record: RunRecord,
    anew: Measured,
    table: pd.DataFrame,
    samples: int,
    options: metrics.Options,
) -> Iterator[str]:
    """The means, deviations and intervals are those of the values."""
    keys = [key for key in metrics.METRICS if key in table and key not in anew.table]
    # What cannot be measured here is summed up from the table as it is.
    values = anew.table.merge(table[["sample", "sha256", "file", *keys]], how="left")
    known = Measured(values, anew.sets, anew.missing)
    first, several = summarize(known, samples, options)
    parts: list[tuple[str, dict[str, Score], dict[str, Score]]] = [("", record.metrics, first)]
    if several is not None and record.samples is not None:
        parts.append((" of the mean", record.samples.mean, several.mean))
        parts.append((" of the best", record.samples.best, several.best))
    for what, said, found in parts:
        for key, score in found.items():
            if score.mean is None and key in anew.missing:
                continue
            for fact in ("mean", "std", "low", "high"):
                was, is_ = getattr(said[key], fact), getattr(score, fact)
                if (was is None) != (is_ is None) or (was is not None and not _near(was, is_)):
                    yield f"{fact} of {key}{what} is {was} in run.json and {is_} measured."


def _near(first: float, second: float) -> bool:
    return bool(np.isclose(first, second, rtol=TOLERANCE, atol=TOLERANCE))


def _check_calibration(record: RunRecord, outputs: Outputs, samples: int) -> Iterator[str]:
    painted = find_painted(outputs.inputs)
    if painted is None or record.calibration is None:
        return
    rows = range(len(outputs.inputs))
    taken = [
        taken_paints(painted, (outputs.read(row, sample) for row in rows))
        for sample in range(samples)
    ]
    if calibrate(painted, taken) != record.calibration:
        yield "the calibration is not that of the pictures."


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
