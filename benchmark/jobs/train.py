"""Train a model into its run's folder."""

import shutil

import torch

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.data.loading import Sources, load_test, load_training
from benchmark.device import device_name, make_fabric
from benchmark.errors import UserError
from benchmark.jobs.job import Job, split_typed
from benchmark.jobs.weights import model_of, run_of_other
from benchmark.metrics.table import MetricSuite, load_metric_suite
from benchmark.results.folders import RunFolder
from benchmark.results.records import (
    ImageSources,
    TrainingRecord,
    TrainingSet,
    read_record,
    write_record,
)
from benchmark.settings import resolve
from benchmark.training.loop import Loop


def train(model: str, job: Job, sources: Sources, *, by_name: bool) -> None:
    """Train `model` into its run's folder, from the start or from where it stopped.

    Everything that can be wrong is found before anything is deleted or written. by_name: whether
    this very model was asked to be trained; otherwise it is not trained where the weights of
    another model serve it (`Colorizer.weights_of`).
    """
    folder = job.folder(model)
    settings_class = registry.load_settings(model)
    known = settings_class.described()
    preset = job.preset or "standard"
    typed, sampling = split_typed(model, job, known, settings_class.model_class, preset)
    resolved = resolve(settings_class, model, preset, typed)
    settings = resolved.settings
    fabric = make_fabric(job.device, settings.precision)
    data = load_training(sources, settings)
    if job.tests:  # hours from now is too late to learn that no test is possible
        load_test(sources, settings.size, settings.split_seed)
    recipe_class = registry.load_recipe(model)
    suite = MetricSuite()
    if job.tests or recipe_class.select_best_by == "images":
        suite = load_metric_suite(job.metric_options, job.lpips_weights)
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    network.resolve_sampling(sampling)  # a sampling that these weights cannot have ends the job now
    network.calibrate(data.statistics)
    facts = dict(data.facts)
    train_digests = facts.pop("train_digests")
    record = TrainingRecord(
        model=model,
        preset=preset,
        settings=settings.flat(),
        sources=resolved.sources,
        images=ImageSources(**sources.describe()),
        training_data=TrainingSet(**facts),
        train_digests=train_digests,
    )
    other = None if by_name else _serving(type(network), folder, record)
    if other is not None:
        info(
            f"{model} is not trained: it reads the weights of {other.path}, which differ in the "
            f"sampler alone. Train it with --model {model} --mode train."
        )
        if job.overwrite and other is not folder and folder.path.exists():
            shutil.rmtree(folder.path)
        return
    recipe = recipe_class(network, settings)
    loop = Loop(folder, model, network, recipe, data, fabric, suite)
    if job.overwrite and folder.path.exists():
        shutil.rmtree(folder.path)
    _begin(folder, record)
    info(f"{model} trains on {device_name(fabric.device)} in {fabric._precision.precision}.")
    loop.run(job.wandb, job.compiled)


def _serving(
    network: type[Colorizer], folder: RunFolder, record: TrainingRecord
) -> RunFolder | None:
    """Return the finished run of `weights_of` on the same images, unless an own run was begun."""
    if model_of(folder) == record.model:
        return None
    other = run_of_other(network, folder)
    if other is None or not other.cost.exists():
        return None
    trained = read_record(other.settings, TrainingRecord)
    same = trained.training_data.manifest == record.training_data.manifest
    return other if same else None


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
    before, now = previous.settings, record.settings
    changed = [
        f"{name} {before.get(name)} instead of {now.get(name)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if changed:
        return f"was begun with {', '.join(changed)}"
    if previous.training_data.manifest != record.training_data.manifest:
        return "was begun on other images than there are now"
    return None
