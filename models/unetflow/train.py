"""The training of regression and flow together: squared errors of the mean and of the velocity.

The flow starts from the mean that the regression predicts but passes no gradient to it, so the
regression learns as it would without the flow. Without a regression it starts from noise.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.condition import Condition
from ..common.diffusion_options import Draws
from ..common.encoders import EncoderRate
from ..common.flow import interpolate, shifted
from ..common.losses import adamw, huber, mse
from ..common.times import stratified_times
from .model import Model

# As for unetddim: a regression of few photos is closer to their true color than to that of new
# ones, and what it leaves for the samples is too dull.
SMALL: Mapping[str, Any] = {
    "batch_size": 16,
    "learning_rate": 6e-4,
    "max_steps": 4400,
    "widths": [64, 128, 192],
    "dropout": 0.1,
    "condition": "concat",
    "spread": 1.0,
    "shift": 3.0,
    "self_conditioning": True,
    "draws": 3,
}
"""What both presets for photos on a CPU share: they differ in the encoder alone."""


class Settings(base.Settings):
    """The general settings, and the learning rate of a pretrained encoder."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        "quick": {
            "epochs": 18,
            "learning_rate": 6e-4,
            "widths": [48, 96],
            "regression_widths": [32, 64],
            "spread": 1.0,
            "ema_decay": 0.99,
        },
        "small": SMALL,
        "small-pretrained": {**SMALL, "encoder": "efficientnet_lite0", "encoder_scale": 3.0},
        "large": {"widths": [128, 256, 384, 512]},
    }

    draws: Draws = 1
    encoder_rate: EncoderRate = 0.0


class Training(Recipe[Model, Settings]):
    """Minimize the losses of regression, flow and upsampler with one optimizer."""

    select_best_by = "images"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {"model": adamw(self.model, s.learning_rate, s.weight_decay, s.encoder_rate)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", self._losses(self.model, batch, rng))

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return self._losses(model, batch, rng)

    def _losses(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        fine = model.target(batch.rgb)
        coarse = F.avg_pool2d(fine, model.patch_size)
        condition = model.encode_condition(batch.lightness)
        count, draws = len(fine), self.settings.draws
        repeated = condition.repeated(draws)
        end = coarse.repeat_interleave(draws, 0)
        noise = rng.normal(count, draws, *coarse.shape[1:]).flatten(0, 1)
        start = model.center(repeated) + model.spread * noise
        t = shifted(stratified_times(rng.uniform(count, draws)), model.shift)
        z = interpolate(start, end, t)
        previous = previous_estimate(model, z, t, repeated) if model.self_conditioning else None
        losses = {"velocity": mse(model(z, t, repeated, previous), end - start)}
        if condition.mean is not None:
            losses["mean"] = mse(condition.mean, coarse)
        losses["upsample"] = huber(model.upsample(coarse, condition), fine)
        return losses


@torch.no_grad()
def previous_estimate(model: Model, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """Return what self-conditioning gives the flow, (B, C, h, w): an estimated end, or zeros.

    Every second image gets the network's own estimate at the same z_t (Chen et al. 2023,
    algorithm 1).
    """
    half, times = z[::2], t[::2]
    previous = torch.zeros_like(z)
    previous[::2] = model.end(half, times, model(half, times, condition.every_second()).float())
    return previous
