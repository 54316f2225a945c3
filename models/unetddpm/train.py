"""How the diffusion model learns."""

from ..unetddim.model import DenoiserSettings, DenoiserTraining
from .model import Model


class Settings(DenoiserSettings):
    model_class = Model


class Training(DenoiserTraining[Model, Settings]):
    pass
