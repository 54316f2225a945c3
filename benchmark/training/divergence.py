"""Trainings that diverge: what shows it, and what helps."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmark.console import shorten
from benchmark.errors import Diverged
from benchmark.files import remove
from benchmark.results.folders import RunFolder
from benchmark.results.records import Divergence
from benchmark.results.schema import write_record
from benchmark.settings import Settings

TIMES_UNTRAINED = 2
"""A loss beyond this many times that of the untrained network is that of a divergence."""


def require_finite(values: Mapping[str, float | list[float]]) -> None:
    """Raise Diverged that names the first value of an epoch that is not finite."""
    for key, value in values.items():
        if not torch.tensor(value).isfinite().all():
            raise Diverged(f"{key} is not finite")


def warning_of(loss: float, untrained: float, settings: Settings) -> str | None:
    """Say that a finite validation loss is that of a divergence, or None.

    untrained: the validation loss before the first step.
    """
    if not 0 < TIMES_UNTRAINED * untrained < loss:
        return None
    return (
        f"it diverges: the validation loss is {loss:.4g}, and that of the untrained network was "
        f"{untrained:.4g}; {_advice(settings)}."
    )


def note_finite(folder: RunFolder, warning: str | None, epoch: int, best_epoch: int) -> None:
    """Write or remove the record of a divergence that stays finite, after an epoch."""
    if warning is None:
        remove(folder.divergence)
    elif not folder.divergence.exists():
        found = Divergence(epoch=epoch, best_epoch=best_epoch, reason=warning, is_finite=True)
        write_record(folder.divergence, found)


def record_divergence(
    folder: RunFolder,
    name: str,
    settings: Settings,
    error: Diverged,
    epoch: int,
    best_epoch: int,
    images: Sequence[str],
) -> Diverged:
    """Write diverged.json, so that the next training starts over; returns the user's error.

    epoch: from 1. images: the names of the files whose images the step took that diverged.
    """
    step = None if error.step is None else error.step + 1
    divergence = Divergence(
        epoch=epoch, best_epoch=best_epoch, reason=str(error), step=step, images=list(images)
    )
    write_record(folder.divergence, divergence)
    place = f"epoch {divergence.epoch}"
    if divergence.step is not None:
        place = f"step {divergence.step}, in {place}"
    seen = f"; its images: {shorten(divergence.images)}" if divergence.images else ""
    return Diverged(
        f"{name} diverged in {place} ({divergence.reason.rstrip('.')}{seen}): {_advice(settings)}, "
        "which starts this run over, or go back to its last good state with --retry_diverged 1."
    )


def _advice(settings: Settings) -> str:
    described = settings.described()
    # A rate whose default is 0 is a share of another one.
    rates = {
        name: value
        for name, value in settings.flat().items()
        if name.endswith("_rate") and described[name][0]
    }
    smaller = {name: min(rate / 10, described[name][0]) for name, rate in rates.items()}
    typed = " ".join(_option(name, value) for name, value in smaller.items())
    return f"train again with a smaller learning rate, for example with {typed}"


def _option(name: str, value: Any) -> str:
    own = name in Settings.model_fields
    return f"--{name} {value:.2g}" if own else f"--set {name}={value:.2g}"
