"""How the U-Net's VAE learns: colours from a latent that saw them, and a price on what it saw.

The posterior reads L and the true colour and gives a Gaussian; a draw from it goes into the model,
which must return the colour. The KL divergence to the prior is the price, so that a draw from the
prior, which saw no colour, is a draw the model knows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark import recipe
from benchmark.recipe import Batch, Randomness, Recipe, Update

from ..common.latent import Posterior, VariationalSettings, collapse, free, kl_divergence
from ..common.losses import adamw, huber
from .model import Model


class Settings(VariationalSettings):
    model_class = Model
    presets: ClassVar[recipe.Presets] = {
        "tiny": {"widths": [16, 32], "latent_dim": 16, "learning_rate": 3e-3},
        "quick": {"epochs": 6, "widths": [24, 48, 96]},
        "large": {"widths": [128, 256, 384, 512]},
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
        s = self.settings
        color, kl = self._color_and_kl(self.model, batch, rng)
        warm = min(1.0, batch.progress / s.kl_warmup) if s.kl_warmup else 1.0
        yield Update("model", {"color": color, "kl": warm * s.kl_weight * free(kl, s.free_bits)})

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        color, kl = self._color_and_kl(model, batch, rng)
        weighted = self.settings.kl_weight * kl.sum(1).mean()
        return {
            "bound": color + weighted,
            "color": color,
            "kl": weighted,
            "kl_per_dimension": kl.mean(0),
        }

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        text = collapse(values["val/kl_per_dimension"])
        return [text] if text else []

    def _color_and_kl(self, model: Model, batch: Batch, rng: Randomness) -> tuple[Tensor, Tensor]:
        """The colours' distance, and the KL of each picture and dimension, (B, D)."""
        real = model.target(batch.rgb)
        encoded = model.encode(batch.lightness)
        q = self.posterior(model.standardize_lightness(batch.lightness), real)
        latent = q.sample(rng.normal(*q.mean.shape))
        return huber(model.decode(encoded, latent), real), kl_divergence(q, model.prior(encoded))
