"""Train a model into its run's folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric

from benchmark import registry
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.data.loading import TrainingData, load_training
from benchmark.data.sources import Sources
from benchmark.device import device_name, make_fabric
from benchmark.errors import Diverged, UserError
from benchmark.jobs import begun_run
from benchmark.jobs.job import Job, split_typed
from benchmark.jobs.overwriting import require_consent
from benchmark.jobs.run_lock import delete_run, lock_run, require_places
from benchmark.jobs.weights import model_of, run_beside, run_of_other
from benchmark.metrics.table import MetricSuite, load_metric_suite
from benchmark.results.folders import RunFolder
from benchmark.results.records import PretrainedWeights, TrainingRecord, read_divergence
from benchmark.results.schema import read_record, write_record
from benchmark.settings import Settings, resolve
from benchmark.training.loop import Loop
from benchmark.training.pretrained import load_pretrained
from benchmark.training.tracking import choose_wandb_mode


@dataclass(frozen=True)
class _Request:
    """What a training is asked for, before any file of its run is read.

    sources: who decided each of the settings. defaults: of the settings, by name. sampling: of the
    test after it, as it was typed.
    """

    model: str
    preset: str
    settings: Settings
    sources: dict[str, str]
    defaults: dict[str, Any]
    sampling: Sampling
    images: Sources
    fabric: Fabric


def train(
    model: str, job: Job, sources: Sources, preset: str, *, explicitly_requested: bool
) -> None:
    """Train `model` into its run's folder, from the start or from where it stopped.

    Everything that can be wrong is found before anything is deleted or written, and no other
    process trains the same run meanwhile. preset: the typed one or the default.
    explicitly_requested: whether the user asked to train this model; otherwise it is not trained
    where it can read the weights of another model (`Colorizer.weights_of`).
    """
    folder, wandb_mode = job.folder(model), choose_wandb_mode(job.wandb)
    if job.overwrite:
        require_consent(folder, given=job.yes)
    settings_class = registry.load_settings(model)
    known = settings_class.described()
    network = settings_class.model_class
    of_sampling = network.sampling_class.presets.get(preset, {})
    typed, sampling = split_typed(model, job, known, network, of_sampling)
    defaults = {name: default for name, (default, _) in known.items()}
    added = {} if job.overwrite else begun_run.added_defaults(folder, model, defaults, typed)
    resolved = resolve(settings_class, model, preset, {**added, **typed})
    resolved = begun_run.mark_added(resolved, added)
    fabric = make_fabric(job.device, resolved.settings.precision)
    request = _Request(
        model, preset, resolved.settings, resolved.sources, defaults, sampling, sources, fabric
    )
    with lock_run(folder):
        loop = _prepare(request, folder, job, explicitly_requested=explicitly_requested)
        while loop is not None:
            try:
                loop.run(wandb_mode, job.compiled)
            except Diverged as error:
                if loop.halved >= job.retry_diverged:
                    raise
                info(str(error))
                begun_run.go_back(folder)
                loop = _again(loop, request, folder, job)
            else:
                loop = None


def _prepare(
    request: _Request, folder: RunFolder, job: Job, *, explicitly_requested: bool
) -> Loop | None:
    """Load the images and begin the run, or go on with it; None if another run replaces it."""
    model, settings, fabric = request.model, request.settings, request.fabric
    data = load_training(request.images, settings, is_tested=job.tests)
    recipe_class = registry.load_recipe(model)
    suite = MetricSuite()
    if job.tests or recipe_class.select_best_by == "images":
        suite = load_metric_suite(job.metric_options, job.lpips_weights)
    network, pretrained = _new_network(request, job, data)
    record = TrainingRecord(
        model=model,
        preset=request.preset,
        settings=settings.flat(),
        sources=request.sources,
        images=request.images.record(),
        training_data=data.training_set,
        train_digests=data.train_digests,
        train_contents=data.train_contents,
        pretrained=pretrained,
    )
    if not explicitly_requested and _is_replaced(type(network), folder, record, request, job):
        return None
    loop = Loop(folder, model, network, recipe_class(network, settings), data, fabric, suite)
    if job.overwrite:
        delete_run(folder)
    loop.take_over(_begin(folder, record, request.defaults, loop.steps_per_epoch, job))
    data.report.write(folder.file_report)
    info(f"{model} trains on {device_name(fabric.device)} in {fabric._precision.precision}.")
    return loop


def _new_network(
    request: _Request, job: Job, data: TrainingData
) -> tuple[Colorizer, PretrainedWeights | None]:
    """Build the untrained network, and say which weights its encoder has."""
    settings = request.settings
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    # A sampling that these weights cannot have ends the job now.
    network.resolve_sampling(request.sampling)
    pretrained = load_pretrained(network, job.encoder_weights)
    network.calibrate(data.statistics)
    return network, pretrained


def _again(diverged: Loop, request: _Request, folder: RunFolder, job: Job) -> Loop:
    """Return the loop of a run that goes back to its last good state after it diverged."""
    network, _ = _new_network(request, job, diverged.data)
    recipe = registry.load_recipe(request.model)(network, request.settings)
    suite = diverged.sample_validation.suite
    loop = Loop(folder, request.model, network, recipe, diverged.data, request.fabric, suite)
    loop.take_over(read_record(folder.settings, TrainingRecord))
    return loop


def _is_replaced(
    network: type[Colorizer],
    folder: RunFolder,
    record: TrainingRecord,
    request: _Request,
    job: Job,
) -> bool:
    """Whether another run's weights are read instead of a training, as a message then says."""
    replacement = _find_replacement(network, folder, record, overwrite=job.overwrite)
    if replacement is None:
        return False
    other, trained = replacement
    _require_same_settings(
        other, trained, record, request.defaults, preset_is_typed=job.preset is not None
    )
    info(
        f"{record.model} is not trained: it differs from {network.weights_of} only in its "
        f"sampler, and reads the weights of {other.path}. Train it with --model {record.model} "
        "--mode train."
    )
    if job.overwrite and other is not folder:
        delete_run(folder)
    return True


def _find_replacement(
    network: type[Colorizer], folder: RunFolder, record: TrainingRecord, *, overwrite: bool
) -> tuple[RunFolder, TrainingRecord] | None:
    """Return the finished run of `weights_of` on the same images, unless an own run was begun.

    overwrite: whether the run in `folder` is to be deleted, so that it need not be readable.
    """
    if network.weights_of is None:
        return None
    try:
        if model_of(folder) == record.model:
            return None
        other = run_of_other(record.model, folder)
    except UserError:
        if not overwrite:
            raise
        other = run_beside(folder, record.model, network.weights_of)
    if other is None or not other.cost.exists():
        return None
    trained = read_record(other.settings, TrainingRecord)
    same = trained.training_data.manifest == record.training_data.manifest
    return (other, trained) if same else None


def _require_same_settings(
    other: RunFolder,
    trained: TrainingRecord,
    record: TrainingRecord,
    defaults: Mapping[str, Any],
    *,
    preset_is_typed: bool,
) -> None:
    """Raise UserError for a typed setting or preset that `other` was not trained with."""
    decided = {"typed", f"preset {record.preset}"} if preset_is_typed else {"typed"}
    names = [name for name, source in record.sources.items() if source in decided]
    changed = begun_run.changed_settings(trained, record, names, defaults)
    if preset_is_typed and trained.preset != record.preset:
        changed.insert(0, f"preset {trained.preset} instead of {record.preset}")
    if (fault := begun_run.other_encoder(trained, record)) is not None:
        changed.append(fault)
    if changed:
        raise UserError(
            f"{record.model} is not trained but reads the weights of {other.path}, which was "
            f"trained with {', '.join(changed)}: leave these options out, or train with "
            f"`--model {record.model} --mode train`."
        )


def _begin(
    folder: RunFolder,
    record: TrainingRecord,
    defaults: Mapping[str, Any],
    steps_per_epoch: int,
    job: Job,
) -> TrainingRecord:
    """Print and write the settings of a run; return the record that is in force from now on.

    Raises UserError if its folder holds another run.
    """
    require_places(folder)
    remedy = "Give this run a name of its own with --run, or delete the other with --overwrite."
    if folder.submission.exists():
        raise UserError(f"{folder.path} holds images of another program. {remedy}")
    if os.path.lexists(folder.settings):
        previous = read_record(folder.settings, TrainingRecord)
        fault = begun_run.difference(previous, record, defaults, steps_per_epoch)
        if fault is None and begun_run.may_go_back(folder, previous, job.retry_diverged):
            previous = begun_run.go_back(folder)
        if not _start_over_after_divergence(folder, previous, record, fault):
            if fault is not None:
                raise UserError(f"{folder.path} {fault}. {remedy}")
            return begun_run.go_on(folder, previous, record)
    info(f"{record.model}, preset {record.preset}, into {folder.path}:")
    for name, value in record.settings.items():
        info(f"  {name:<18} {value!s:<28} {record.sources[name]}")
    write_record(folder.settings, record)
    return record


def _start_over_after_divergence(
    folder: RunFolder, previous: TrainingRecord, record: TrainingRecord, fault: str | None
) -> bool:
    """Delete a run of the same model and images whose training diverged. Returns whether it did.

    fault: in what it differs from the one that is asked for. A message says what is deleted.
    """
    same = previous.training_data.manifest == record.training_data.manifest
    divergence = read_divergence(folder.divergence)
    if divergence is None or previous.model != record.model or not same:
        return False
    if divergence.is_finite and fault is None:
        return False  # it goes on
    kept = f", with weights of epoch {divergence.best_epoch}," if divergence.best_epoch else ""
    info(
        f"{folder.path} diverged in epoch {divergence.epoch}: this run{kept} is deleted, and the "
        "training starts over."
    )
    delete_run(folder)
    return True
