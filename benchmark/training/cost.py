"""cost.json, which is written when a training is finished."""

from lightning_fabric import Fabric
from torch import nn

from benchmark.device import device_name, peak
from benchmark.results.environment import now
from benchmark.results.folders import RunFolder
from benchmark.results.records import Cost
from benchmark.results.schema import write_record


def write_cost(
    folder: RunFolder,
    model: nn.Module,
    fabric: Fabric,
    *,
    seconds: float,
    images: int,
    steps: int,
    epochs: int,
    best_epoch: int,
    halved: int,
    counts_memory: bool,
) -> None:
    """Write what a training took.

    seconds: of the steps alone. images: the number that all steps took together. halved: how often
    the learning rate was halved. counts_memory: whether the peak since the start is known.
    """
    cost = Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        training_seconds=round(seconds, 1),
        images_per_second=round(images / max(seconds, 1e-9), 1),
        epochs=epochs,
        steps=steps,
        device=device_name(fabric.device),
        precision=str(fabric._precision.precision),
        peak_device_bytes=peak(fabric.device) if counts_memory else None,
        best_epoch=best_epoch,
        training_finished=now(),
        learning_rate_halved=halved,
    )
    write_record(folder.cost, cost)
