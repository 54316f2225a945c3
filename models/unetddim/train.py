"""How the diffusion model learns: predict v at random noise levels; sharpen true coarse colour."""

from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark import recipe
from benchmark.recipe import Batch, Randomness, Recipe, Update

from ..common.diffusion import diffuse, stratified_timesteps, v_of
from ..common.losses import adamw, huber, mse
from .model import Model


class Settings(recipe.Settings):
    model_class = Model
    presets: ClassVar[recipe.Presets] = {
        "tiny": {"widths": [16, 32], "shift": 1.5, "learning_rate": 3e-3},
        # At an eighth of the resolution: coherent after two minutes, where a quarter has speckle.
        "quick": {"epochs": 12, "widths": [48, 96], "fold": 8, "shift": 2.0},
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
    }

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")


class Training(Recipe[Model, Settings]):
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": adamw(self.model, self.settings.learning_rate, self.settings.weight_decay)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", self._losses(self.model, batch, rng))

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return self._losses(model, batch, rng)

    def _losses(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        fine = model.target(batch.rgb)
        coarse = F.avg_pool2d(fine, model.fold)
        folded = model.fold_lightness(batch.lightness)
        t = stratified_timesteps(rng.uniform(len(fine)), model.schedule.steps)
        alpha, sigma = model.schedule.at(t)
        noise = rng.normal(*coarse.shape)
        v = model(diffuse(coarse, noise, alpha, sigma), t, folded)
        return {
            "velocity": mse(v, v_of(coarse, noise, alpha, sigma)),
            # Nothing the denoiser learns depends on this: the two share no weights.
            "sharpen": huber(model.sharpen(coarse, folded), fine),
        }
