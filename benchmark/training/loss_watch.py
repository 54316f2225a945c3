"""The step at which a loss of a training stops being finite or explodes."""

import math

import torch
from torch import Tensor

from benchmark.checkpoints import is_sound
from benchmark.errors import Diverged

EXPLODED = 1e4
"""A loss beyond this many times that of the untrained network, or 1 if that is less, has exploded.

Spikes that a training recovers from stay far below it.
"""
STEPS_ON_A_GPU = 20
"""Reading a loss waits for a GPU, so the losses of some steps are read at once there."""


class LossWatch:
    """Reads the losses of every step; where that is cheap, at once.

    untrained: the validation loss before the first step, which gives the scale.
    """

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else STEPS_ON_A_GPU
        self.untrained = math.inf
        self._unread: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, name: str, loss: Tensor) -> None:
        """Note a loss of a step, to be read later."""
        self._unread.append((step, name, loss.detach()))

    def read(self) -> None:
        """Read all noted losses. Raises Diverged with the first step whose loss is none."""
        if not self._unread:
            return
        noted, self._unread = self._unread, []
        values = torch.stack([loss.float() for _, _, loss in noted]).tolist()
        limit = EXPLODED * max(1.0, abs(self.untrained))
        for (step, name, _), value in zip(noted, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(f"the loss {name} is {value}", step)
            if abs(value) > limit:
                raise Diverged(f"the loss {name} is {value:.3g}, beyond {limit:.3g}", step)

    def require_sound(self, module: torch.nn.Module, step: int | None) -> None:
        """Raise Diverged if a loss, or a weight after the last step, is not one of a training."""
        self.read()
        for name, parameter in module.named_parameters():
            if not is_sound(parameter.detach()):
                raise Diverged(f"the weights {name} are not finite or beyond all bounds", step)
