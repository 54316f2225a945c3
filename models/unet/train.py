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
from ..common.losses import ChromaWeight, adamw, mse, weighted_huber
from ..common.perceptual import (
    PRETRAINED_WEIGHTED,
    PerceptualWeight,
    perceptual_losses,
    require_frozen_encoder,
)
from .model import Model


class Settings(base.Settings):
    """The general settings, the losses, and the learning rate of a pretrained encoder."""

    model_class: ClassVar[type[Colorizer]] = Model
    presets: ClassVar[base.Presets] = {
        "quick": {"epochs": 6, "widths": [24, 48, 96]},
        "small": {"max_steps": 6000, "widths": [48, 96, 192], "dropout": 0.1},
        "small-pretrained": {
            "max_steps": 2400,
            "widths": [32, 64, 128],
            "dropout": 0.1,
            **PRETRAINED_WEIGHTED,
        },
        "large": {"widths": [128, 256, 384, 512]},
    }

    loss: Literal["huber", "mse"] = Field(
        "huber", description="Loss between standardized colors: huber, or mse for the squared error"
    )
    encoder_rate: EncoderRate = 0.0
    chroma_weight: ChromaWeight = 0.0
    perceptual_weight: PerceptualWeight = 0.0

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        require_frozen_encoder(self)
        if self.chroma_weight and self.loss != "huber":
            raise ValueError("chroma_weight belongs to the loss huber")
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
        output, target = model(batch.lightness), model.target(batch.rgb)
        if s.loss == "mse":
            color = mse(output, target)
        else:
            color = weighted_huber(output, target, s.chroma_weight)
        return {"color": color, **perceptual_losses(model, output, batch, s.perceptual_weight)}
