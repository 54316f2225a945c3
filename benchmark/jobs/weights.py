"""Find the weights of a model: in its own run, or in the run of the model whose weights it reads.

A model that differs from another only in its sampler names it as `Colorizer.weights_of`.
"""

import contextlib
import os
from pathlib import Path

from benchmark import registry
from benchmark.console import info, shorten
from benchmark.errors import UserError
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingRecord, read_divergence
from benchmark.results.schema import read_record


def find_weights(model: str, folder: RunFolder, which: str) -> Path:
    """Return the file that `--weights` names of the run in `folder`.

    Where that run holds no weights of `model`, those of `weights_of` are taken, and a message
    names them. Raises UserError if there are none.
    """
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
        if not folder.available_weights() and (others := _runs_with_weights(model, folder)):
            raise UserError(f"{folder.path} has no weights; name one of {model} with {others}.")
    return folder.choose_weights(which)


def _runs_with_weights(model: str, folder: RunFolder) -> str:
    """The options that name the other runs of a model, or of the one whose weights it reads."""
    models = {model, registry.load_model(model).weights_of}
    found = []
    for path in sorted(folder.results.glob("*/seed-*")):
        run = RunFolder.at(path)
        if run is None or not run.available_weights():
            continue
        with contextlib.suppress(UserError):  # a damaged run is none to propose
            if model_of(run) in models:
                seed = f" --seed {run.seed}" if run.seed != folder.seed else ""
                found.append(f"--run {run.run}{seed}" if run.run != folder.run else seed.strip())
    return shorten(found)


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
