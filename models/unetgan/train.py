"""How the U-Net's GAN learns: alone at first, then against a discriminator.

Alone it learns the likeliest average color. In the joint phase the discriminator, which sees L
and color, is shown real and generated images in turn, and the generator is rewarded for colors
it takes for real: a color from the middle between two likely ones is not.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from benchmark import settings as base
from benchmark.metrics.histogram import ab_divergence
from benchmark.randomness import Randomness
from benchmark.recipe import Batch, Recipe, Update

from ..common.adversarial import AdversarialSettings, Contest, Discriminator
from ..common.losses import adamw, huber
from .model import Model


class Settings(AdversarialSettings):
    model_class = Model
    presets: ClassVar[base.Presets] = {
        "tiny": {"widths": [16, 32], "discriminator_widths": [8, 16], "learning_rate": 3e-3},
        "quick": {"epochs": 6, "widths": [24, 48, 96], "discriminator_widths": [32, 64]},
        "large": {"widths": [128, 256, 384, 512], "discriminator_widths": [64, 128, 256]},
    }


class Training(Recipe[Model, Settings]):
    def __init__(self, model: Model, settings: Settings) -> None:
        super().__init__(model, settings)
        self.discriminator = Discriminator(
            model.channels, model.fold, settings.discriminator_widths
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        s = self.settings
        return {
            "generator": adamw(self.model, s.learning_rate, s.weight_decay),
            "discriminator": adamw(self.discriminator, s.discriminator_rate, s.weight_decay),
        }

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        s = self.settings
        real = self.model.target(batch.rgb)
        fake = self.model(batch.lightness)
        color = huber(fake, real)
        if batch.progress < s.alone:
            yield Update("generator", {"color": color})
            return

        lightness = self.model.standardize_lightness(batch.lightness)
        contest = Contest(self.discriminator, s, lightness, rng)
        yield Update("discriminator", contest.discriminator_losses(real, fake))
        yield Update("generator", {"color": color, **contest.generator_losses(real, fake)})

    def validate(self, model: Model, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        """The best weights are near the truth and as colorful: either alone can be had cheaply."""
        fake, real = model(batch.lightness), model.target(batch.rgb)
        color, colors = huber(fake, real), ab_divergence(model.to_ab(fake), model.to_ab(real))
        return {"sum": color + colors, "color": color, "divergence": colors}
