"""The end of a training whose validation does not improve any more."""

from typing import Any

from benchmark.console import info
from benchmark.recipe import Recipe

METRICS = {"images": "LPIPS + ab divergence of the sampled validation images"}
"""What selects the best weights, by `Recipe.select_best_by`; otherwise the first validation loss.
"""


def has_run_out(patience: int, epoch: int, best_epoch: int) -> bool:
    """Whether `patience` epochs have brought nothing better than `best_epoch`; never for 0."""
    return 0 < patience <= epoch - best_epoch


def print_early_end(
    name: str, recipe: Recipe[Any, Any], epoch: int, best_epoch: int, loss: str
) -> None:
    """Print that a training stops early, and why. loss: the name of its validation loss."""
    metric = METRICS.get(recipe.select_best_by, loss)
    info(
        f"{name} stops after epoch {epoch}, since {metric} has not improved since epoch "
        f"{best_epoch} (--patience {recipe.settings.patience})."
    )
