"""Train a model into its run's folder."""

import shutil
from typing import Any

import torch

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.data.loading import Sources, load_test, load_training
from benchmark.device import device_name, make_fabric
from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.jobs.job import Job, _sort_typed
from benchmark.results.folders import RunFolder
from benchmark.settings import Resolved, Settings, resolve
from benchmark.training.loop import Loop
from benchmark.metrics.table import MetricSuite, load_metric_suite


def train(model: str, job: Job, sources: Sources, lenient: bool = False) -> None:
    """Train `model` into its run's folder, from the start or from where it stopped.

    Whatever can be wrong is found before anything is deleted or written.
    """
    folder = job.folder(model)
    settings_class = registry.load_settings(model)
    known = settings_class.described()
    preset = job.preset or "standard"
    typed, sampling = _sort_typed(model, job, known, settings_class.model_class, preset, lenient)
    resolved = resolve(settings_class, model, preset, typed)
    settings = resolved.settings
    fabric = make_fabric(job.device, settings.precision)
    data = load_training(sources, settings)
    if "test" in job.modes:  # hours from now is too late to learn that no test is possible
        load_test(sources, settings.size, settings.split_seed)
    recipe_class = registry.load_recipe(model)
    suite = MetricSuite()
    if "test" in job.modes or recipe_class.select_best_by == "images":
        suite = load_metric_suite(job.options, job.lpips_weights)
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    network.resolve_sampling(sampling)  # what cannot be tested later should not be trained for now
    network.calibrate(data.statistics)
    sister = _trained_alike(network, folder, settings, data.facts)
    begun = folder.settings.exists() and read_json(folder.settings)["model"] == model
    if sister is not None and (begun or job.overwrite) and sister.run not in job.trained_now:
        sister = None  # its own training goes on, or is asked for anew
    if sister is not None:
        info(
            f"{model} is not trained: {sister.path} was trained alike (same network, losses, "
            "settings and images), and its weights serve both. Train it anyway with --overwrite."
        )
        if job.overwrite and folder.path.exists():
            shutil.rmtree(folder.path)
        return
    recipe = recipe_class(network, settings)
    loop = Loop(folder, model, network, recipe, data, fabric, suite)
    if job.overwrite and folder.path.exists():
        shutil.rmtree(folder.path)
    _write_settings(folder, model, preset, sources, resolved, data.facts)
    info(f"{model} trains on {device_name(fabric.device)} in {fabric._precision.precision}.")
    loop.run(job.wandb, job.compiled)


def _write_settings(
    folder: RunFolder,
    model: str,
    preset: str,
    sources: Sources,
    resolved: Resolved[Settings],
    facts: dict[str, Any],
) -> None:
    """Print and save the settings in force. UserError if the folder holds a run of other ones."""
    values = resolved.settings.flat()
    record = {
        "model": model,
        "preset": preset,
        "settings": values,
        "sources": resolved.sources,
        "images": sources.describe(),
        "training_data": facts,
    }
    if folder.settings.exists():
        _require_same(folder, read_json(folder.settings), record)
        return
    info(f"{model}, preset {preset}, into {folder.path}:")
    for name, value in values.items():
        info(f"  {name:<18} {value!s:<28} {resolved.sources[name]}")
    write_json(folder.settings, record)


def _require_same(folder: RunFolder, previous: dict[str, Any], record: dict[str, Any]) -> None:
    remedy = "Give this one a name of its own with --run, or start anew with --overwrite."
    if "settings" not in previous:
        raise UserError(f"{folder.path} holds images of another program. {remedy}")
    if previous["model"] != record["model"]:
        raise UserError(f"{folder.path} is a run of {previous['model']}. {remedy}")
    before, after = previous["settings"], record["settings"]
    changed = [
        f"{name} {before.get(name)} instead of {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    if changed:
        raise UserError(f"{folder.path} was begun with {', '.join(changed)}. {remedy}")
    if previous["training_data"]["manifest"] != record["training_data"]["manifest"]:
        raise UserError(f"{folder.path} was begun on other images than there are now. {remedy}")


def _sisters(network: type[Colorizer], folder: RunFolder) -> list[RunFolder]:
    """Where runs of the models lie that were trained alike, if they are named as usual."""
    return [RunFolder(folder.results, name, folder.seed) for name in network.sisters]


def _trained_alike(
    network: Colorizer, folder: RunFolder, settings: Settings, facts: dict[str, Any]
) -> RunFolder | None:
    """A finished run of a sister, with the same settings on the same images."""
    for run in (folder, *_sisters(type(network), folder)):
        begun = read_json(run.settings) if run.cost.exists() else {}
        if (
            begun.get("model") in network.sisters
            and begun["settings"] == settings.flat()
            and begun["training_data"]["manifest"] == facts["manifest"]
        ):
            return run
    return None
