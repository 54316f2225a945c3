"""The training of the U-Net: a Huber loss between standardized colors, and a perceptual loss."""

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from benchmark import settings as base
from benchmark.colorizer import Colorizer
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.encoders import EncoderRate
from ..common.losses import adamw, huber, mse
from ..common.perceptual import PerceptualWeight, perceptual_losses, require_frozen_encoder
from .model import Model


class Settings(base.Settings):
    """The general settings, the loss, and the learning rate of a pretrained encoder."""

    model_class: ClassVar[type[Colorizer]] = Model
    presets: ClassVar[base.Presets] = {
        "quick": {"epochs": 6, "widths": [24, 48, 96]},
        "small": {"max_steps": 6000, "widths": [48, 96, 192], "dropout": 0.1},
        "small-pretrained": {
            "max_steps": 3000,
            "widths": [32, 64, 128],
            "dropout": 0.1,
            "encoder": "efficientnet_lite0",
            "encoder_scale": 3.0,
        },
        "large": {"widths": [128, 256, 384, 512]},
    }

    loss: Literal["huber", "mse"] = Field(
        "huber", description="Loss between standardized colors: huber, or mse for the squared error"
    )
    encoder_rate: EncoderRate = 0.0
    perceptual_weight: PerceptualWeight = 0.0

    @model_validator(mode="after")
    def _check_perceptual_loss(self) -> Self:
        require_frozen_encoder(self)
        return self


class Training(Recipe[Colorizer, Settings]):
    """Minimize the sum of the losses with one optimizer.

    The model may be any network that maps L* to standardized color.
    """

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {"model": adamw(self.model, s.learning_rate, s.weight_decay, s.encoder_rate)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", self._losses(self.model, batch))

    def validate(self, model: Colorizer, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        """Return the losses, and first their sum, which selects the best weights."""
        losses = self._losses(model, batch)
        return {"sum": torch.stack([*losses.values()]).sum(), **losses}

    def _losses(self, model: Colorizer, batch: Batch) -> dict[str, Tensor]:
        s = self.settings
        distance = huber if s.loss == "huber" else mse
        output = model(batch.lightness)
        return {
            "color": distance(output, model.target(batch.rgb)),
            **perceptual_losses(model, output, batch, s.perceptual_weight),
        }
