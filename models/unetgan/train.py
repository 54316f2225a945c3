"""The training of the U-Net's GAN, which is that of gan with its own presets."""

from typing import ClassVar

from benchmark import settings as base

from ..common.perceptual import PRETRAINED_WEIGHTED
from ..gan import train as gan
from .model import Model


class Settings(gan.Settings):
    """The settings of gan, for the U-Net."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        "quick": {"epochs": 6, "widths": [24, 48, 96], "discriminator_widths": [32, 64]},
        "small": {"max_steps": 5900, "widths": [48, 96, 192], "dropout": 0.1},
        "small-pretrained": {
            "max_steps": 2600,
            "widths": [32, 64, 128],
            "dropout": 0.1,
            **PRETRAINED_WEIGHTED,
        },
        "large": {"widths": [128, 256, 384, 512], "discriminator_widths": [64, 128, 256]},
    }


class Training(gan.Training):
    """The training of gan."""
