"""The state of a training in state.pt, from which it goes on exactly as if it had not stopped."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from benchmark.checkpoints import (
    difference,
    is_dense,
    load_state,
    save_state,
    save_weights,
    state_error,
)
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.errors import UserError, first_line
from benchmark.results.folders import RunFolder
from benchmark.results.schema import Amount, Count, validation_fault
from benchmark.training.ema import Average

Tensors = dict[str, Tensor]
Optimizers = Mapping[str, torch.optim.Optimizer]


class TrainingState(BaseModel):
    """All that a training needs to go on.

    identity: a hash of the model, the settings and the images. closed_epochs: how many epochs are
    validated and recorded. untrained: the validation loss before the first step. best: the lowest
    selection score, infinite before there is one. sums, counts: of the losses since the last closed
    epoch, by name. precision: the state of fp16's scale.
    """

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    identity: str
    step: Count
    seconds: Amount
    closed_epochs: Count
    untrained: Annotated[float, Field(gt=-math.inf)]  # not NaN
    best: Annotated[float, Field(gt=-math.inf)]
    best_epoch: Count
    sums: Tensors
    counts: dict[str, Annotated[int, Field(ge=1, lt=2**63)]]
    recipe: Tensors
    average: Tensors
    optimizers: dict[str, dict[str, Any]]
    precision: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the state. UserError if it cannot be written."""
        save_state(path, {name: getattr(self, name) for name in type(self).model_fields})

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read a state. UserError if it is damaged or of another version."""
        try:
            return cls.model_validate(load_state(path))
        except ValidationError as error:
            problem = f"is no state of this version ({validation_fault(error)})"
            raise state_error(path, problem) from error

    def fault(self, identity: str, total: int, steps_per_epoch: int) -> str | None:
        """Say why this is no state of the training with this identity, or None.

        total: the number of its steps.
        """
        if self.identity != identity:
            return "is of a training with other settings or images"
        begun = math.ceil(self.step / steps_per_epoch)
        whole = begun if self.step == total else self.step // steps_per_epoch
        if self.step > total or self.closed_epochs not in (whole, begun - 1):
            return f"holds step {self.step} of {total} and {self.closed_epochs} finished epochs"
        values = self.sums.values()
        if self.sums.keys() != self.counts.keys() or any(
            v.numel() != 1 or not v.is_floating_point() or not is_dense(v) for v in values
        ):
            return "holds losses that do not belong together"
        return None

    def restore(
        self, recipe: nn.Module, average: Average, optimizers: Optimizers, fabric: Fabric
    ) -> str | None:
        """Load the state into what it is of. If it does not fit, nothing is loaded.

        Returns the reason why it does not fit, or None.
        """
        for expected, found in ((recipe, self.recipe), (average, self.average)):
            if (fault := difference(expected.state_dict(), found)) is not None:
                return fault
        if self.optimizers.keys() != optimizers.keys():
            return f"its optimizers are {', '.join(self.optimizers)}"
        for name, optimizer in optimizers.items():
            if (fault := _fault_of_optimizer(optimizer, self.optimizers[name])) is not None:
                return f"{fault} of the optimizer {name}"
        try:
            fabric._precision.load_state_dict(self.precision)
        except Exception as error:  # the scaler of fp16 checks nothing
            return f"the scale of fp16: {first_line(error)}"
        recipe.load_state_dict(self.recipe)
        average.load_state_dict(self.average)
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(self.optimizers[name])
        return None


def tensors_of(
    recipe: nn.Module, average: Average, optimizers: Optimizers, fabric: Fabric
) -> dict[str, Any]:
    """The fields of a state that `TrainingState.restore` loads."""
    return {
        "recipe": dict(recipe.state_dict()),
        "average": dict(average.state_dict()),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "precision": fabric._precision.state_dict(),
    }


def _fault_of_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> str | None:
    """Say in what a state differs from those that an optimizer may have, or None."""
    groups, entries = state.get("param_groups"), state.get("state")
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(groups, list) or not isinstance(entries, dict) or len(groups) != len(own):
        return "its groups"
    for group, expected in zip(groups, own, strict=True):
        if not isinstance(group, dict) or group.keys() != expected.keys():
            return "the entries of its groups"
        for key, value in expected.items():
            # The schedule sets the rate before every step.
            if key != "lr" and (type(group[key]) is not type(value) or group[key] != value):
                return f"{key} of its groups"
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    keys = {frozenset(entry) for entry in entries.values() if isinstance(entry, dict)}
    if len(keys) > 1:  # the parameters of an optimizer all have the same entries
        return "a missing entry"
    for index, entry in entries.items():
        if type(index) is not int or not 0 <= index < len(parameters) or type(entry) is not dict:
            return f"the entry {index!r}"
        shape = parameters[index].shape
        for key, value in entry.items():
            if isinstance(value, Tensor) and value.shape not in (shape, torch.Size([])):
                return f"the shape of {key}"
            if not isinstance(value, (Tensor, int, float)) and value is not None:
                return f"the type of {key}"
    return None


def renew_weights(
    folder: RunFolder, model: Colorizer, name: str, epochs: int, best_epoch: int
) -> None:
    """Say that a training is finished, and write those of its weights again that are missing.

    model: the averaged weights of the last epoch, which the state holds; those of an earlier epoch
    are in no other file, so UserError if the best ones are missing and are not these.
    """
    info(f"{folder.path} is already trained: {epochs} epochs.")
    for which, epoch in (("last", epochs), ("best", best_epoch)):
        path = folder.weights_file(which)
        if path.is_file():
            continue
        if epoch != epochs:
            raise UserError(
                f"{path} is missing. The best weights, those of epoch {epoch}, are in no other "
                "file: test the last ones with --mode test --weights last, or train again with "
                "--overwrite."
            )
        save_weights(path, model, name, epoch)
        info(f"{path} was missing and is written again from the state.")
