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
    state_error,
)
from benchmark.errors import first_line
from benchmark.results.schema import Amount, Count, validation_fault
from benchmark.training.ema import Average
from benchmark.training.optimizer_state import fault_of_optimizer

Tensors = dict[str, Tensor]
Optimizers = Mapping[str, torch.optim.Optimizer]


class TrainingState(BaseModel):
    """All that a training needs to go on.

    identity: a hash of the model, the settings and the images. closed_epochs: how many epochs are
    validated and recorded. untrained: the validation loss before the first step. best: the lowest
    selection score, infinite before there is one. sums, counts: of the losses since the last closed
    epoch, by name. precision: the state of fp16's scale. finished: whether the training had ended,
    after all its epochs or early; not in states of older versions.
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
    finished: bool = False

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

        total: the number of its steps, which may be more than when the state was saved: then an
        epoch that was the last one may be closed before its end.
        """
        if self.identity != identity:
            return "is of a training with other settings or images"
        begun = math.ceil(self.step / steps_per_epoch)
        whole = self.step // steps_per_epoch
        if self.step > total or self.closed_epochs not in (whole, begun - 1, begun):
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
            stepped = self._parameters_that_changed(recipe, optimizer)
            fault = fault_of_optimizer(optimizer, self.optimizers[name], stepped)
            if fault is not None:
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

    def _parameters_that_changed(
        self, recipe: nn.Module, optimizer: torch.optim.Optimizer
    ) -> frozenset[int]:
        """The positions in an optimizer of the parameters that differ from their first values,
        which `recipe` still has."""
        names = {id(parameter): name for name, parameter in recipe.named_parameters()}
        owned = [p for group in optimizer.param_groups for p in group["params"]]
        return frozenset(
            index
            for index, parameter in enumerate(owned)
            if (name := names.get(id(parameter))) is not None
            and not torch.equal(parameter.detach().cpu(), self.recipe[name])
        )


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
