"""How the VAE learns: colors from a latent that saw them, and a price on what it saw.

The posterior reads L and the true color and gives a Gaussian; a draw from it goes into the model,
which must return the color. The KL divergence to the prior is the price, so that a draw from the
prior, which saw no color, is a draw the model knows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.latent import (
    Posterior,
    VariationalSettings,
    bound,
    collapse,
    color_and_kl,
    kl_price,
)
from ..common.losses import adamw
from .model import Model


class Settings(VariationalSettings):
    model_class = Model
    presets: ClassVar[base.Presets] = {
        "tiny": {
            "widths": [16, 32],
            "blocks": 1,
            "dilations": [1],
            "latent_dim": 16,
            "free_bits": 0,
            "learning_rate": 3e-3,
        },
        # Few steps: a latent of many dimensions, or a dear one, would not come to be used.
        "quick": {"epochs": 6, "widths": [32, 64], "latent_dim": 16, "kl_weight": 3e-4},
        "large": {"widths": [128, 256, 512]},
    }


class Training(Recipe[Model, Settings]):
    def __init__(self, model: Model, settings: Settings) -> None:
        super().__init__(model, settings)
        shape = model.architecture
        self.posterior = Posterior(
            model.channels, model.fold, shape["widths"], shape["blocks"], model.latent_dim
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": adamw(self, self.settings.learning_rate, self.settings.weight_decay)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        color, kl = color_and_kl(self.model, self.posterior, batch, rng)
        price = kl_price(kl, self.settings, batch.progress)
        yield Update("model", {"color": color, "kl": price})

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return bound(*color_and_kl(model, self.posterior, batch, rng), self.settings)

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        warm = values["epoch"] >= self.settings.kl_warmup * self.settings.epochs
        text = collapse(values["val/kl_per_dimension"]) if warm else None
        return [text] if text else []
