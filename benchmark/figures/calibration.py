"""The chart of a calibration: how often each paint was taken."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmark.data.cartoon.canvas import lab_to_srgb
from benchmark.data.cartoon.sample import PAINTS
from benchmark.evaluation.calibration import NONE
from benchmark.files import replacing
from benchmark.results.records import Calibration, PaintShares


def calibration_figure(calibration: Calibration, title: str) -> Figure:
    """How often a model took each paint, beside how often the truth has it.

    Bars in the paints' own colors, `none` in their mean, brown; with 95 % intervals.
    """
    taken, names = calibration.overall, list(calibration.probabilities)
    places = np.arange(len(names))
    colors = [outcome_color(name) for name in names]
    shares = [taken.shares[name] for name in names]
    often = f" × {calibration.n_samples} samples" if calibration.n_samples > 1 else ""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    true_shares = list(calibration.probabilities.values())
    axes.bar(places - 0.2, true_shares, 0.36, facecolor="white", edgecolor=colors, hatch="////")
    axes.bar(places + 0.2, [share.value for share in shares], 0.36, color=colors)
    for place, share in zip(places, shares, strict=True):
        if share.low is not None and share.high is not None:
            axes.plot([place + 0.2] * 2, [share.low, share.high], color="black", linewidth=1)
    axes.set(ylim=(0, 1.04), ylabel=f"share of {taken.n_objects} objects{often}")
    axes.set_xticks(places, names)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(
        handles=[
            Patch(facecolor="white", edgecolor="dimgray", hatch="////", label="true share"),
            Patch(color="dimgray", label="share taken"),
        ]
    )
    figure.suptitle(title)
    axes.set_title(_total_variation_line(taken), fontsize="small")
    return figure


def _total_variation_line(taken: PaintShares) -> str:
    apart = taken.total_variation
    between = "" if apart.low is None else f" ({apart.low:.2f} to {apart.high:.2f})"
    return (
        f"total variation {apart.value:.2f}{between}; "
        f"perfect samplers: {taken.perfect:.2f}, 95 % below {taken.perfect_high:.2f}"
    )


def outcome_color(name: str) -> tuple[float, ...]:
    """The color of a paint, sRGB in [0, 1]; of `none` that of the paints' mean."""
    if name != NONE:
        return tuple(level / 255 for level in PAINTS[name].rgb)
    mean = sum(paint.probability * np.array(paint.lab) for paint in PAINTS.values())
    return tuple((lab_to_srgb(np.asarray(mean)) / 255).tolist())


def save_calibration(path: Path, calibration: Calibration, title: str) -> None:
    """Write `calibration_figure` as PNG or SVG, by the suffix of `path`; the same each time."""
    figure = calibration_figure(calibration, title)
    undated = {"Date": None} if path.suffix == ".svg" else {}
    with replacing(path) as part, matplotlib.rc_context({"svg.hashsalt": "calibration"}):
        figure.savefig(part, dpi=110, metadata=undated)
