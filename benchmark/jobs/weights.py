"""Find the weights of a model: in its own run, or in the run of the model whose weights it reads.

A model that differs from another only in its sampler names it as `Colorizer.weights_of`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark import registry
from benchmark.checkpoints import Weights, read_header
from benchmark.colorizer import Sampling
from benchmark.console import info, shorten
from benchmark.errors import UserError
from benchmark.inference.hub import download_weights, is_on_hub, name_on_hub
from benchmark.jobs.job import choose_sampling
from benchmark.results.folders import RunFolder, require_run_name
from benchmark.results.records import TrainingRecord, read_divergence
from benchmark.results.schema import read_record


def find_weights(model: str, folder: RunFolder, which: str) -> Path:
    """Return the file that `--weights` names: of the run in `folder`, any other, or of the Hub.

    Where that run holds no weights of `model`, those of `weights_of` are taken, or those of the
    model's only other run, and a message names them. Raises UserError if there are none.
    """
    if is_on_hub(which):
        return download_weights(which)
    if _is_path(which) and not folder.weights_file(which).is_file():
        _require_file(which)
        return Path(which)
    if folder.submission.exists():
        raise UserError(
            f"{folder.path} holds images of another program, not a trained model: name the run of "
            "a trained model with --run."
        )
    if not Path(which).is_file():
        other = run_of_other(model, folder)
        if other is not None and (other is folder or not folder.available_weights()):
            info(f"{model} has no weights of its own and reads those of {other.path}.")
            return other.choose_weights(which)
        divergence = read_divergence(folder.divergence)
        if divergence is not None:
            info(
                f"Warning: {folder.path} diverged in epoch {divergence.epoch}: its best weights "
                f"are those of epoch {divergence.best_epoch}."
            )
        if not folder.available_weights():
            return _weights_of_another_run(model, folder, which)
    return folder.choose_weights(which)


def is_file(which: str) -> bool:
    """Whether `--weights` names a file, by its path or on the Hub, and not weights of a run."""
    return is_on_hub(which) or _is_path(which)


def _is_path(which: str) -> bool:
    """Whether `--weights` names a file and not weights of a run."""
    return Path(which).is_file() or Path(which).name != which or Path(which).suffix != ""


def _require_file(which: str) -> None:
    if not Path(which).is_file():
        raise UserError(
            f"There is no file of weights {which}: name a file, the weights best or last, or the "
            "number of a saved epoch with --weights."
        )


def model_in(which: str) -> str:
    """Return the model that a file of weights was trained as, by its header alone.

    which: a path or a repository of the Hub. UserError if it is neither, or of no known model.
    """
    if not is_file(which):
        raise UserError(f"--model is needed: {which} does not name a file of weights.")
    path = Path(which) if not is_on_hub(which) else download_weights(which)
    _require_file(str(path))
    model = read_header(path).model
    try:
        registry.require(model)
    except UserError as error:
        raise UserError(f"{which} cannot be used: {error}") from error
    return model


def run_for_file(which: str, results: Path, run: str | None, seed: int) -> RunFolder:
    """Return the folder of the tests of an exported file: of the run `run`, or named as the file.

    UserError if a training has that folder already.
    """
    name = run or (name_on_hub(which) if is_on_hub(which) else Path(which).stem)
    require_run_name("--run" if run else "--weights", name)
    folder = RunFolder(results, name, seed)
    if folder.settings.exists() or folder.submission.exists():
        raise UserError(f"{folder.path} holds another training: name a run for {which} with --run.")
    return folder


def training_of(weights: Weights) -> TrainingRecord:
    """Return the record of the training of weights: from the file itself, or from their run."""
    if weights.portable is not None:
        return weights.portable.training
    return read_record(RunFolder.of_weights(weights.path).settings, TrainingRecord)


def sampling_of(model: str, weights: Weights, typed: dict[str, Any]) -> Sampling:
    """Return a model's sampling with these weights: what was typed over that of the training.

    Every value is set. UserError for a value that is not allowed.
    """
    network = weights.model
    chosen = choose_sampling(model, type(network), sampling_defaults(model, weights), typed)
    resolved: Sampling = network.resolve_sampling(chosen)
    return resolved


def sampling_defaults(model: str, weights: Weights) -> Mapping[str, Any]:
    """Return the values of the sampling that nobody typed: of the file, or of the preset."""
    if weights.portable is not None and weights.trained_as == model:
        return weights.portable.sampling
    presets = weights.model.sampling_class.presets
    return presets.get(training_of(weights).preset, {})


def _weights_of_another_run(model: str, folder: RunFolder, which: str) -> Path:
    """Return the weights of the model's only other run of this seed, where no run was named.

    So a model is found that was trained with a pretrained encoder and whose run is named after it.
    Raises UserError that names the model's runs, if there are several or one was named.
    """
    others = list(_other_runs(model, folder))
    of_seed = [run for run in others if run.seed == folder.seed]
    if folder.run == model and len(of_seed) == 1:
        info(f"There are no weights in {folder.path}, and those of {of_seed[0].path} are read.")
        return of_seed[0].choose_weights(which)
    if others:
        named = shorten([_options_that_name(run, folder) for run in others])
        raise UserError(f"{folder.path} has no weights; name one of {model} with {named}.")
    return folder.choose_weights(which)


def _other_runs(model: str, folder: RunFolder) -> Iterator[RunFolder]:
    """Yield the runs with weights of a model, or of the one whose weights it reads."""
    models = {model, registry.load_model(model).weights_of}
    for path in sorted(folder.results.glob("*/seed-*")):
        run = RunFolder.at(path)
        if run is not None and run.available_weights():
            with contextlib.suppress(UserError):  # a damaged run is none to propose
                if (trained := model_of(run)) is not None and trained in models:
                    yield run


def _options_that_name(run: RunFolder, asked: RunFolder) -> str:
    """The options that choose a run where another one was asked for."""
    name = [f"--run {run.run}"] if run.run != asked.run else []
    seed = [f"--seed {run.seed}"] if run.seed != asked.seed else []
    return " ".join([*name, *seed])


def run_of_other(model: str, folder: RunFolder) -> RunFolder | None:
    """Return the run trained as the model that `weights_of` names, whose weights `model` reads.

    It is the run in `folder` itself if that has weights, and otherwise the one of `run_beside`.
    None if the run has no such weights.
    """
    other = registry.load_model(model).weights_of
    if other is None:
        return None
    if not folder.available_weights():
        return run_beside(folder, model, other)
    return folder if model_of(folder) == other else None


def run_beside(folder: RunFolder, model: str, other: str) -> RunFolder | None:
    """Return the run of the model `other` that belongs to that of `model` in `folder`, if any.

    It has the same seed and holds weights of that model. Beside `<model>-x` it is `<other>-x`, or
    if that does not exist, and beside all other names, it is `<other>`.
    """
    alike = [other + folder.run.removeprefix(model)] if folder.run.startswith(f"{model}-") else []
    for name in (*alike, other):
        run = RunFolder(folder.results, name, folder.seed)
        if run.available_weights() and model_of(run) == other:
            return run
    return None


def model_of(run: RunFolder) -> str | None:
    """Return the model that is trained in a run's folder, or None if no training was begun."""
    if not os.path.lexists(run.settings):
        return None
    return read_record(run.settings, TrainingRecord).model
