"""Test a trained model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from benchmark import leaderboard, registry
from benchmark.checkpoints import Weights, load_weights
from benchmark.console import info, shorten
from benchmark.data.loading import Sources, load_test, locate, overlap
from benchmark.device import make_fabric
from benchmark.errors import UserError
from benchmark.evaluation import evaluate as evaluation
from benchmark.files import read_json
from benchmark.jobs.job import Job, _has_frames, _sort_typed
from benchmark.jobs.train import _sisters
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingSet, WeightsUsed, read_cost
from benchmark.settings import BatchSize, Size, sentence_of
from benchmark.metrics.table import load_metric_suite


def _find_weights(model: str, folder: RunFolder, which: str) -> Path:
    """The file of the run that `--weights` names; a sister's if the run was not even begun."""
    if not folder.settings.exists() and not Path(which).is_file():
        for sister in _sisters(registry.load_model(model), folder):
            if sister.weights_there():
                info(f"{model} has no weights of its own and reads those of {sister.path}.")
                return sister.choose_weights(which)
    return folder.choose_weights(which)


def _folder_beside(model: str, trained: RunFolder) -> RunFolder:
    """Where `model` is tested with the weights of a sister's run: never among its own weights."""
    usual = trained.run in registry.load_model(model).sisters
    own = RunFolder(trained.results, model, trained.seed)
    if usual and not own.settings.exists():
        return own
    return RunFolder(trained.results, f"{model}-of-{trained.run}", trained.seed)


def test(model: str, job: Job, lenient: bool = False) -> None:
    """Test a trained `model` under the protocol of its run, and write the leaderboard again."""
    network = registry.load_model(model)
    path = _find_weights(model, job.folder(model), job.weights)
    trained = RunFolder.of_weights(path)
    begun = read_json(trained.settings)
    settings = begun["settings"]
    folder = trained if begun["model"] == model else _folder_beside(model, trained)
    typed, sampling = _sort_typed(model, job, settings, network, begun["preset"], lenient)
    chosen = _choose_test(model, settings, typed)
    fabric = make_fabric(job.device, "32")  # a test is always in full precision
    weights = load_weights(path, model, fabric.device)
    sampling = weights.model.resolve_sampling(sampling)
    if not lenient:
        _refuse_training_options(trained, settings, typed)
    sources = _test_sources(job, begun["images"])
    images = load_test(sources, chosen.size, settings["split_seed"])
    facts = begun["training_data"]
    trained_on = overlap(images.files, facts.pop("train_digests"))
    if trained_on:
        names = ", ".join(trained_on[:5])
        info(f"Warning: {len(trained_on)} test images were trained on: {names}.")
    setup = evaluation.prepare(
        images,
        sources.name,
        chosen.size,
        suite=load_metric_suite(job.options, job.lpips_weights),
        samples=job.samples,
        num_images=job.num_images,
        batch_size=chosen.batch_size,
    )
    training_set = TrainingSet(**facts)
    evaluation.test_baselines(job.results, setup, training_set)
    candidate = evaluation.Candidate(
        folder=folder,
        model=model,
        sampling=sampling,
        weights=_weights_used(weights, trained),
        settings={**settings, "preset": begun["preset"]},
        training_data=training_set,
        cost=read_cost(trained.cost),
    )
    evaluation.test(
        candidate,
        weights.model,
        setup,
        device=fabric.device,
        overwrite=job.overwrite and "train" not in job.modes,
    )
    frames: list[Path] = []
    if job.frames and _has_frames(model, network, lenient):
        frames = evaluation.write_frames(candidate, weights.model, setup, device=fabric.device)
    if not lenient:  # a batch writes it once, after all
        found = leaderboard.write(job.results)
        print(leaderboard.formats.markdown(found.for_protocol(setup.protocol.hash)))
        info(f"Images, figure and scores: {setup.folder(candidate)}")
    if frames:
        names = shorten([path.name for path in frames])
        info(f"From noise to color, in {frames[0].parent}: {names}")


class TestSettings(BaseModel):
    """The two settings of a training that may be others in a test."""

    size: Size
    batch_size: BatchSize


def _choose_test(model: str, settings: dict[str, Any], typed: dict[str, Any]) -> TestSettings:
    """What was typed over what the run was trained with."""
    merged = {**settings, **typed}
    try:
        return TestSettings(size=merged["size"], batch_size=merged["batch_size"])
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error


def _refuse_training_options(
    folder: RunFolder, settings: dict[str, Any], typed: dict[str, Any]
) -> None:
    for name, value in typed.items():
        trained = settings[name]
        same = value == trained or [value] == trained or str(value) == str(trained)
        if name not in TestSettings.model_fields and not same:
            raise UserError(
                f"{name} {value} is for training, and {folder.path} was trained with {trained}: "
                "leave it out, or train another --run."
            )


def _test_sources(job: Job, begun: Mapping[str, str | None]) -> Sources:
    """Where test images come from: what was typed, else what the run was trained with."""
    dataset, tests = job.dataset or begun["dataset"], job.test_images or begun["test_images"]
    return locate(dataset, tests, job.results)


def _weights_used(weights: Weights, folder: RunFolder) -> WeightsUsed:
    inside = weights.path.is_relative_to(folder.path)
    shown = weights.path.relative_to(folder.path) if inside else weights.path
    return WeightsUsed(
        trained_as=weights.trained_as,
        file=shown.as_posix(),
        sha256=weights.sha256,
        epoch=weights.epoch,
    )
