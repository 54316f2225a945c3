"""The loss curve of a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmark.files import replacing


def save_loss_curve(path: Path, history: Sequence[dict[str, Any]], title: str) -> None:
    """Write the training and validation losses over the epochs as PNG, one plot for each loss.

    history: one row for each epoch, with `epoch` and the losses under `train/<loss>` and
    `val/<loss>`. An epoch without one of the losses has no point on that curve.
    """
    scalars = {key for row in history for key, value in row.items() if not isinstance(value, list)}
    names = sorted({key.partition("/")[2] for key in scalars if key.startswith(("train/", "val/"))})
    figure = Figure(figsize=(4.2 * len(names), 3.4), layout="constrained")
    plots = figure.subplots(1, len(names), squeeze=False)
    for axes, name in zip(plots[0], names, strict=True):
        for split, style in (("train", "-"), ("val", "--")):
            key = f"{split}/{name}"
            points = [(row["epoch"], row[key]) for row in history if key in row]
            if points:
                marker = "o" if len(points) == 1 else None
                axes.plot(*zip(*points, strict=True), style, label=split, marker=marker)
        axes.set(title=name, xlabel="epoch", ylabel="loss")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    with replacing(path) as part:
        figure.savefig(part, dpi=110)
