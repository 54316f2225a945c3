"""What the commands do: train a model, test it, all of them in turn, colour one photo."""

import shutil
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import ValidationError

import metrics

from . import evaluation, registry
from .checkpoints import Weights, load_weights
from .color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from .colorizer import Colorizer, Sampling
from .console import say
from .data.loading import Sources, load_test, load_training, locate, overlap
from .data.reading import open_photo
from .errors import Interrupted, UserError, nearest
from .figures import save_png
from .files import read_json, write_json
from .leaderboard import read_all, render
from .recipe import Resolved, Settings, mixed, parse_value, resolve, sentence_of
from .results import RunFolder, RunRecord, WeightsUsed
from .training import Loop, make_fabric


@dataclass(frozen=True)
class Job:
    """What was asked for on the command line.

    typed: options that are settings of a model or of its sampling, by name; assigned: the same
    from `--set`, as text.
    """

    modes: tuple[str, ...]
    typed: dict[str, Any]
    assigned: dict[str, str]
    dataset: str | None
    test_images: str | None
    results: Path
    run: str | None
    preset: str | None
    device: str | None
    weights: str
    num_images: int
    lpips_weights: str | None
    wandb: str
    overwrite: bool

    @property
    def seed(self) -> int:
        return int(self.typed.get("seed", Settings.model_fields["seed"].default))

    def folder(self, model: str) -> RunFolder:
        return RunFolder(self.results, self.run or model, self.seed)


# ---- one model, or all ---------------------------------------------------------------------------


def run_one(model: str, job: Job) -> None:
    """Train and test one model as asked. UserError for an option that it does not know."""
    registry.require(model)
    sources = locate(job.dataset, job.test_images, job.results) if "train" in job.modes else None
    _run(model, job, sources, lenient=False)


def run_all(job: Job) -> int:
    """Every model in turn, then the table on stdout. Returns the exit code.

    A model that fails is named and the others go on; then the exit code is 1. An option that a
    model does not know is skipped with a line.
    """
    if job.run is not None:
        raise UserError("--run names one run of one model; without it each model has its own.")
    sources = locate(job.dataset, job.test_images, job.results)  # a wrong folder fails once, here
    if job.preset is None and sources.is_sample:
        job = replace(job, preset="quick")
    failures = {}
    for entry in registry.entries():
        say(f"\n== {entry.name} ==")
        try:
            _run(entry.name, job, sources, lenient=True)
        except UserError as error:
            failures[entry.name] = str(error)
        except Interrupted:
            raise
        except Exception as error:  # a contributor's model may raise anything
            traceback.print_exc()
            failures[entry.name] = f"{type(error).__name__}: {error}"
        if entry.name in failures:
            say(f"{entry.name} failed: {failures[entry.name]}")
    if "test" in job.modes:
        written = metrics.write_leaderboard(job.results)
        print(written[0].read_text(encoding="utf-8"))
        say(f"Written: {', '.join(map(str, written))}")
    if failures:
        say(f"Failed: {'; '.join(f'{name}: {reason}' for name, reason in failures.items())}")
    return 1 if failures else 0


def _run(model: str, job: Job, sources: Sources | None, lenient: bool) -> None:
    for mode in job.modes:
        if mode == "train" and sources is not None:
            train(model, job, sources, lenient)
        else:
            test(model, job, lenient)


# ---- training ------------------------------------------------------------------------------------


def train(model: str, job: Job, sources: Sources, lenient: bool = False) -> None:
    """Train `model` into its run's folder, from the start or from where it stopped."""
    folder = job.folder(model)
    settings_class = registry.load_settings(model)
    typed, _ = _sort_options(model, job, settings_class, lenient)
    resolved = resolve(settings_class, model, job.preset or "standard", typed)
    settings = resolved.settings
    fabric = make_fabric(job.device, settings.precision)
    if job.overwrite and folder.path.exists():
        shutil.rmtree(folder.path)
    data = load_training(sources, settings)
    _write_settings(folder, model, job.preset or "standard", sources, resolved, data.facts)
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    network.calibrate(data.statistics)
    recipe = registry.load_recipe(model)(network, settings)
    Loop(folder, model, network, recipe, data, fabric).run(job.wandb)


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
        "pictures": sources.describe(),
        "training_data": facts,
    }
    if folder.settings.exists():
        _require_same(folder, read_json(folder.settings), record)
        return
    say(f"{model}, preset {preset}, into {folder.path}:")
    for name, value in values.items():
        say(f"  {name:<18} {value!s:<28} {resolved.sources[name]}")
    write_json(folder.settings, record)


def _require_same(folder: RunFolder, earlier: dict[str, Any], record: dict[str, Any]) -> None:
    remedy = f"Give this one a name of its own with --run, or --overwrite {folder.path}."
    if earlier["model"] != record["model"]:
        raise UserError(f"{folder.path} is a run of {earlier['model']}. {remedy}")
    before, after = earlier["settings"], record["settings"]
    changed = [
        f"{name} {before.get(name)} instead of {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    if changed:
        raise UserError(f"{folder.path} was begun with {', '.join(changed)}. {remedy}")
    if earlier["training_data"]["manifest"] != record["training_data"]["manifest"]:
        raise UserError(f"{folder.path} was begun on other pictures than there are now. {remedy}")


def _sort_options(
    model: str, job: Job, settings_class: type[Settings], lenient: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was typed, as (settings, sampling). A name unknown is an error, or a line if lenient."""
    known = settings_class.described()
    choices = settings_class.model_class.sampling_class.model_fields
    settings: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    for name, value in {**job.typed, **_parsed(job.assigned)}.items():
        if name in known:
            settings[name] = value
        elif name in choices:
            sampling[name] = value
        elif lenient:
            say(f"{model} has no {name}: skipped.")
        else:
            guess = nearest(name, [*known, *choices])
            raise UserError(f"{model} has no setting {name!r}{guess}; see `main.py list {model}`.")
    return settings, sampling


def _parsed(assigned: Mapping[str, str]) -> dict[str, Any]:
    return {name: parse_value(text) for name, text in assigned.items()}


# ---- testing -------------------------------------------------------------------------------------


def test(model: str, job: Job, lenient: bool = False) -> None:
    """Test a trained `model` under the protocol of its run, and write the leaderboard again."""
    folder = job.folder(model)
    settings_class = registry.load_settings(model)
    typed, sampling_typed = _sort_options(model, job, settings_class, lenient)
    sampling = _sampling(model, settings_class.model_class, sampling_typed)
    fabric = make_fabric(job.device, "32")  # a test is always in full precision
    weights = load_weights(folder.choose_weights(job.weights), model, fabric.device)
    begun = read_json(folder.settings)
    settings = begun["settings"]
    changed = [k for k, v in typed.items() if k not in ("size", "batch_size") and settings[k] != v]
    if changed and not lenient:
        name = changed[0]
        raise UserError(
            f"--{name} {typed[name]} is for training, and {folder.path} was trained with "
            f"{settings[name]}: leave it out, or train another --run."
        )
    sources = _test_sources(job, begun["pictures"])
    size = typed.get("size", settings["size"])
    pictures = load_test(sources, size, settings["split_seed"])
    trained_on = overlap(pictures.files, begun["training_data"].pop("train_digests"))
    if trained_on:
        names = ", ".join(trained_on[:5])
        say(f"Warning: {len(trained_on)} test pictures were trained on: {names}.")
    on = evaluation.prepare(
        pictures,
        sources.name,
        size,
        lpips_weights=job.lpips_weights,
        num_images=job.num_images,
        batch_size=typed.get("batch_size", settings["batch_size"]),
    )
    evaluation.test_baselines(job.results, on)
    subject = evaluation.Subject(
        folder=folder,
        model=model,
        colorizer=weights.model,
        device=fabric.device,
        sampling=sampling,
        weights=_weights_used(weights, folder),
        settings={**settings, "preset": begun["preset"]},
        training_data=begun["training_data"],
        cost=read_json(folder.cost) if folder.cost.exists() else {},
    )
    record = evaluation.test(subject, on, job.overwrite and "train" not in job.modes)
    metrics.write_leaderboard(job.results)
    if not lenient:
        print(render(_with_baselines(record, job.results)))
        say(f"Pictures, figure and scores: {on.folder(subject)}")


def _sampling(model: str, network: type[Colorizer], typed: dict[str, Any]) -> Sampling:
    unknown = [name for name in typed if name not in network.sampling_class.model_fields]
    if unknown:
        raise UserError(f"{model} has no {unknown[0]!r} to choose in testing.")
    try:
        return network.sampling_class(**typed)
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error


def _test_sources(job: Job, begun: Mapping[str, str | None]) -> Sources:
    """Where test pictures come from: what was typed, else what the run was trained with."""
    dataset, tests = job.dataset or begun["dataset"], job.test_images or begun["test_images"]
    return locate(dataset, tests, job.results)


def _weights_used(weights: Weights, folder: RunFolder) -> WeightsUsed:
    inside = weights.path.is_relative_to(folder.path)
    shown = weights.path.relative_to(folder.path) if inside else weights.path
    return WeightsUsed(file=shown.as_posix(), sha256=weights.sha256, epoch=weights.epoch)


def _with_baselines(record: RunRecord, results: Path) -> list[RunRecord]:
    fixed = [
        other
        for other in read_all(results)
        if other.kind == "fixed" and other.protocol_hash == record.protocol_hash
    ]
    return [record, *fixed]


# ---- one photo -----------------------------------------------------------------------------------


def colorize_photo(
    photo: Path,
    out: Path,
    model: str,
    folder: RunFolder,
    weights: str,
    sampling: dict[str, Any],
    device: str | None,
) -> None:
    """Colour one picture file at its full resolution and write it as PNG.

    The model works at the size it was trained for; its colour is brought to the photo's size and
    joined to the photo's own lightness.
    """
    image = open_photo(photo)
    registry.require(model)
    fabric = make_fabric(device, "32")
    loaded = load_weights(folder.choose_weights(weights), model, fabric.device)
    chosen = _sampling(model, type(loaded.model), sampling)
    size = read_json(folder.settings)["settings"]["size"]
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
    lightness = rgb_to_lightness(rgb_from_8bit(pixels))
    scale = size / min(lightness.shape[2:])
    small = [max(size, round(side * scale)) for side in lightness.shape[2:]]
    reduced = F.interpolate(lightness, small, mode="bicubic", antialias=True).clamp(0, 100)
    seeds = [mixed(folder.seed, photo.name, 0)]
    rgb = loaded.model.colorize(reduced.to(fabric.device), seeds=seeds, sampling=chosen)
    ab = rgb_to_lab(rgb)[:, 1:].cpu()
    full = F.interpolate(ab, lightness.shape[2:], mode="bicubic", antialias=True)
    save_png(out, join(lightness, full)[0])
