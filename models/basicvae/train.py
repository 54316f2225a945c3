"""The training of the VAE: reconstruction from a latent of the posterior, and the KL divergence.

The posterior reads L and the true color and gives a Gaussian. The model must reconstruct the color
from L and a sample of that Gaussian. The KL divergence to the prior is penalized, so that the model
can also decode samples of the prior, which does not depend on the true color.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.encoders import EncoderRate
from ..common.latent import Posterior, free_bits, kl_divergence, posterior_collapse
from ..common.losses import adamw, huber
from ..common.variational import VariationalColorizer
from .model import Model


class Settings(base.Settings):
    """The general settings, and those of the KL divergence."""

    model_class: ClassVar[type[VariationalColorizer]] = Model
    presets: ClassVar[base.Presets] = {
        # In few steps, a latent of many dimensions or with a high KL weight stays unused.
        "quick": {"epochs": 6, "widths": [32, 64], "latent_dim": 16, "kl_weight": 3e-4},
        "small": {"max_steps": 6600, "widths": [48, 96]},
        "small-pretrained": {
            "max_steps": 4500,
            "widths": [48, 96],
            "encoder": "efficientnet_lite0",
        },
        "large": {"widths": [128, 256, 512]},
    }

    kl_weight: float = Field(
        1e-3, ge=0, description="Weight of a nat of KL divergence; the color loss has weight 1"
    )
    kl_warmup: float = Field(
        0.2, ge=0, le=1, description="Share of the training in which kl_weight rises from 0"
    )
    free_bits: float = Field(
        4.0, ge=0, description="KL divergence in nats per image below which it is not penalized"
    )
    encoder_rate: EncoderRate = 0.0


class Training(Recipe[VariationalColorizer, Settings]):
    """Minimize the negative evidence lower bound (ELBO) of a model and its posterior.

    The model may be any `VariationalColorizer`.
    """

    select_best_by = "images"

    def __init__(self, model: VariationalColorizer, settings: Settings) -> None:
        super().__init__(model, settings)
        shape = settings.architecture
        self.posterior = Posterior(
            model.channels,
            shape["patch_size"],
            model.posterior_widths,
            shape["blocks"],
            model.region_dim,
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {"model": adamw(self, s.learning_rate, s.weight_decay, s.encoder_rate)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        color, kl = self._color_and_kl(self.model, batch, rng)
        yield Update("model", {"color": color, "kl": self._weighted_kl(kl, batch.progress)})

    def validate(
        self, model: VariationalColorizer, batch: Batch, rng: Randomness
    ) -> dict[str, Tensor]:
        """Return the negative ELBO without free bits, its two parts, and the KL per dimension."""
        color, kl = self._color_and_kl(model, batch, rng)
        weighted = self.settings.kl_weight * kl.sum(1).mean()
        return {
            "negative_elbo": color + weighted,
            "color": color,
            "kl": weighted,
            "kl_per_dimension": kl.mean(0),
        }

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        warm = values["epoch"] >= self.settings.kl_warmup * self.settings.epochs
        text = posterior_collapse(values["val/kl_per_dimension"]) if warm else None
        return [text] if text else []

    def _color_and_kl(
        self, model: VariationalColorizer, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, Tensor]:
        """Return the Huber loss of the decoded color, and KL(posterior ‖ prior) in nats, (B, D).

        The color is decoded from a sample of the posterior.
        """
        real = model.target(batch.rgb)
        lightness = model.standardize_lightness(batch.lightness)
        noise = rng.normal(len(real), model.latent_dim)
        color, q, p = model(
            batch.lightness, lambda shares: self.posterior(lightness, real, shares), noise
        )
        return huber(color, real), kl_divergence(q, p)

    def _weighted_kl(self, kl: Tensor, progress: float) -> Tensor:
        """Return the loss of KL (B, D), with free bits and a warm-up (Bowman et al. 2016)."""
        s = self.settings
        warm = min(1.0, progress / s.kl_warmup) if s.kl_warmup else 1.0
        return warm * s.kl_weight * free_bits(kl, s.free_bits)
