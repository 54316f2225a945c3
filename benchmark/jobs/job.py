"""A job: what was asked for on the command line, and which of it concerns a model."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from benchmark import registry
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.errors import UserError, did_you_mean
from benchmark.metrics.options import MetricOptions
from benchmark.results.folders import RunFolder, require_run_name
from benchmark.settings import NO_ENCODER, BatchSize, Settings, Size, preset_of, sentence_of

DEFAULT_SEED: int = Settings.model_fields["seed"].default


class TestSettings(BaseModel):
    """The settings of a training that may have other values in a test."""

    __test__ = False  # pytest takes every class called Test… for tests

    size: Size
    batch_size: BatchSize


@dataclass(frozen=True)
class Job:
    """What was asked for on the command line; the fields are named as the options of `run` are.

    typed: the values of settings and of the sampling that were typed, by name, those of `--set`
        among them.
    mode: None for a training and then a test.
    metric_options: those of one's own tests; a protocol may decide otherwise.
    protocol: the name of the test's protocol; None for one's own images. limit: the number of test
        images that are used; None for all. degraded: whether they are made to look old.
    wandb: None for what the environment says.
    encoder_weights: a file of the weights of a pretrained encoder.
    yes: whether the deletion of a run that took long was agreed to.
    retry_diverged: how often a training that diverges goes back to its last good state.
    compiled: whether a training compiles the network.
    """

    typed: dict[str, Any]
    mode: Literal["train", "test"] | None
    dataset: str | None
    test_images: str | None
    results: Path
    run: str | None
    preset: str | None
    device: str | None
    protocol: str | None
    limit: int | None
    degraded: bool
    weights: str
    num_images: int
    samples: int
    frames: bool
    lpips_weights: str | None
    metric_options: MetricOptions
    encoder_weights: str | None
    wandb: Literal["online", "offline", "disabled"] | None
    overwrite: bool
    yes: bool
    retry_diverged: int
    compiled: bool

    @classmethod
    def of(
        cls, options: Mapping[str, Any], assigned: Mapping[str, Any], metrics: MetricOptions
    ) -> "Job":
        """Make a job from the values of the options by name, and from those of `--set`.

        An option that is no field of Job or of MetricOptions is a setting or a value of the
        sampling. It has precedence over `--set`.
        """
        own = {field.name for field in fields(cls)} - {"typed", "metric_options"}
        known = own | {field.name for field in fields(MetricOptions)} | {"model", "set_"}
        others = [name for name in options if name not in known]
        typed = {name: options[name] for name in others if options[name] is not None}
        chosen = {name: options[name] for name in own}
        return cls(typed={**assigned, **typed}, metric_options=metrics, **chosen)

    @property
    def trains(self) -> bool:
        """Whether the model is trained."""
        return self.mode != "test"

    @property
    def tests(self) -> bool:
        """Whether the model is tested."""
        return self.mode != "train"

    def encoder_of(self, model: str) -> str:
        """Return the pretrained encoder that is asked for, typed or by the preset, or "none"."""
        of_preset: dict[str, Any] = {}
        if self.preset is not None:
            of_preset = preset_of(registry.load_settings(model), self.preset)
        return str({**of_preset, **self.typed}.get("encoder", NO_ENCODER))

    def folder(self, model: str) -> RunFolder:
        """Return the folder of the run that is asked for.

        Without a name of its own, a run with a pretrained encoder, typed or of the preset, is named
        after the encoder too: it stands beside the one from scratch.
        """
        seed = self.typed.get("seed", DEFAULT_SEED)
        if not isinstance(seed, int):
            raise UserError(f"seed: {seed!r} is not a whole number.")
        encoder = self.encoder_of(model)
        name = model if encoder == NO_ENCODER else f"{model}-{encoder}"
        require_run_name("--encoder", name)
        return RunFolder(self.results, self.run or name, seed)


def job_for_model(model: str, job: Job) -> Job:
    """Return a job over all models without the options that `model` does not have.

    A message names each option that is skipped.
    """
    network = registry.load_model(model)
    known = {*network.sampling_class.model_fields}
    if job.trains:
        known |= {*registry.load_settings(model).described()}
    else:
        # The encoder is part of the name of a run.
        known |= {"encoder"} & {*network.architecture_schema().model_fields}
        known |= {"seed", *TestSettings.model_fields}
    skipped = [name for name in job.typed if name not in known]
    of_training = registry.load_settings(model).described() if skipped else {}
    for name in skipped:
        if name in of_training:
            info(f"{model}: {name} is a setting of the training: skipped.")
        else:
            info(f"{model} has no {name}: skipped.")
    frames = job.frames and network.has_steps()
    if job.frames and job.tests and not frames:
        info(f"{_no_frames(model)}: --frames is skipped.")
    typed = {name: value for name, value in job.typed.items() if name in known}
    own = replace(job, typed=typed, frames=frames)
    has_encoder = own.encoder_of(model) != NO_ENCODER
    return replace(own, encoder_weights=job.encoder_weights if has_encoder else None)


def require_frames(model: str) -> None:
    """Raise UserError unless `model` samples step by step, which is what `--frames` shows."""
    if not registry.load_model(model).has_steps():
        raise UserError(f"{_no_frames(model)}: leave --frames out.")


def _no_frames(model: str) -> str:
    return f"{model} colors in one go and has no steps to show"


def split_typed(
    model: str,
    job: Job,
    known: Container[str],
    network: type[Colorizer],
    defaults: Mapping[str, Any],
) -> tuple[dict[str, Any], Sampling]:
    """Split what was typed into settings and the sampling.

    known: the names of the settings. defaults: of the sampling, such as those of a preset. Raises
    UserError for a name that is in neither of the two.
    """
    choices = network.sampling_class.model_fields
    settings: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    for name, value in job.typed.items():
        if name in known:
            settings[name] = value
        elif name in choices:
            sampling[name] = value
        else:
            names = [*network.architecture_schema().model_fields, *choices, *Settings.model_fields]
            end = did_you_mean(name, names) or "."
            raise UserError(
                f"{model} has no setting {name!r}{end} All are listed by `main.py list {model}`."
            )
    return settings, choose_sampling(model, network, defaults, sampling)


def choose_sampling(
    model: str, network: type[Colorizer], defaults: Mapping[str, Any], typed: dict[str, Any]
) -> Sampling:
    """Return the model's `Sampling`: what was typed over `defaults`, such as those of a preset.

    Raises UserError for a name that the sampling does not have or a value that is not allowed.
    """
    choices = network.sampling_class.model_fields
    unknown = [name for name in typed if name not in choices]
    if unknown:
        end = did_you_mean(unknown[0], choices) or "."
        raise UserError(
            f"{model} has no sampling option {unknown[0]!r}{end} All are listed by "
            f"`main.py list {model}`."
        )
    try:
        return network.sampling_class(**{**defaults, **typed})
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error
