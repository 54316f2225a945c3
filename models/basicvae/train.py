"""The training of the VAE: reconstruction from a latent of the posterior, and the KL divergence.

The posterior reads L and the true color and gives a Gaussian. The model must reconstruct the color
from L and a sample of that Gaussian. The KL divergence to the prior is penalized, so that the model
can also decode samples of the prior, which does not depend on the true color.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from benchmark import settings as base
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.encoders import EncoderRate
from ..common.latent import Posterior, free_bits, kl_divergence, posterior_collapse
from ..common.losses import adamw, huber
from ..common.perceptual import (
    PRETRAINED,
    PerceptualWeight,
    perceptual_losses,
    require_frozen_encoder,
)
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
            "max_steps": 3000,
            "widths": [48, 96],
            **PRETRAINED,
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
    perceptual_weight: PerceptualWeight = 0.0

    @model_validator(mode="after")
    def _check_perceptual_loss(self) -> Self:
        require_frozen_encoder(self)
        return self


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
        losses, kl = self._reconstruct(self.model, batch, rng)
        yield Update("model", {**losses, "kl": self._weighted_kl(kl, batch.progress)})

    def validate(
        self, model: VariationalColorizer, batch: Batch, rng: Randomness
    ) -> dict[str, Tensor]:
        """Return the negative ELBO without free bits, its parts, and the KL per dimension."""
        losses, kl = self._reconstruct(model, batch, rng)
        losses["kl"] = self.settings.kl_weight * kl.sum(1).mean()
        return {
            "negative_elbo": torch.stack([*losses.values()]).sum(),
            **losses,
            "kl_per_dimension": kl.mean(0),
        }

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        warm = values["epoch"] >= self.settings.kl_warmup * self.settings.epochs
        text = posterior_collapse(values["val/kl_per_dimension"]) if warm else None
        return [text] if text else []

    def _reconstruct(
        self, model: VariationalColorizer, batch: Batch, rng: Randomness
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the losses of the decoded color, and KL(posterior ‖ prior) in nats, (B, D).

        The color is decoded from a sample of the posterior.
        """
        real = model.target(batch.rgb)
        lightness = model.standardize_lightness(batch.lightness)
        noise = rng.normal(len(real), model.latent_dim)
        color, q, p = model(
            batch.lightness, lambda shares: self.posterior(lightness, real, shares), noise
        )
        weight = self.settings.perceptual_weight
        losses = {"color": huber(color, real), **perceptual_losses(model, color, batch, weight)}
        return losses, kl_divergence(q, p)

    def _weighted_kl(self, kl: Tensor, progress: float) -> Tensor:
        """Return the loss of KL (B, D), with free bits and a warm-up (Bowman et al. 2016)."""
        s = self.settings
        warm = min(1.0, progress / s.kl_warmup) if s.kl_warmup else 1.0
        return warm * s.kl_weight * free_bits(kl, s.free_bits)
