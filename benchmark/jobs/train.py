"""Train a model into its run's folder."""

import shutil
from collections.abc import Iterable

import torch

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.data.loading import load_training
from benchmark.data.sources import Sources
from benchmark.device import device_name, make_fabric
from benchmark.errors import UserError
from benchmark.jobs.job import Job, split_typed
from benchmark.jobs.weights import model_of, run_beside, run_of_other
from benchmark.metrics.table import MetricSuite, load_metric_suite
from benchmark.results.folders import RunFolder
from benchmark.results.records import (
    TrainingRecord,
    read_record,
    write_record,
)
from benchmark.settings import resolve
from benchmark.training.loop import Loop


def train(
    model: str, job: Job, sources: Sources, preset: str, *, explicitly_requested: bool
) -> None:
    """Train `model` into its run's folder, from the start or from where it stopped.

    Everything that can be wrong is found before anything is deleted or written. preset: the typed
    one or the default. explicitly_requested: whether the user asked to train this model; otherwise
    it is not trained where it can read the weights of another model (`Colorizer.weights_of`).
    """
    folder = job.folder(model)
    settings_class = registry.load_settings(model)
    known = settings_class.described()
    typed, sampling = split_typed(model, job, known, settings_class.model_class, preset)
    resolved = resolve(settings_class, model, preset, typed)
    settings = resolved.settings
    fabric = make_fabric(job.device, settings.precision)
    data = load_training(sources, settings, is_tested=job.tests)
    recipe_class = registry.load_recipe(model)
    suite = MetricSuite()
    if job.tests or recipe_class.select_best_by == "images":
        suite = load_metric_suite(job.metric_options, job.lpips_weights)
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    network.resolve_sampling(sampling)  # a sampling that these weights cannot have ends the job now
    network.calibrate(data.statistics)
    record = TrainingRecord(
        model=model,
        preset=preset,
        settings=settings.flat(),
        sources=resolved.sources,
        images=sources.record(),
        training_data=data.training_set,
        train_digests=data.train_digests,
        train_contents=data.train_contents,
    )
    replacement = None
    if not explicitly_requested:
        replacement = _find_replacement(type(network), folder, record, overwrite=job.overwrite)
    if replacement is not None:
        other, trained = replacement
        _require_same_settings(other, trained, record, preset_is_typed=job.preset is not None)
        info(
            f"{model} is not trained: it differs from {network.weights_of} only in its sampler, "
            f"and reads the weights of {other.path}. Train it with --model {model} --mode train."
        )
        if job.overwrite and other is not folder and folder.path.exists():
            shutil.rmtree(folder.path)
        return
    recipe = recipe_class(network, settings)
    loop = Loop(folder, model, network, recipe, data, fabric, suite)
    if job.overwrite and folder.path.exists():
        shutil.rmtree(folder.path)
    _begin(folder, record)
    data.report.write(folder.file_report)
    info(f"{model} trains on {device_name(fabric.device)} in {fabric._precision.precision}.")
    loop.run(job.wandb, job.compiled)


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
        other = run_of_other(network, folder)
    except UserError:
        if not overwrite:
            raise
        other = run_beside(folder, network.weights_of)
    if other is None or not other.cost.exists():
        return None
    trained = read_record(other.settings, TrainingRecord)
    same = trained.training_data.manifest == record.training_data.manifest
    return (other, trained) if same else None


def _require_same_settings(
    other: RunFolder, trained: TrainingRecord, record: TrainingRecord, *, preset_is_typed: bool
) -> None:
    """Raise UserError for a typed setting or preset that `other` was not trained with."""
    decided = {"typed", f"preset {record.preset}"} if preset_is_typed else {"typed"}
    names = [name for name, source in record.sources.items() if source in decided]
    changed = _changed_settings(trained, record, names)
    if preset_is_typed and trained.preset != record.preset:
        changed.insert(0, f"preset {trained.preset} instead of {record.preset}")
    if changed:
        raise UserError(
            f"{record.model} is not trained but reads the weights of {other.path}, which was "
            f"trained with {', '.join(changed)}: leave these options out, or train with "
            f"`--model {record.model} --mode train`."
        )


def _begin(folder: RunFolder, record: TrainingRecord) -> None:
    """Print and write the settings of a run. Raises UserError if its folder holds another run."""
    remedy = "Give this run a name of its own with --run, or delete the other with --overwrite."
    if folder.submission.exists():
        raise UserError(f"{folder.path} holds images of another program. {remedy}")
    if folder.settings.exists():
        difference = _difference(read_record(folder.settings, TrainingRecord), record)
        if difference is not None:
            raise UserError(f"{folder.path} {difference}. {remedy}")
        return
    info(f"{record.model}, preset {record.preset}, into {folder.path}:")
    for name, value in record.settings.items():
        info(f"  {name:<18} {value!s:<28} {record.sources[name]}")
    write_record(folder.settings, record)


def _difference(previous: TrainingRecord, record: TrainingRecord) -> str | None:
    """Say in what a run that was begun differs from the one that is asked for, or None."""
    if previous.model != record.model:
        return f"is a run of {previous.model}"
    changed = _changed_settings(previous, record, {**previous.settings, **record.settings})
    if changed:
        return f"was begun with {', '.join(changed)}"
    if previous.training_data.manifest != record.training_data.manifest:
        return "was begun on other images than there are now"
    return None


def _changed_settings(
    previous: TrainingRecord, record: TrainingRecord, names: Iterable[str]
) -> list[str]:
    """Say for each of the named settings that differs what it was instead of what it is."""
    before, now = previous.settings, record.settings
    return [
        f"{name} {before.get(name)} instead of {now.get(name)}"
        for name in names
        if before.get(name) != now.get(name)
    ]
