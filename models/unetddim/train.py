"""How the diffusion model learns."""

from .model import DenoiserSettings, DenoiserTraining, Model


class Settings(DenoiserSettings):
    model_class = Model


class Training(DenoiserTraining[Model, Settings]):
    pass
