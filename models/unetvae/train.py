"""The training of the U-Net's VAE, which is that of basicvae with its own presets."""

from typing import ClassVar

from benchmark import settings as base

from ..basicvae import train as basicvae
from .model import Model


class Settings(basicvae.Settings):
    """The settings of basicvae, for the U-Net."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        # In few steps, a latent of many dimensions or with a high KL weight stays unused.
        "quick": {"epochs": 6, "widths": [24, 48, 96], "latent_dim": 16, "kl_weight": 3e-4},
        "large": {"widths": [128, 256, 384, 512]},
    }


class Training(basicvae.Training):
    """The training of basicvae."""
