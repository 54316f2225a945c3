"""Contract 2: what `models/<name>/train.py` defines, `class Settings` and `class Training(Recipe)`.

Settings hold the hyperparameters (`benchmark/settings.py`), Training how the model learns. Device,
precision, averaging, schedule, checkpoints, validation and progress belong to the training loop
(`benchmark/training/loop.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from benchmark.color import rgb_to_lab
from benchmark.colorizer import Colorizer
from benchmark.randomness import Randomness
from benchmark.settings import SettingsType

ModelType = TypeVar("ModelType", bound=Colorizer)


@dataclass(frozen=True)
class Batch:
    """A batch of images: sRGB in [0, 1], (B, 3, H, W).

    H and W are multiples of the model's `size_divisor`. progress: the share of training done, in
    [0, 1].
    """

    rgb: Tensor
    progress: float = 0.0

    @cached_property
    def lab(self) -> Tensor:
        """The images in Lab, (B, 3, H, W)."""
        return rgb_to_lab(self.rgb)

    @property
    def lightness(self) -> Tensor:
        """L* in [0, 100], (B, 1, H, W): the input of a model."""
        return self.lab[:, :1].clamp(0, 100)


@dataclass(frozen=True)
class Update:
    """One optimizer step: the optimizer's name, and by name the losses whose sum it minimizes."""

    optimizer: str
    losses: dict[str, Tensor]


class Recipe(nn.Module, ABC, Generic[ModelType, SettingsType]):
    """The training of a model: its optimizers and losses, and modules that only training needs.

    What a contributor writes in `models/<name>/train.py`, and when each part is called:

    - `class Settings(settings.Settings)` with `model_class = Model`; fields of its own are pydantic
      fields with a description. The constructor arguments of the network are settings as well and
      are not repeated. `presets` may hold values for `quick`, `standard` and `large`.
    - `class Training(Recipe[Model, Settings])` with the methods below. It is constructed once,
      after the model, before anything is loaded. Submodules that only training needs (a
      discriminator, a posterior) are assigned in its constructor; they are saved to resume, but
      they are not part of the weights.
    - `optimizers()` is called once, before the first step. Learning rates are peak rates: the loop
      warms them up and lowers them to 0 by a cosine.
    - `updates(batch, rng)` is called once a step, in training mode and under autocast. Yield an
      `Update` for each optimizer step: one for most models, two for a GAN. The loop computes the
      gradients, clips them and takes the step before it asks for the next update.
    - `validate(model, batch, rng)` is called for each validation batch at the end of an epoch, with
      the averaged model in eval mode, without gradients.
    - `warnings(values)` is called at the end of an epoch; it is optional.

    Random draws come from `rng`: `rng.normal(B, *shape)` and `rng.uniform(B, *shape)` are on the
    device of the batch. Layers such as dropout may use torch's own generator, which the loop seeds
    at every step. So a training can be resumed exactly. Losses are means over the batch and are
    computed in float32. `model.target(batch.rgb)` has full resolution: a network that works at a
    lower one upsamples its output, or compares it with the reduced target.
    """

    select_best_by: ClassVar[Literal["loss", "images"]] = "loss"
    """How the best weights are selected: by the first loss of `validate`, or by validation images
    that they color (`training/sample_validation.py`). Every stochastic model has the latter, since
    its loss does not measure what it samples."""

    def __init__(self, model: ModelType, settings: SettingsType) -> None:
        super().__init__()
        self.model = model
        self.settings = settings

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers by name; every parameter that is trained belongs to one."""

    @abstractmethod
    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        """Yield the updates of one step, one after another.

        Each is computed after the one before it was applied. Only parameters that the named
        optimizer owns receive gradients.
        """

    @abstractmethod
    def validate(self, model: ModelType, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        """Return the losses of the averaged `model` by name; the first may select the best weights.

        A value that is no scalar, (D,), goes into the history as a list. `rng` is the same in
        every epoch, so that a change of the loss is a change of the model.
        """

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        """Return warnings to the user about the values of an epoch, named as in the history."""
        return []
