"""Test a trained model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from benchmark.checkpoints import Weights, load_weights
from benchmark.console import info, shorten
from benchmark.data.loading import load_test, overlap
from benchmark.data.report import FileReport
from benchmark.data.sources import locate
from benchmark.device import make_fabric, other_devices
from benchmark.errors import UserError
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import test_baselines
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.sharing import Helpers
from benchmark.jobs.job import Job, TestSettings, split_typed
from benchmark.jobs.weights import find_weights, run_for_file, sampling_defaults, training_of
from benchmark.metrics.table import load_metric_suite
from benchmark.results.folders import RunFolder, TestFolder
from benchmark.results.records import (
    Cost,
    RunRecord,
    TrainingRecord,
    WeightsUsed,
    read_cost,
)
from benchmark.settings import Settings, sentence_of


@dataclass(frozen=True)
class FinishedTest:
    """A test that is done: its folder, its record, and the files that `--frames` asked for."""

    folder: TestFolder
    record: RunRecord
    frames: list[Path] = field(default_factory=list)


def test(model: str, job: Job) -> FinishedTest:
    """Test a trained `model` under the protocol of its run, and the fixed rows beside it."""
    if job.encoder_weights is not None and not job.trains:
        raise UserError("--encoder_weights is an option of the training: leave it out of a test.")
    fabric = make_fabric(job.device, "32")  # a test is always in full precision
    tested = _load(model, job, fabric.device)
    weights, begun = tested.weights, tested.begun
    # settings.json may lack some: a run of an older version, or a file that was edited.
    network = type(weights.model)
    known = {*begun.settings, *Settings.model_fields, *network.architecture_schema().model_fields}
    defaults = sampling_defaults(model, weights)
    typed, sampling = split_typed(model, job, known, network, defaults)
    chosen = _choose_settings(model, begun.settings, typed)
    sampling = weights.model.resolve_sampling(sampling)
    _refuse_training_options(tested, typed)
    # Where test images come from: what was typed, else what the run was trained with.
    dataset = job.dataset or begun.images.dataset
    test_images = TestImages.of(chosen.size, job.protocol, job.limit, job.degraded)
    sources = test_images.chosen_from(
        locate(dataset, job.test_images or begun.images.test_images, job.results)
    )
    seed = begun.settings["split_seed"]
    # A training just before has shown the messages about the same images.
    quiet = job.trains and test_images.rule() is None
    images = load_test(sources, test_images.preprocessing, seed, quiet=quiet)
    trained_on = overlap(images, begun)
    if weights.portable is not None:
        info(
            f"Warning: {weights.path} does not say which images the model was trained on, so test "
            "images may be among them."
        )
    if trained_on:
        names = shorten(trained_on)
        info(f"Warning: the model was trained on {len(trained_on)} of the test images: {names}.")
    setup = evaluate.prepare(
        images,
        sources.name,
        test_images,
        suite=load_metric_suite(test_images.options(job.metric_options), job.lpips_weights),
        samples=job.samples,
        num_images=job.num_images,
        batch_size=chosen.batch_size,
        cache=sources.cache,
    )
    test_baselines(job.results, setup, begun.training_data)
    candidate = evaluate.Candidate(
        folder=tested.folder,
        model=model,
        sampling=sampling,
        sampling_changes=weights.model.sampling_changes(sampling),
        weights=_weights_used(tested),
        settings={**begun.settings, "preset": begun.preset},
        training_data=begun.training_data,
        pretrained=begun.pretrained,
        cost=tested.cost,
    )
    devices = other_devices(job.device)
    helpers = Helpers(
        devices, model, weights.path, weights.sha256, sources.cache, test_images.preprocessing
    )
    record = evaluate.test(
        candidate,
        weights.model,
        setup,
        device=fabric.device,
        overwrite=job.overwrite and not job.trains,
        helpers=helpers if devices else None,
    )
    FileReport.of(images).write(setup.folder(candidate).file_report)
    frames: list[Path] = []
    if job.frames:
        frames = evaluate.write_frames(candidate, weights.model, setup, device=fabric.device)
    return FinishedTest(setup.folder(candidate), record, frames)


@dataclass(frozen=True)
class _Tested:
    """The weights that are tested, and what is known of their training.

    trained: the run that they lie in; None for an exported file. folder: the run of the test.
    """

    weights: Weights
    begun: TrainingRecord
    cost: Cost | None
    trained: RunFolder | None
    folder: RunFolder


def _load(model: str, job: Job, device: torch.device) -> _Tested:
    """Load the weights that are asked for, from a run or from an exported file."""
    path = find_weights(model, job.folder(model), job.weights)
    weights = load_weights(path, model, device)
    if weights.portable is not None:
        about = weights.portable
        folder = run_for_file(job.weights, job.results, job.run, about.seed)
        return _Tested(weights, about.training, about.cost, None, folder)
    trained = RunFolder.of_weights(path)
    # Weights of another model are tested in the folder of the run that was asked for.
    borrowed = RunFolder(job.results, job.folder(model).run, trained.seed)
    folder = trained if weights.trained_as == model else borrowed
    return _Tested(weights, training_of(weights), read_cost(trained.cost), trained, folder)


def _choose_settings(model: str, settings: dict[str, Any], typed: dict[str, Any]) -> TestSettings:
    """Return the settings of the test: what was typed over what the run was trained with."""
    merged = {**settings, **typed}
    try:
        return TestSettings(size=merged["size"], batch_size=merged["batch_size"])
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error


def _refuse_training_options(tested: _Tested, typed: dict[str, Any]) -> None:
    """Raise UserError for a typed setting of the training that the run was not trained with."""
    settings, trained_run = tested.begun.settings, tested.trained
    where = tested.weights.path if trained_run is None else trained_run.path
    record = tested.weights.path if trained_run is None else trained_run.settings
    for name, value in typed.items():
        trained = settings.get(name)
        same = value == trained or [value] == trained or str(value) == str(trained)
        if name not in TestSettings.model_fields and not same:
            known = f"{where} was trained with {trained}"
            if name not in settings:
                known = f"{record} does not say with which value it was trained"
            raise UserError(
                f"{name} {value} is a setting of the training, and {known}: leave it out, or train "
                "another run with --run."
            )


def _weights_used(tested: _Tested) -> WeightsUsed:
    """Describe the weights for run.json, their file relative to a run of the same results."""
    weights, trained = tested.weights, tested.trained
    path, results = weights.path.resolve(), tested.folder.results.resolve()
    own = trained if trained is not None and trained.results.resolve() == results else None
    if own is not None and not path.is_relative_to(own.path.resolve()):
        own = None
    file = path if own is None else path.relative_to(own.path.resolve())
    return WeightsUsed(
        trained_as=weights.trained_as,
        run=None if own is None else own.run,
        file=file.as_posix(),
        sha256=weights.sha256,
        epoch=weights.epoch,
    )
