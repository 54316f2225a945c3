"""The training of the U-Net's VAE, which is that of basicvae with its own presets."""

from typing import ClassVar

from benchmark import settings as base

from ..basicvae import train as basicvae
from ..common.perceptual import PRETRAINED
from .model import Model


class Settings(basicvae.Settings):
    """The settings of basicvae, for the U-Net."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        # With a lower KL weight, the latents of few steps also color what L decides, such as grass.
        "quick": {
            "epochs": 12,
            "widths": [24, 48, 96],
            "latent_dim": 64,
            "kl_weight": 2e-3,
            "ema_decay": 0.99,
        },
        "small": {"max_steps": 3400, "widths": [48, 96, 192]},
        "small-pretrained": {
            "max_steps": 3000,
            "widths": [32, 64, 128],
            **PRETRAINED,
        },
        "large": {"widths": [128, 256, 384, 512]},
    }


class Training(basicvae.Training):
    """The training of basicvae."""
