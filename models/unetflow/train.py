"""How mean and flow learn, at once: the mean by squared error, the flow by the ways it should go.

The flow starts where the mean stands at the time and does not pull at it: the mean stays what it
would be alone.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.flow import between, stratified_times
from ..common.losses import adamw, huber, mse
from .model import Model


class Settings(base.Settings):
    model_class = Model
    presets: ClassVar[base.Presets] = {
        "tiny": {"widths": [16, 32], "learning_rate": 3e-3},
        "quick": {"epochs": 10, "widths": [32, 64], "fold": 8},
        "large": {"widths": [128, 256, 384, 512]},
    }

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")


class Training(Recipe[Model, Settings]):
    select_best_by = "images"

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
        mean = model.regress(folded)
        here = mean.detach()
        start = here + model.spread * rng.normal(*coarse.shape)
        t = stratified_times(rng.uniform(len(fine)))
        velocity = model(between(start, coarse, t), t, here, folded)
        return {
            "velocity": mse(velocity, coarse - start),
            "mean": mse(mean, coarse),
            "sharpen": huber(model.sharpen(coarse, folded), fine),
        }
