"""What the commands do: train a model, test it, all of them in turn, colour one photo."""

import shutil
import traceback
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ValidationError

import metrics
from benchmark import leaderboard, registry
from benchmark.checkpoints import Weights, load_weights
from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import say, some
from benchmark.data.loading import Sources, load_test, load_training, locate, overlap
from benchmark.data.reading import open_photo
from benchmark.errors import Interrupted, UserError, nearest
from benchmark.evaluation import evaluate as evaluation
from benchmark.figures.frames import Frames
from benchmark.figures.images import save_png
from benchmark.files import read_json, write_json
from benchmark.recipe import BatchSize, Resolved, Settings, Size, mixed, resolve, sentence_of
from benchmark.results.records import (
    RunFolder,
    TrainingSet,
    WeightsUsed,
    read_cost,
    require_run_name,
)
from benchmark.training.loop import Loop, device_name, make_fabric

DEFAULT_SEED: int = Settings.model_fields["seed"].default


@dataclass(frozen=True)
class Job:
    """What was asked for on the command line.

    typed: values of settings and of the sampling, by name, those of `--set` among them.
    compiled: whether training compiles the network.
    trained_now: models that this very command has trained before.
    """

    modes: tuple[str, ...]
    typed: dict[str, Any]
    dataset: str | None
    test_images: str | None
    results: Path
    run: str | None
    preset: str | None
    device: str | None
    weights: str
    num_images: int
    lpips_weights: str | None
    options: metrics.Options
    samples: int
    frames: bool
    wandb: str
    overwrite: bool
    compiled: bool = False
    trained_now: frozenset[str] = frozenset()

    def folder(self, model: str) -> RunFolder:
        seed = self.typed.get("seed", DEFAULT_SEED)
        if not isinstance(seed, int):
            raise UserError(f"seed: {seed!r} is not a whole number.")
        return RunFolder(self.results, self.run or model, seed)


# ---- one model, or all ---------------------------------------------------------------------------


def run_one(model: str, job: Job) -> None:
    """Train and test one model as asked. UserError for an option that it does not know."""
    registry.require(model)
    if job.run is not None:
        require_run_name("--run", job.run)
    if job.frames and "test" in job.modes:
        _has_frames(model, registry.load_model(model))
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
            job = replace(job, trained_now=job.trained_now | {entry.name})
        except UserError as error:
            failures[entry.name] = str(error)
        except Interrupted:
            raise
        except Exception as error:  # a contributor's model may raise anything
            traceback.print_exc()
            failures[entry.name] = f"{type(error).__name__}: {error}"
        if entry.name in failures:
            say(f"{entry.name} failed: {failures[entry.name]}")
    if "test" in job.modes and len(failures) < len(registry.entries()):
        print(leaderboard.tables.markdown(leaderboard.write(job.results)))
        say(f"Written: {', '.join(map(str, leaderboard.paths(job.results)))}")
    if failures:
        say(f"Failed: {'; '.join(f'{name}: {reason}' for name, reason in failures.items())}")
    return 1 if failures else 0


def _run(model: str, job: Job, sources: Sources | None, lenient: bool) -> None:
    for mode in job.modes:
        if mode == "train" and sources is not None:
            train(model, job, sources, lenient)
        else:
            test(model, job, lenient)


def _sort_typed(
    model: str,
    job: Job,
    known: Container[str],
    network: type[Colorizer],
    preset: str,
    lenient: bool,
) -> tuple[dict[str, Any], Sampling]:
    """What was typed, as (settings, sampling). A name unknown is an error, or a line if lenient."""
    choices = network.sampling_class.model_fields
    settings: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    for name, value in job.typed.items():
        if name in known:
            settings[name] = value
        elif name in choices:
            sampling[name] = value
        elif lenient:
            say(f"{model} has no {name}: skipped.")
        else:
            names = [*network.architecture_schema().model_fields, *choices, *Settings.model_fields]
            guess = nearest(name, names)
            raise UserError(f"{model} has no setting {name!r}{guess}; see `main.py list {model}`.")
    return settings, choose_sampling(model, network, preset, sampling)


def choose_sampling(
    model: str, network: type[Colorizer], preset: str, typed: dict[str, Any]
) -> Sampling:
    """The model's `Sampling`: typed over preset over default. UserError for what is impossible."""
    unknown = [name for name in typed if name not in network.sampling_class.model_fields]
    if unknown:
        raise UserError(f"{model} has no {unknown[0]!r} to choose in testing.")
    try:
        chosen = {**network.sampling_class.presets.get(preset, {}), **typed}
        return network.sampling_class(**chosen)
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error


def _has_frames(model: str, network: type[Colorizer], lenient: bool = False) -> bool:
    """Whether a model can do --frames. Where it cannot: UserError, or a line if lenient."""
    if network.has_steps():
        return True
    reason = f"{model} colours in one go and has no steps to show"
    if not lenient:
        raise UserError(f"{reason}: leave --frames out.")
    say(f"{reason}: --frames is skipped.")
    return False


# ---- training ------------------------------------------------------------------------------------


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
    instruments = metrics.Instruments()
    if "test" in job.modes or recipe_class.judged_by == "pictures":
        instruments = metrics.find_instruments(job.options, job.lpips_weights)
    torch.manual_seed(settings.seed)  # the first weights
    network = settings.model_class.build(settings.architecture)
    network.settle(sampling)  # what cannot be tested later should not be trained for now
    network.calibrate(data.statistics)
    sister = _trained_alike(network, folder, settings, data.facts)
    begun = folder.settings.exists() and read_json(folder.settings)["model"] == model
    if sister is not None and (begun or job.overwrite) and sister.run not in job.trained_now:
        sister = None  # its own training goes on, or is asked for anew
    if sister is not None:
        say(
            f"{model} is not trained: {sister.path} was trained alike (same network, losses, "
            "settings and pictures), and its weights serve both. Train it anyway with --overwrite."
        )
        if job.overwrite and folder.path.exists():
            shutil.rmtree(folder.path)
        return
    recipe = recipe_class(network, settings)
    loop = Loop(folder, model, network, recipe, data, fabric, instruments)
    if job.overwrite and folder.path.exists():
        shutil.rmtree(folder.path)
    _write_settings(folder, model, preset, sources, resolved, data.facts)
    say(f"{model} trains on {device_name(fabric.device)} in {fabric._precision.precision}.")
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
    remedy = "Give this one a name of its own with --run, or start anew with --overwrite."
    if "settings" not in earlier:
        raise UserError(f"{folder.path} holds pictures of another program. {remedy}")
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


# ---- weights of a sister -------------------------------------------------------------------------


def _sisters(network: type[Colorizer], folder: RunFolder) -> list[RunFolder]:
    """Where runs of the models lie that were trained alike, if they are named as usual."""
    return [RunFolder(folder.results, name, folder.seed) for name in network.sisters]


def _trained_alike(
    network: Colorizer, folder: RunFolder, settings: Settings, facts: dict[str, Any]
) -> RunFolder | None:
    """A finished run of a sister, with the same settings on the same pictures."""
    for run in (folder, *_sisters(type(network), folder)):
        begun = read_json(run.settings) if run.cost.exists() else {}
        if (
            begun.get("model") in network.sisters
            and begun["settings"] == settings.flat()
            and begun["training_data"]["manifest"] == facts["manifest"]
        ):
            return run
    return None


def _find_weights(model: str, folder: RunFolder, which: str) -> Path:
    """The file of the run that `--weights` names; a sister's if the run was not even begun."""
    if not folder.settings.exists() and not Path(which).is_file():
        for sister in _sisters(registry.load_model(model), folder):
            if sister.weights_there():
                say(f"{model} has no weights of its own and reads those of {sister.path}.")
                return sister.choose_weights(which)
    return folder.choose_weights(which)


def _folder_beside(model: str, trained: RunFolder) -> RunFolder:
    """Where `model` is tested with the weights of a sister's run: never among its own weights."""
    usual = trained.run in registry.load_model(model).sisters
    own = RunFolder(trained.results, model, trained.seed)
    if usual and not own.settings.exists():
        return own
    return RunFolder(trained.results, f"{model}-of-{trained.run}", trained.seed)


# ---- testing -------------------------------------------------------------------------------------


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
    sampling = weights.model.settle(sampling)
    if not lenient:
        _refuse_training_options(trained, settings, typed)
    sources = _test_sources(job, begun["pictures"])
    pictures = load_test(sources, chosen.size, settings["split_seed"])
    facts = begun["training_data"]
    trained_on = overlap(pictures.files, facts.pop("train_digests"))
    if trained_on:
        names = ", ".join(trained_on[:5])
        say(f"Warning: {len(trained_on)} test pictures were trained on: {names}.")
    on = evaluation.prepare(
        pictures,
        sources.name,
        chosen.size,
        instruments=metrics.find_instruments(job.options, job.lpips_weights),
        samples=job.samples,
        num_images=job.num_images,
        batch_size=chosen.batch_size,
    )
    training_set = TrainingSet(**facts)
    evaluation.test_baselines(job.results, on, training_set)
    subject = evaluation.Subject(
        folder=folder,
        model=model,
        sampling=sampling,
        weights=_weights_used(weights, trained),
        settings={**settings, "preset": begun["preset"]},
        training_data=training_set,
        cost=read_cost(trained.cost),
    )
    evaluation.test(
        subject,
        weights.model,
        on,
        device=fabric.device,
        overwrite=job.overwrite and "train" not in job.modes,
    )
    frames: list[Path] = []
    if job.frames and _has_frames(model, network, lenient):
        frames = evaluation.write_frames(subject, weights.model, on, device=fabric.device)
    if not lenient:  # a batch writes it once, after all
        found = leaderboard.write(job.results)
        print(leaderboard.tables.markdown(found.only(on.protocol.hash)))
        say(f"Pictures, figure and scores: {on.folder(subject)}")
    if frames:
        names = some([path.name for path in frames])
        say(f"From noise to colour, in {frames[0].parent}: {names}")


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
    """Where test pictures come from: what was typed, else what the run was trained with."""
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


# ---- one photo -----------------------------------------------------------------------------------


def colorize_photo(
    photo: Path,
    out: Path,
    model: str,
    folder: RunFolder,
    weights: str,
    sampling: dict[str, Any],
    device: str | None,
    with_frames: bool,
) -> None:
    """Colour one picture file at its full resolution and write it as PNG.

    The model works at the size it was trained for; its colour is brought to the photo's size and
    joined to the photo's own lightness. with_frames: write beside it the way from noise to colour
    too, at the size that the model worked at.
    """
    image = open_photo(photo)
    registry.require(model)
    frames = Frames() if with_frames and _has_frames(model, registry.load_model(model)) else None
    fabric = make_fabric(device, "32")
    path = _find_weights(model, folder, weights)
    loaded = load_weights(path, model, fabric.device)
    begun = read_json(RunFolder.of_weights(path).settings)
    chosen = choose_sampling(model, type(loaded.model), begun["preset"], sampling)
    size = begun["settings"]["size"]
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
    lightness = rgb_to_lightness(rgb_from_8bit(pixels))
    scale = size / min(lightness.shape[2:])
    small = [max(size, round(side * scale)) for side in lightness.shape[2:]]
    reduced = F.interpolate(lightness, small, mode="bicubic", antialias=True).clamp(0, 100)
    seeds = [mixed(folder.seed, photo.name, 0)]
    rgb = loaded.model.colorize(
        reduced.to(fabric.device), seeds=seeds, sampling=chosen, on_step=frames
    )
    ab = rgb_to_lab(rgb)[:, 1:].cpu()
    full = F.interpolate(ab, lightness.shape[2:], mode="bicubic", antialias=True)
    save_png(out, join(lightness, full)[0])
    if frames is not None:
        strip, animation = (out.with_name(f"{out.stem}-frames{end}") for end in (".png", ".webp"))
        frames.save(0, rgb[0], strip, animation)
        say(f"From noise to colour: {strip}, {animation}")
