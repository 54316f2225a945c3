"""The training of unetddpm, which is that of unetddim; it is needed only for weights of its own."""

from ..unetddim import train as unetddim
from .model import Model


class Settings(unetddim.Settings):
    """The settings of unetddim."""

    model_class = Model


class Training(unetddim.Training):
    """The training of unetddim."""
