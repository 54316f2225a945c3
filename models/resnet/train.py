"""The training of the ResNet, which is that of unet with its own presets."""

from typing import ClassVar

from benchmark import settings as base

from ..common.perceptual import PRETRAINED_WEIGHTED
from ..unet import train as unet
from .model import Model


class Settings(unet.Settings):
    """The settings of unet, for the ResNet."""

    model_class = Model
    presets: ClassVar[base.Presets] = {
        "quick": {"epochs": 6, "widths": [32, 64]},
        "small": {"max_steps": 9000, "widths": [48, 96]},
        "small-pretrained": {"max_steps": 3000, "widths": [48, 96], **PRETRAINED_WEIGHTED},
        "large": {"widths": [128, 256, 512]},
    }


class Training(unet.Training):
    """The training of unet."""
