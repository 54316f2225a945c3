"""How the diffusion models learn: a regression's mean first, where one is refined, then to denoise.

A true colour is mixed with noise, much or little, and the network is asked which direction, v,
leads from one to the other. The samplers ask it the same on their way back from noise.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from benchmark import recipe
from benchmark.recipe import Batch, Randomness, Recipe, Update

from .denoiser import Denoiser, Shown, require_levels, usable_schedule
from .diffusion import (
    Prediction,
    Weighting,
    diffuse,
    loss_weight,
    stratified_timesteps,
    target_of,
)
from .losses import adamw, huber

LOSS_NAMES: Mapping[Prediction, str] = {"v": "velocity", "epsilon": "noise", "x0": "picture"}


class DenoiserSettings(recipe.Settings):
    """What can be set of the training that the diffusion models share."""

    # The classic recipe: sRGB at full size, ε, schedules as published.
    _classic: ClassVar[Mapping[str, Any]] = {
        "color_space": "rgb",
        "fold": 1,
        "widths": [64, 128, 256, 512],
        "attention": [2],
        "shift": 1.0,
        "zero_terminal": False,
        "prediction": "epsilon",
        "condition": "concat",
        "condition_dropout": 0.0,
        "batch_size": 2,
        "accumulate": 4,
        "ema_decay": 0.9999,
        "learning_rate": 2e-4,
        "weight_decay": 0.01,
    }
    presets: ClassVar[recipe.Presets] = {
        # To learn pictures by heart: guidance, too, would go beyond them.
        "tiny": {
            "widths": [16, 32],
            "shift": 1.5,
            "learning_rate": 3e-3,
            "condition_dropout": 0.0,
        },
        # At an eighth of the resolution: coherent after two minutes, where a quarter has speckle.
        # Not guided: that would double the time of a test, half of this preset's.
        "quick": {
            "epochs": 12,
            "widths": [48, 96],
            "fold": 8,
            "shift": 2.0,
            "condition": "concat",
            "condition_dropout": 0.0,
        },
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
        "cartoon-ddpm": {**_classic, "schedule": "cosine", "offset": 0.008, "timesteps": 500},
        "tiny-imagenet-ddpm": {**_classic, "schedule": "linear", "size": 64, "dropout": 0.15},
        # Its linear schedule of 350 steps keeps 0.17 of the picture: ended in pure noise instead.
        "lab-encoder": {
            "size": 64,
            "fold": 1,
            "condition": "encoder",
            "schedule": "linear",
            "timesteps": 350,
            "shift": 1.0,
            "condition_dropout": 0.0,
        },
    }

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")
    mean_first: float = Field(
        0.6, gt=0, lt=1, description="share of training for the mean that is then refined"
    )
    draws: int = Field(
        1, ge=1, description="noisy forms of each picture in a step; what L says is worked out once"
    )
    weighting: Weighting = Field(
        "uniform", description="of the noise levels in the loss: uniform or min-snr"
    )
    snr_gamma: float = Field(5.0, gt=0, description="of min-snr, its largest ratio")
    weight_floor: float = Field(
        0.1, ge=0, le=1, description="of min-snr, its least weight: the noisy steps decide the hue"
    )

    @model_validator(mode="after")
    def _check_denoiser(self) -> Self:
        require_levels(self.architecture["attention"], self.architecture["widths"])
        usable_schedule(**self.architecture)
        return self


ModelType = TypeVar("ModelType", bound=Denoiser)
SettingsType = TypeVar("SettingsType", bound=DenoiserSettings)


class DenoiserTraining(Recipe[ModelType, SettingsType]):
    """One after the other, each at its own full rate: what is refined must stand still."""

    judged_by = "pictures"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        model, s = self.model, self.settings
        if not model.refines:
            return {"denoiser": adamw(model, s.learning_rate, s.weight_decay)}
        parts = model.parts().items()
        return {name: adamw(part, s.learning_rate, s.weight_decay) for name, part in parts}

    def span(self, optimizer: str) -> tuple[float, float]:
        if not self.model.refines:
            return 0.0, 1.0
        first = self.settings.mean_first
        return (0.0, first) if optimizer == "mean" else (first, 1.0)

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        model, fine = self.model, self.model.target(batch.rgb)
        if model.refines and batch.progress < self.settings.mean_first:
            shown = model.show(batch.lightness, mean_learns=True)
            yield Update("mean", mean_losses(model, fine, shown))
            return
        shown = model.show(batch.lightness)
        yield Update(
            "denoiser",
            denoising_losses(model, fine, shown, rng, self.settings)
            | sharpening_losses(model, fine, shown),
        )
        if shown.mean is not None:  # after the step: one that fails may be taken again
            model.measure(shown.mean, F.avg_pool2d(fine, model.fold))

    def validate(self, model: ModelType, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        fine, shown = model.target(batch.rgb), model.show(batch.lightness)
        return {
            **denoising_losses(model, fine, shown, rng, self.settings),
            **mean_losses(model, fine, shown),
            **sharpening_losses(model, fine, shown),
        }


def mean_losses(model: Denoiser, fine: Tensor, shown: Shown) -> dict[str, Tensor]:
    """What `unet` learns, by Huber; nothing where no mean is refined."""
    return {} if shown.mean is None else {"mean": huber(model.sharpen(shown.mean, shown), fine)}


def sharpening_losses(model: Denoiser, fine: Tensor, shown: Shown) -> dict[str, Tensor]:
    """True colour brought to full size, by Huber; nothing where the denoiser works there."""
    if model.upsample is None:
        return {}
    coarse = F.avg_pool2d(fine, model.fold)
    return {"sharpen": huber(model.sharpen(coarse, shown), fine)}


def denoising_losses(
    model: Denoiser, fine: Tensor, shown: Shown, rng: Randomness, settings: DenoiserSettings
) -> dict[str, Tensor]:
    """The prediction at random noise levels, by squared error, of colour `fine` (B, C, H, W)."""
    coarse = F.avg_pool2d(fine, model.fold)
    count, draws = len(fine), settings.draws
    x0 = coarse.repeat_interleave(draws, 0)
    # The draws of a picture from all over the range, not from one stretch of it.
    uniform = rng.uniform(count, draws).T.flatten()
    t = stratified_timesteps(uniform, model.schedule.steps).view(draws, count).T.flatten()
    alpha, sigma = model.schedule.at(t)
    noise = rng.normal(count, draws, *coarse.shape[1:]).flatten(0, 1)
    seen = shown.repeated(draws)
    if model.training and model.condition_dropout:
        hidden = rng.uniform(count, draws).view(-1, 1, 1, 1) < model.condition_dropout
        seen = seen.where(~hidden)
    answer = model(diffuse(x0, noise, alpha, sigma), t, seen)
    target = target_of(model.prediction, x0, noise, alpha, sigma)
    weight = loss_weight(
        model.prediction,
        settings.weighting,
        alpha,
        sigma,
        gamma=settings.snr_gamma,
        floor=settings.weight_floor,
    )
    return {LOSS_NAMES[model.prediction]: (weight * (answer.float() - target) ** 2).mean()}
