"""How the diffusion model learns: as unetddim does, whose weights it can use.

A true colour is mixed with noise, much or little; the network is asked which direction, v, leads
from one to the other. The samplers ask it the same on their way back from noise.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.recipe import Batch, Randomness, Recipe, Update

from ..common.denoiser import DenoiserSettings, denoising_losses
from ..common.losses import adamw
from .model import Model


class Settings(DenoiserSettings):
    model_class = Model


class Training(Recipe[Model, Settings]):
    judged_by = "pictures"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": adamw(self.model, self.settings.learning_rate, self.settings.weight_decay)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", denoising_losses(self.model, batch, rng, self.settings))

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return denoising_losses(model, batch, rng, self.settings)
