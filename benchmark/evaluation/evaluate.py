"""A test: a colorizer and a protocol become images and scores, in a folder of a run's tests/."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from pydantic import ValidationError

from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.data.cache import ImageSet
from benchmark.errors import UserError
from benchmark.evaluation.calibration import (
    PaintedObjects,
    calibrate,
    find_painted,
    object_table,
    outcome_colors,
)
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.observer import Observer
from benchmark.evaluation.outputs import Outputs
from benchmark.evaluation.per_image import (
    PreviousScores,
    ScoreTable,
    identify,
    lacks_anything,
    score_missing,
    take_over,
)
from benchmark.evaluation.protocol import Protocol
from benchmark.evaluation.recorded import write_table
from benchmark.evaluation.sharing import Helpers
from benchmark.evaluation.summary import summarize
from benchmark.figures.calibration import save_calibration
from benchmark.figures.images import save_results
from benchmark.files import locked, remove, sha256_of_json, write_text
from benchmark.metrics.table import MetricSuite
from benchmark.results.environment import now
from benchmark.results.folders import SETTINGS, RunFolder, TestFolder, fit_name
from benchmark.results.outsider import OutsiderFacts
from benchmark.results.records import (
    Calibration,
    Cost,
    PretrainedWeights,
    Provenance,
    RunRecord,
    SamplingValue,
    Submission,
    TrainingSet,
    WeightsUsed,
)
from benchmark.results.schema import validation_fault, write_record
from benchmark.settings import FIGURE_IMAGES

CPU = torch.device("cpu")
TRUTHS = "truths"
"""The folder of the cache that keeps what Inception says of truths."""
LONGEST_PART = 100
"""Bytes of the name of a protocol, and of a label, in the name of a test's folder."""


@dataclass(frozen=True)
class Candidate:
    """The colorizer of a test: every field of run.json that is not measured.

    sampling: resolved, with every value set. sampling_changes: the values that are not defaults.
    """

    folder: RunFolder
    model: str
    kind: Literal["model", "fixed", "submitted", "outsider"] = "model"
    sampling: Sampling = field(default_factory=Sampling)
    sampling_changes: list[str] = field(default_factory=list)
    weights: WeightsUsed | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    submission: Submission | None = None
    training_data: TrainingSet | None = None
    pretrained: PretrainedWeights | None = None
    outsider: OutsiderFacts | None = None
    cost: Cost | None = None

    def provenance(self, protocol: Protocol, images: ImageSet) -> Provenance:
        """What the candidate's outputs under this protocol depend on."""
        return Provenance(
            weights_sha256=weights_hash(self.weights, self.outsider),
            inputs=sha256_of_json([[image.name, image.digest] for image in images.files]),
            seed=self.folder.seed,
            sampling=self.sampling.model_dump(mode="json"),
            protocol_hash=protocol.hash,
        )

    def label(self) -> str:
        """A short text for the test's folder; empty for the best weights and default sampling."""
        sampling = self.sampling.model_dump(mode="json")
        return label_of(self.model, sampling, self.sampling_changes, self.weights, self.submission)


def weights_hash(weights: WeightsUsed | None, outsider: OutsiderFacts | None) -> str | None:
    """The hash of what colored the images: the weights, or an outsider's weights or exemplars."""
    if weights is not None or outsider is None:
        return weights.sha256 if weights is not None else None
    return outsider.weights_sha256 or outsider.exemplars_sha256


def label_of(
    model: str,
    sampling: Mapping[str, SamplingValue],
    sampling_changes: Sequence[str],
    weights: WeightsUsed | None,
    submission: Submission | None,
) -> str:
    """What differs in a test from the best weights of its model and the default sampling."""
    changed = {key: sampling[key] for key in sampling_changes}
    parts = [
        f"{key}{value:g}" if isinstance(value, float) else f"{key}{value}"
        for key, value in changed.items()
    ]
    if weights is not None:
        if (stem := Path(weights.file).stem) != "best":
            parts.append(f"weights-{stem}")
        if weights.trained_as != model:
            parts.append(f"weights-of-{weights.trained_as}")
    if submission is not None:
        parts += ["resized"] * submission.resized
        parts += ["lightness-input"] * (submission.lightness == "input")
    return "-".join(parts).replace("/", "_")


def folder_name(protocol: str, protocol_hash: str, label: str) -> str:
    """<protocol>-<hash>[-<label>]; part of the hash keeps two sets of one name apart."""
    parts = [fit_name(protocol, LONGEST_PART), protocol_hash[:8], fit_name(label, LONGEST_PART)]
    return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class TestSetup:
    """What all candidates of a test share: the images, their protocol, the metrics.

    samples: of each image. num_images: rows of the figure. painted: the objects of known paint, if
    these are images of the built-in sample.
    """

    __test__ = False  # pytest takes every class called Test… for tests

    images: ImageSet
    protocol: Protocol
    suite: MetricSuite
    samples: int
    num_images: int
    batch_size: int
    painted: PaintedObjects | None

    def folder(self, candidate: Candidate) -> TestFolder:
        """The folder of a candidate's test."""
        name = folder_name(self.protocol.name, self.protocol.hash, candidate.label())
        return TestFolder(candidate.folder.tests / name)


def prepare(
    images: ImageSet,
    source: str,
    test_images: TestImages,
    *,
    suite: MetricSuite,
    samples: int = 1,
    num_images: int = FIGURE_IMAGES,
    batch_size: int = 64,
    cache: Path | None = None,
) -> TestSetup:
    """Set up a test on these images, and name the metrics that are left out for lack of weights.

    cache: the folder of the results' cache, where what Inception says of the truths is kept.
    """
    for key, reason in suite.unavailable.items():
        info(f"{suite.metrics[key].label} is left out: {reason}.")
    test_images.require_complete(images)
    if len(images) == 1:
        info("There is only one test image: its scores have no intervals.")
    protocol = Protocol.of(images, source, test_images, suite)
    painted = find_painted(images, test_images.preprocessing)
    suite = replace(suite, truths=cache / TRUTHS if cache is not None else None)
    return TestSetup(images, protocol, suite, samples, num_images, batch_size, painted)


def test(
    candidate: Candidate,
    colorizer: Colorizer,
    setup: TestSetup,
    *,
    device: torch.device = CPU,
    overwrite: bool = False,
    helpers: Helpers | None = None,
) -> RunRecord:
    """Color, write and score whatever is missing of a test; returns its record.

    helpers: further processes that color, on other devices.
    """
    outputs = Outputs(setup.folder(candidate), setup.images)
    samples = setup.samples
    if samples > 1 and not colorizer.stochastic:
        if candidate.kind == "model":
            info(
                f"{candidate.model} is not stochastic: it is tested with one sample of each image."
            )
        samples = 1
    with lock(outputs.folder, wait=not overwrite):
        if overwrite:
            outputs.delete()
        colored = outputs.colorize_missing(
            colorizer,
            candidate.provenance(setup.protocol, setup.images),
            candidate.sampling,
            samples,
            device=device,
            batch_size=setup.batch_size,
            label=f"testing {candidate.model}",
            helpers=helpers,
        )
        timing = outputs.timing()
        if colored and timing is not None and candidate.kind == "model":
            rate = 1000 / max(timing.ms_per_image, 1e-3)
            info(f"{candidate.model} colored {colored} images, {rate:.3g} images/s.")
        return score_outputs(candidate, outputs, setup)


def write_frames(
    candidate: Candidate, colorizer: Colorizer, setup: TestSetup, *, device: torch.device = CPU
) -> list[Path]:
    """Write the sampling steps of the first images of a finished test, one for each row of its
    figure; returns the files."""
    outputs = Outputs(setup.folder(candidate), setup.images)
    with lock(outputs.folder):
        return outputs.write_frames(
            colorizer,
            candidate.provenance(setup.protocol, setup.images),
            candidate.sampling,
            setup.num_images,
            device=device,
            batch_size=setup.batch_size,
        )


def lock(folder: TestFolder, *, wait: bool = True) -> AbstractContextManager[None]:
    """Lock a test's folder, since two processes may run the same test, above all fixed rows.

    wait: whether to wait for another process in it, or to raise UserError at once.
    """
    in_use = f"{folder.path} is in use by another process: wait until that has ended, or stop it."
    return locked(folder.lock, None if wait else in_use)


def score_outputs(candidate: Candidate, outputs: Outputs, setup: TestSetup) -> RunRecord:
    """Score the written images; what an earlier test measured of the same files is kept."""
    folder, suite = outputs.folder, setup.suite
    previous = PreviousScores.read(folder)
    samples = outputs.count_samples()  # perhaps more than are asked for now
    scores = take_over(_identify_with_means(outputs, samples, previous), previous, suite)
    current = previous if previous and _is_current(previous.record, candidate, setup) else None
    measured = not scores.is_new and not lacks_anything(scores, samples, suite)
    if current is not None and measured:
        rows = range(min(setup.num_images, len(setup.images)))
        _draw_figure(folder, [outputs.read(row) for row in rows], setup)
        return _already_tested(candidate, folder, current)
    observer = Observer(setup.num_images, setup.painted)
    score_missing(scores, outputs, samples, suite, observer, folder.partial_scores)
    _draw_figure(folder, observer.first_images, setup)
    if current is not None and not scores.is_new:  # what was unmeasured is undefined
        return _already_tested(candidate, folder, current)
    remove(folder.record)  # the folder is no result until it is complete again
    per_image_sha256 = write_table(folder.per_image, scores.table)
    calibration = _calibrate(candidate, folder, observer)
    try:
        record = _make_record(
            candidate, setup, outputs, samples, scores, calibration, per_image_sha256
        )
    except ValidationError as error:
        raise UserError(
            f"{folder.path} cannot be recorded ({validation_fault(error)}): {SETTINGS} of the run "
            "holds a value that no training has; train again with --overwrite."
        ) from error
    write_record(folder.record, record)
    remove(folder.partial_scores)
    return record


def _identify_with_means(
    outputs: Outputs, samples: int, previous: PreviousScores | None
) -> pd.DataFrame:
    """Identify the outputs; the means of several samples are written unless they are scored."""
    if samples > 1:
        if previous is not None:
            with suppress(UserError):  # a mean is missing
                identity = identify(outputs, samples)
                if identity.equals(previous.identity):
                    return identity
        outputs.write_means(samples)
    return identify(outputs, samples)


def _already_tested(
    candidate: Candidate, folder: TestFolder, previous: PreviousScores
) -> RunRecord:
    if candidate.kind == "model":
        info(f"{folder.path} is already tested.")
    return previous.record


def _is_current(record: RunRecord, candidate: Candidate, setup: TestSetup) -> bool:
    """Whether a record describes its candidate and protocol as they are today."""
    recorded, today = (
        (of.weights, of.settings, of.training_data, of.pretrained, of.outsider, of.cost)
        for of in (record, candidate)
    )
    same = recorded == today and record.failed == setup.images.failures
    return same and record.protocol == setup.protocol.describe()


def _draw_figure(folder: TestFolder, images: list[torch.Tensor], setup: TestSetup) -> None:
    """Draw figure.png of the first images as written, uint8 (3, S, S) each."""
    truth8 = setup.images.rgb8[: len(images)]
    lightness = rgb_to_lightness(rgb_from_8bit(truth8))
    save_results(folder.figure, lightness, rgb_from_8bit(torch.stack(images)), truth8)


def _calibrate(candidate: Candidate, folder: TestFolder, observer: Observer) -> Calibration | None:
    """Write objects.csv and calibration.png, and summarize how the objects were painted."""
    if observer.painted is None:
        return None
    paints = observer.predicted_paints()
    table = object_table(observer.painted, paints)
    write_text(folder.objects, table.to_csv(index=False, lineterminator="\n"))
    calibration = calibrate(observer.painted, paints)
    save_calibration(folder.calibration, calibration, candidate.folder.run, outcome_colors())
    return calibration


def _make_record(
    candidate: Candidate,
    setup: TestSetup,
    outputs: Outputs,
    samples: int,
    scores: ScoreTable,
    calibration: Calibration | None,
    per_image_sha256: str,
) -> RunRecord:
    first, several = summarize(scores, samples, setup.suite)
    return RunRecord(
        kind=candidate.kind,
        model=candidate.model,
        run=candidate.folder.run,
        seed=candidate.folder.seed,
        settings=candidate.settings,
        sampling=candidate.sampling.model_dump(mode="json"),
        sampling_changes=candidate.sampling_changes,
        submission=candidate.submission,
        weights=candidate.weights,
        protocol=setup.protocol.describe(),
        protocol_hash=setup.protocol.hash,
        training_data=candidate.training_data,
        pretrained=candidate.pretrained,
        outsider=candidate.outsider,
        n_expected=len(setup.images),
        n_scored=len(scores.of_sample(0)),
        failed=setup.images.failures,
        metrics=first,
        samples=several,
        calibration=calibration,
        per_image_sha256=per_image_sha256,
        timing=outputs.timing(),
        cost=candidate.cost,
        environment=outputs.environment(),
        finished=now(),
    )
