"""How the diffusion model learns: as unetddpm does, whose weights it can use.

Its settings, optimizers, updates and losses are in models/common/denoising.py.
"""

from ..common.denoising import DenoiserSettings, DenoiserTraining
from .model import Model


class Settings(DenoiserSettings):
    model_class = Model


class Training(DenoiserTraining[Model, Settings]):
    """A colour in noise is shown, and the way back to it is to be told."""
