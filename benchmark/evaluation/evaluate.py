"""A colorizer and a protocol → images and scores, in one folder under a run's tests/."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock

import metrics
from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.data.cache import ImageSet
from benchmark.evaluation.baselines import GRAY, GROUND_TRUTH, MEAN_AB, Gray, GroundTruth, MeanAb
from benchmark.evaluation.calibration import (
    PaintedObjects,
    calibrate,
    find_painted,
    object_table,
    taken_paints,
)
from benchmark.evaluation.outputs import Outputs, Provenance
from benchmark.evaluation.per_image import PreviousScores, ScoreTable, measure, write_table
from benchmark.evaluation.protocol import Protocol
from benchmark.evaluation.summary import summarize
from benchmark.figures.calibration import save_calibration
from benchmark.figures.images import read_png, save_results
from benchmark.files import sha256_of_json, write_text
from benchmark.randomness import derive_seed
from benchmark.results.environment import now
from benchmark.results.folders import RunFolder
from benchmark.results.records import (
    Calibration,
    Cost,
    RunRecord,
    Score,
    Submission,
    TrainingSet,
    WeightsUsed,
    write_record,
)

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Candidate:
    """Who is tested: all of run.json that is not measured here."""

    folder: RunFolder
    model: str
    kind: Literal["model", "fixed", "submitted"] = "model"
    sampling: Sampling = field(default_factory=Sampling)
    weights: WeightsUsed | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    submission: Submission | None = None
    training_data: TrainingSet | None = None
    cost: Cost | None = None

    def provenance(self, protocol: Protocol, images: ImageSet) -> Provenance:
        return Provenance(
            weights_sha256=self.weights.sha256 if self.weights else None,
            inputs=sha256_of_json([[p.name, p.digest] for p in images.files]),
            seed=self.folder.seed,
            sampling=self.sampling.model_dump(mode="json"),
            protocol_hash=protocol.hash,
        )


@dataclass(frozen=True)
class TestSetup:
    """On what: the images and their protocol; how many samples, and rows of the figure.

    painted: the objects of known paints, if these are images of the built-in sample.
    """

    images: ImageSet
    protocol: Protocol
    suite: metrics.MetricSuite
    samples: int
    num_images: int
    batch_size: int
    painted: PaintedObjects | None

    def folder(self, candidate: Candidate) -> Path:
        """tests/<protocol>[-<choices>]; part of the hash keeps two sets of one name apart."""
        parts = [self.protocol.name, self.protocol.hash[:8], candidate.sampling.label()]
        if candidate.weights is not None and (stem := Path(candidate.weights.file).stem) != "best":
            parts.append(f"weights-{stem}")
        if candidate.submission is not None:
            parts += ["resized"] * candidate.submission.resized
            parts += ["lightness-input"] * (candidate.submission.lightness == "input")
        return candidate.folder.tests / "-".join(part for part in parts if part)


def prepare(
    images: ImageSet,
    source: str,
    size: int,
    *,
    suite: metrics.MetricSuite,
    samples: int = 1,
    num_images: int = 4,
    batch_size: int = 64,
) -> TestSetup:
    """A test on these images. Metrics without genuine weights are named, and the rest is done."""
    rows = metrics.table(suite.options)
    for key, reason in suite.missing.items():
        info(f"{rows[key].label} is left out: {reason}.")
    if len(images) == 1:
        info("There is one test image only: no interval tells how sure its scores are.")
    protocol = Protocol.of(images, source, size, suite.options)
    painted = find_painted(images)
    return TestSetup(images, protocol, suite, samples, num_images, batch_size, painted)


def test(
    candidate: Candidate,
    colorizer: Colorizer,
    setup: TestSetup,
    *,
    device: torch.device = CPU,
    overwrite: bool = False,
) -> RunRecord:
    """Color, write, score: what is not there yet of it."""
    outputs = Outputs(setup.folder(candidate), setup.images)
    samples = setup.samples
    if samples > 1 and not colorizer.stochastic:
        if candidate.kind == "model":
            info(f"{candidate.model} is not stochastic: one sample says all.")
        samples = 1
    with lock(outputs.folder):
        if overwrite:
            outputs.delete()
        outputs.colorize_missing(
            colorizer,
            candidate.provenance(setup.protocol, setup.images),
            candidate.sampling,
            samples,
            device=device,
            batch_size=setup.batch_size,
            label=f"testing {candidate.model}",
        )
        return score_outputs(candidate, outputs, setup)


def write_frames(
    candidate: Candidate, colorizer: Colorizer, setup: TestSetup, *, device: torch.device = CPU
) -> list[Path]:
    """The way from noise to the first images of a test that is done, as many as its figure has.

    Returns the files.
    """
    outputs = Outputs(setup.folder(candidate), setup.images)
    provenance = candidate.provenance(setup.protocol, setup.images)
    with lock(outputs.folder):
        return outputs.write_frames(
            colorizer,
            provenance,
            candidate.sampling,
            setup.num_images,
            device=device,
            batch_size=setup.batch_size,
        )


def lock(test: Path) -> FileLock:
    """Two programs may come to the same test, of a fixed row above all: one waits for the other."""
    test.mkdir(parents=True, exist_ok=True)
    return FileLock(test / ".lock")


def score_outputs(candidate: Candidate, outputs: Outputs, setup: TestSetup) -> RunRecord:
    """Score the images that were written; what an earlier test says of them is kept."""
    previous = PreviousScores.read(outputs.folder)
    samples = outputs.samples_there()  # perhaps more than are asked for now
    if samples > 1 and (previous is None or not previous.is_of(outputs, samples)):
        outputs.write_means(samples)
    measured = measure(outputs, samples, setup.suite, previous)
    _draw_figure(outputs, setup)
    if previous is not None and not measured.is_new and _is_of(previous.record, candidate, setup):
        if candidate.kind == "model":
            info(f"{outputs.folder} is already tested.")
        return previous.record
    path = outputs.folder / "run.json"
    path.unlink(missing_ok=True)  # from here on the folder is not a result until it is whole
    code = write_table(outputs.folder / "per_image.csv", measured.table)
    calibration = _calibrate(candidate, setup, outputs, samples)
    record = _record(candidate, setup, outputs, samples, measured, calibration, code)
    write_record(path, record)
    return record


def _calibrate(
    candidate: Candidate, setup: TestSetup, outputs: Outputs, samples: int
) -> Calibration | None:
    """How the objects of known paints were painted: objects.csv, calibration.png, and in short."""
    if setup.painted is None:
        return None
    taken = predicted_paints(setup.painted, outputs, samples)
    table = object_table(setup.painted, taken)
    write_text(outputs.folder / "objects.csv", table.to_csv(index=False, lineterminator="\n"))
    calibration = calibrate(setup.painted, taken)
    save_calibration(outputs.folder / "calibration.png", calibration, candidate.folder.run)
    return calibration


def _is_of(record: RunRecord, candidate: Candidate, setup: TestSetup) -> bool:
    """Whether a record says of its subject what is so today."""
    said = (record.weights, record.settings, record.training_data, record.cost)
    is_so = (candidate.weights, candidate.settings, candidate.training_data, candidate.cost)
    return said == is_so and record.protocol == setup.protocol.describe()


def predicted_paints(painted: PaintedObjects, outputs: Outputs, samples: int) -> list[list[str]]:
    """Which paint each object took in each sample."""
    rows = range(len(outputs.inputs))
    return [
        taken_paints(painted, (outputs.read(row, sample) for row in rows))
        for sample in range(samples)
    ]


def test_baselines(results: Path, setup: TestSetup, training_set: TrainingSet | None) -> None:
    """The fixed rows of this protocol. RuntimeError if ground truth does not come out perfect.

    That one is tested first, and leaves no result if it fails. training_set: the training data,
    whose mean ab is a row too.
    """
    truths = {
        derive_seed(0, image.name, 0): rgb_from_8bit(rgb8)
        for image, rgb8 in zip(setup.images.files, setup.images.rgb8, strict=True)
    }
    for name, colorizer in ((GROUND_TRUTH, GroundTruth(truths)), (GRAY, Gray())):
        candidate = Candidate(RunFolder(results, name.replace(" ", "-"), 0), name, kind="fixed")
        record = test(candidate, colorizer.eval(), setup)
        fault = ground_truth_error(record.metrics, setup.suite) if name == GROUND_TRUTH else None
        if fault is not None:
            (setup.folder(candidate) / "run.json").unlink()
            raise RuntimeError(f"ground truth {fault}: a fault of ours")
    if training_set is not None:
        code = sha256_of_json([training_set.manifest, training_set.ab_mean])[:8]
        # Each training set has its own, and a table may show several.
        folder = RunFolder(results, f"{MEAN_AB.replace(' ', '-')}-{code}", 0)
        candidate = Candidate(folder, MEAN_AB, kind="fixed", training_data=training_set)
        a_mean, b_mean = training_set.ab_mean
        test(candidate, MeanAb((a_mean, b_mean)).eval(), setup)


def ground_truth_error(scores: Mapping[str, Score], suite: metrics.MetricSuite) -> str | None:
    """What is not perfect of the truth's scores, or None."""
    for key, metric in metrics.table(suite.options).items():
        mean, wanted = scores[key].mean, metric.perfect
        lacks_network = metric.network is not None and metric.network not in suite.networks
        if wanted is None or lacks_network:
            continue
        if mean is None or abs(mean - wanted) > 2e-5:
            return f"scores {mean} in {key}, not {wanted}"
    return None


def _draw_figure(outputs: Outputs, setup: TestSetup) -> None:
    """figure.png from the images as written: the first ones, as many as were asked for."""
    truth8 = setup.images.rgb8[: setup.num_images]
    output = torch.stack([read_png(outputs.path(row)) for row in range(len(truth8))])
    lightness = rgb_to_lightness(rgb_from_8bit(truth8))
    save_results(outputs.folder / "figure.png", lightness, output, truth8)


def _record(
    candidate: Candidate,
    setup: TestSetup,
    outputs: Outputs,
    samples: int,
    measured: ScoreTable,
    calibration: Calibration | None,
    code: str,
) -> RunRecord:
    scores, several = summarize(measured, samples, setup.suite.options)
    return RunRecord(
        kind=candidate.kind,
        model=candidate.model,
        run=candidate.folder.run,
        seed=candidate.folder.seed,
        settings=candidate.settings,
        sampling=candidate.sampling.model_dump(mode="json"),
        submission=candidate.submission,
        weights=candidate.weights,
        protocol=setup.protocol.describe(),
        protocol_hash=setup.protocol.hash,
        training_data=candidate.training_data,
        n_expected=len(setup.images),
        n_scored=len(measured.of_sample(0)),
        failed=setup.images.failures,
        metrics=scores,
        samples=several,
        calibration=calibration,
        per_image_sha256=code,
        timing=outputs.timing(),
        cost=candidate.cost,
        environment=outputs.made_in(),
        finished=now(),
    )
