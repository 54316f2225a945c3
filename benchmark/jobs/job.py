"""What was asked for on the command line, and which of it concerns a model."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.errors import UserError, did_you_mean
from benchmark.results.folders import RunFolder
from benchmark.settings import Settings, sentence_of
from benchmark.metrics.table import MetricOptions

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
    options: MetricOptions
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
            info(f"{model} has no {name}: skipped.")
        else:
            names = [*network.architecture_schema().model_fields, *choices, *Settings.model_fields]
            guess = did_you_mean(name, names)
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
    reason = f"{model} colors in one go and has no steps to show"
    if not lenient:
        raise UserError(f"{reason}: leave --frames out.")
    info(f"{reason}: --frames is skipped.")
    return False
