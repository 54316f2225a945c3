"""The loss curve of a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmark.files import replacing


def save_loss_curve(path: Path, history: Sequence[dict[str, Any]], title: str) -> None:
    """Training and validation losses over epochs, one panel a loss."""
    shown = {key for row in history for key, value in row.items() if not isinstance(value, list)}
    names = sorted({key.partition("/")[2] for key in shown if key.startswith(("train/", "val/"))})
    figure, panels = plt.subplots(
        1, len(names), figsize=(4.2 * len(names), 3.4), squeeze=False, layout="constrained"
    )
    for panel, name in zip(panels[0], names, strict=True):
        for part, style in (("train", "-"), ("val", "--")):
            points = [(r["epoch"], r[f"{part}/{name}"]) for r in history if f"{part}/{name}" in r]
            if points:
                marker = "o" if len(points) == 1 else None
                panel.plot(*zip(*points, strict=True), style, label=part, marker=marker)
        panel.set(title=name, xlabel="epoch", ylabel="loss")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.suptitle(title)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=110)
    plt.close(figure)
