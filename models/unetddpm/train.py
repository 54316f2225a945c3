"""How the diffusion model learns: as unetddim does, whose weights it can use.

Its settings, losses and training are in models/common/denoiser.py.
"""

from ..common.denoiser import DenoiserSettings, DenoiserTraining
from .model import Model


class Settings(DenoiserSettings):
    model_class = Model


class Training(DenoiserTraining[Model, Settings]):
    pass
