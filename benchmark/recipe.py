"""Contract 2: what `models/<name>/train.py` defines, `class Settings` and `class Training(Recipe)`.

Settings say what can be chosen for a training, Training how the model learns. Devices, precision,
averaging, schedules, checkpoints, validation and progress are the loop's (`training.py`).
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
    """Training images: sRGB in [0, 1], (B, 3, H, W); `progress` is the share of training done."""

    rgb: Tensor
    progress: float = 0.0

    @cached_property
    def lab(self) -> Tensor:
        """(B, 3, H, W)."""
        return rgb_to_lab(self.rgb)

    @property
    def lightness(self) -> Tensor:
        """L* in [0, 100], (B, 1, H, W)."""
        return self.lab[:, :1].clamp(0, 100)


@dataclass(frozen=True)
class Update:
    """One optimizer step: whose, and the losses whose sum is minimized, by name."""

    optimizer: str
    losses: dict[str, Tensor]


class Recipe(nn.Module, ABC, Generic[ModelType, SettingsType]):
    """How a model learns. Holds the model, and what only training needs (discriminators)."""

    select_best_by: ClassVar[Literal["loss", "images"]] = "loss"
    """What the best weights are chosen by: the first loss of `validate`, or a few images that
    they color (`sample_validation.py`), where a loss says nothing of color."""

    def __init__(self, model: ModelType, settings: SettingsType) -> None:
        super().__init__()
        self.model = model
        self.settings = settings

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers by name; each owns the parameters in its groups, at its full rate."""

    @abstractmethod
    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        """Yield the updates of one step, one after another.

        Each is computed after the one before it was applied. Only what the named optimizer owns
        receives gradients.
        """

    @abstractmethod
    def validate(self, model: ModelType, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        """Losses of the averaged `model` by name; if it is judged by loss, by the first of them.

        A value that is no scalar, (D,), goes into the history as a list. `rng` is the same in
        every epoch, so that the curve shows the model and not the draw.
        """

    def warnings(self, values: Mapping[str, Any]) -> list[str]:
        """What the user should be told of an epoch's values, by name as in the history."""
        return []
