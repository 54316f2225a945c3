"""The training of the GAN: first the generator only, then generator and discriminator.

In the first phase the generator learns the mean of the likely colors, which is often dull. In the
second phase the discriminator learns to tell real from generated color, given L, and the generator
also learns to produce color that the discriminator classifies as real.
"""

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from benchmark import settings as base
from benchmark.colorizer import Colorizer
from benchmark.metrics.histogram import ab_divergence
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.adversarial import (
    AdversarialLoss,
    Discriminator,
    augmentation,
    discriminator_loss,
    feature_matching,
    generator_loss,
)
from ..common.encoders import EncoderRate
from ..common.losses import ChromaWeight, adamw, weighted_huber
from ..common.options import Widths
from ..common.perceptual import (
    PRETRAINED_WEIGHTED,
    PerceptualWeight,
    perceptual_losses,
    require_frozen_encoder,
)
from .model import Model


class Settings(base.Settings):
    """The general settings, and those of the two phases and of the discriminator."""

    model_class: ClassVar[type[Colorizer]] = Model
    presets: ClassVar[base.Presets] = {
        "quick": {"epochs": 6, "widths": [32, 64], "discriminator_widths": [32, 64]},
        "small": {"max_steps": 9000, "widths": [48, 96]},
        "small-pretrained": {
            "max_steps": 3000,
            "widths": [48, 96],
            **PRETRAINED_WEIGHTED,
        },
        "large": {"widths": [128, 256, 512], "discriminator_widths": [64, 128, 256]},
    }

    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="Peak learning rate of the generator's AdamW, reached after the warm-up",
    )
    encoder_rate: EncoderRate = 0.0
    chroma_weight: ChromaWeight = 0.0
    perceptual_weight: PerceptualWeight = 0.0
    discriminator_rate: float = Field(
        1e-3,
        gt=0,
        description="Peak learning rate of the discriminator's AdamW, reached after the warm-up",
    )
    discriminator_widths: Widths = Field(
        [64, 128], description="Channels of the discriminator's layers, each at half the size"
    )
    generator_only: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of the training in which only the generator learns, without a "
        "discriminator",
    )
    adversarial: AdversarialLoss = Field(
        "hinge", description="Adversarial loss: hinge, or bce for binary cross-entropy"
    )
    adversarial_weight: float = Field(
        0.05, ge=0, description="Weight of the adversarial loss; the color loss has weight 1"
    )
    feature_weight: float = Field(
        0.5, ge=0, description="Weight of the loss that matches the discriminator's features"
    )
    augment: bool = Field(
        True, description="Shift the discriminator's inputs and cut out a part of them at random"
    )

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        require_frozen_encoder(self)
        smallest = self.architecture["patch_size"] * 2 ** len(self.discriminator_widths)
        if self.size < smallest:
            raise ValueError(
                f"{len(self.discriminator_widths)} discriminator_widths need a size of {smallest}, "
                f"not {self.size}"
            )
        return self


class AdversarialStep:
    """The adversarial losses of one training step, for images of the given lightness.

    lightness: standardized, (B, 1, H, W). The augmentation is drawn once, so all inputs of the
    discriminator in this step have the same one.
    """

    def __init__(
        self, discriminator: Discriminator, settings: Settings, lightness: Tensor, rng: Randomness
    ) -> None:
        self.discriminator, self.settings, self.lightness = discriminator, settings, lightness
        count, _, height, width = lightness.shape
        size = height // discriminator.patch_size, width // discriminator.patch_size
        self.augment = augmentation(rng, count, *size) if settings.augment else None

    def discriminate(self, color: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the discriminator's logits and features for standardized color (B, C, H, W)."""
        x = self.discriminator.discriminator_input(self.lightness, color)
        logits, features = self.discriminator(self.augment(x) if self.augment else x)
        return logits, features

    def discriminator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's loss; the generator gets no gradient from it."""
        logits = self.discriminate(real)[0], self.discriminate(fake.detach())[0]
        return {"discriminator": discriminator_loss(*logits, self.settings.adversarial)}

    def generator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the generator's weighted losses, without the color loss."""
        s = self.settings
        with torch.no_grad():
            real_features = self.discriminate(real)[1]
        logits, features = self.discriminate(fake)
        return {
            "adversarial": s.adversarial_weight * generator_loss(logits, s.adversarial),
            "features": s.feature_weight * feature_matching(real_features, features),
        }


class Training(Recipe[Colorizer, Settings]):
    """Train in two phases; in the second one each step has two updates.

    The model may be any network that maps L* to standardized color and has a patch_size.
    """

    def __init__(self, model: Colorizer, settings: Settings) -> None:
        super().__init__(model, settings)
        patch_size = settings.architecture["patch_size"]
        self.discriminator = Discriminator(
            model.channels, patch_size, settings.discriminator_widths
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {
            "generator": adamw(self.model, s.learning_rate, s.weight_decay, s.encoder_rate),
            "discriminator": adamw(self.discriminator, s.discriminator_rate, s.weight_decay),
        }

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        s = self.settings
        real = self.model.target(batch.rgb)
        fake = self.model(batch.lightness)
        losses = self._color_losses(self.model, batch, fake)
        if batch.progress < s.generator_only:
            yield Update("generator", losses)
            return

        lightness = self.model.standardize_lightness(batch.lightness)
        step = AdversarialStep(self.discriminator, s, lightness, rng)
        yield Update("discriminator", step.discriminator_losses(real, fake))
        yield Update("generator", {**losses, **step.generator_losses(real, fake)})

    def validate(self, model: Colorizer, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        """Return the sum that selects the best weights, and its parts.

        They are the losses without those of the discriminator, and the divergence of ab histograms.
        Neither suffices alone: dull color can have a low color loss, and color in the wrong places
        a low divergence.
        """
        fake, real = model(batch.lightness), model.target(batch.rgb)
        parts = self._color_losses(model, batch, fake)
        parts["divergence"] = ab_divergence(model.to_ab(fake), model.to_ab(real))
        return {"sum": torch.stack([*parts.values()]).sum(), **parts}

    def _color_losses(self, model: Colorizer, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return the losses of the generator that need no discriminator."""
        s = self.settings
        return {
            "color": weighted_huber(fake, model.target(batch.rgb), s.chroma_weight),
            **perceptual_losses(model, fake, batch, s.perceptual_weight),
        }
