"""The training of the diffusion model: the prediction target at random noise levels.

True color is mixed with noise at a random level, and the network learns to predict v (or the noise,
or the color) from the mixture. From each prediction the samplers compute an estimate of the color.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.condition import Condition
from ..common.diffusion import (
    Prediction,
    Weighting,
    diffuse,
    loss_weight,
    target_of,
    usable_schedule,
    x0_of,
)
from ..common.diffusion_options import Draws
from ..common.encoders import EncoderRate
from ..common.losses import adamw, huber
from ..common.options import require_levels
from ..common.times import stratified_times
from .model import Model

LOSS_NAMES: Mapping[Prediction, str] = {"v": "velocity", "epsilon": "noise", "x0": "image"}
CLASSIC: Mapping[str, Any] = {
    "color_space": "rgb",
    "patch_size": 1,
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
"""The classic recipe: sRGB at full size, noise prediction, schedules as published."""

# The denoiser sees L, or the encoder's features, itself. A regression of few photos is closer to
# their true color than to that of new ones, and what it leaves for the samples is too dull.
SMALL: Mapping[str, Any] = {
    "batch_size": 16,
    "learning_rate": 6e-4,
    "max_steps": 4400,
    "widths": [64, 128, 192],
    "dropout": 0.1,
    "condition": "concat",
    "condition_dropout": 0.0,
    "self_conditioning": True,
    "draws": 3,
}
"""What both presets for photos on a CPU share: they differ in the encoder alone."""


class Settings(base.Settings):
    """The general settings, and those of the noise levels in the loss."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        # What learns to paint an object in one color in the fewest minutes. Without
        # condition_dropout there is no guidance, which would double the time of sampling.
        "quick": {
            "epochs": 25,
            "learning_rate": 6e-4,
            "widths": [48, 96],
            "regression_widths": [32, 64],
            "self_conditioning": True,
            "condition_dropout": 0.0,
            "ema_decay": 0.99,
        },
        "small": SMALL,
        "small-pretrained": {**SMALL, "encoder": "efficientnet_lite0", "encoder_scale": 3.0},
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
        "cartoon-ddpm": {**CLASSIC, "schedule": "cosine", "offset": 0.008, "timesteps": 500},
        "tiny-imagenet-ddpm": {**CLASSIC, "schedule": "linear", "size": 64, "dropout": 0.15},
        # As published, a linear schedule of 350 steps ends at √ᾱ = 0.17; zero_terminal, which is on
        # by default, rescales it to end in pure noise.
        "lab-encoder": {
            "size": 64,
            "patch_size": 1,
            "condition": "encoder",
            "schedule": "linear",
            "timesteps": 350,
            "shift": 1.0,
            "condition_dropout": 0.0,
        },
    }

    draws: Draws = 1
    weighting: Weighting = Field(
        "uniform", description="Weighting of the noise levels in the loss: uniform or min-snr"
    )
    encoder_rate: EncoderRate = 0.0
    snr_gamma: float = Field(5.0, gt=0, description="Largest signal to noise ratio in min-snr")
    weight_floor: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Smallest weight in min-snr; without one, the noisy steps, which decide the "
        "hue, are hardly learned",
    )

    @model_validator(mode="after")
    def _check_architecture_values(self) -> Self:
        require_levels(self.architecture["attention"], self.architecture["widths"])
        usable_schedule(**self.architecture)
        return self


class Training(Recipe[Model, Settings]):
    """Train denoiser, regression and upsampler jointly with one optimizer."""

    select_best_by = "images"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {"model": adamw(self.model, s.learning_rate, s.weight_decay, s.encoder_rate)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", denoising_losses(self.model, batch, rng, self.settings))

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return denoising_losses(model, batch, rng, self.settings)


@torch.no_grad()
def previous_estimate(model: Model, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """Return what self-conditioning gives the denoiser, (B, C, h, w): an estimate of x_0 or zeros.

    Every second image gets the network's own estimate at the same x_t, limited to the range of the
    data (Chen et al. 2023, algorithm 1).
    """
    limit = float(model.color_limit)
    half = x_t[::2]
    output = model(half, t[::2], condition.every_second()).float()
    estimate = x0_of(model.prediction, output, half, *model.schedule.at(t[::2]))
    previous = torch.zeros_like(x_t)
    previous[::2] = estimate.clamp(-limit, limit)
    return previous


def denoising_losses(
    model: Model, batch: Batch, rng: Randomness, settings: Settings
) -> dict[str, Tensor]:
    """Return the squared error of the prediction at random noise levels, and the other losses.

    The loss of the upsampler is the Huber loss of true color that was averaged over patches and
    upsampled again. Where a regression's mean is refined, the mean has a Huber loss too, as in
    `unet`.
    """
    fine = model.target(batch.rgb)
    coarse = F.avg_pool2d(fine, model.patch_size)
    condition = model.encode_condition(batch.lightness)
    count, draws = len(fine), settings.draws
    x0 = coarse.repeat_interleave(draws, 0)
    t = model.schedule.timestep_at(stratified_times(rng.uniform(count, draws)))
    alpha, sigma = model.schedule.at(t)
    noise = rng.normal(count, draws, *coarse.shape[1:]).flatten(0, 1)
    repeated = condition.repeated(draws)
    if model.training and model.condition_dropout:
        hidden = rng.uniform(count, draws).view(-1, 1, 1, 1) < model.condition_dropout
        repeated = repeated.masked(~hidden)
    x_t = diffuse(x0, noise, alpha, sigma)
    previous = previous_estimate(model, x_t, t, repeated) if model.self_conditioning else None
    output = model(x_t, t, repeated, previous)
    target = target_of(model.prediction, x0, noise, alpha, sigma)
    weight = loss_weight(
        model.prediction,
        settings.weighting,
        alpha,
        sigma,
        gamma=settings.snr_gamma,
        floor=settings.weight_floor,
    )
    losses = {LOSS_NAMES[model.prediction]: (weight * (output.float() - target) ** 2).mean()}
    if condition.mean is not None:
        if model.training:
            model.update_explained_variance(condition.mean, coarse)
        losses["mean"] = huber(model.upsample(condition.mean, condition), fine)
    if model.upsampler is not None:
        losses["upsample"] = huber(model.upsample(coarse, condition), fine)
    return losses
