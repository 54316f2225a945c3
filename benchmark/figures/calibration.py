"""The chart of a calibration: the frequency of each paint in the truth and in a model's outputs."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmark.files import replacing
from benchmark.results.records import Calibration, PaintShares

Colors = Mapping[str, tuple[float, float, float]]
"""The color of each outcome by its name, sRGB in [0, 1]."""


def calibration_figure(calibration: Calibration, title: str, colors: Colors) -> Figure:
    """Draw how often a model predicted each outcome, beside how often the truth has it.

    There are two bars for each outcome, in its color: the true share, and the predicted share with
    its 95 % interval.
    """
    overall, names = calibration.overall, list(calibration.probabilities)
    places = np.arange(len(names))
    bar_colors = [colors[name] for name in names]
    shares = [overall.shares[name] for name in names]
    samples = f" × {calibration.n_samples} samples" if calibration.n_samples > 1 else ""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    true_shares = list(calibration.probabilities.values())
    axes.bar(places - 0.2, true_shares, 0.36, facecolor="white", edgecolor=bar_colors, hatch="////")
    axes.bar(places + 0.2, [share.value for share in shares], 0.36, color=bar_colors)
    for place, share in zip(places, shares, strict=True):
        if share.low is not None and share.high is not None:
            axes.plot([place + 0.2] * 2, [share.low, share.high], color="black", linewidth=1)
    axes.set(ylim=(0, 1.04), ylabel=f"share of {overall.n_objects} objects{samples}")
    axes.set_xticks(places, names)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(
        handles=[
            Patch(facecolor="white", edgecolor="dimgray", hatch="////", label="true share"),
            Patch(color="dimgray", label="predicted share"),
        ]
    )
    figure.suptitle(title)
    axes.set_title(_total_variation_line(overall), fontsize="small")
    return figure


def _total_variation_line(overall: PaintShares) -> str:
    distance = overall.total_variation
    interval = "" if distance.low is None else f" ({distance.low:.2f} to {distance.high:.2f})"
    return (
        f"total variation {distance.value:.2f}{interval}; "
        f"perfect samplers: {overall.perfect:.2f}, 95 % below {overall.perfect_high:.2f}"
    )


def save_calibration(path: Path, calibration: Calibration, title: str, colors: Colors) -> None:
    """Write `calibration_figure` as PNG or SVG, by the suffix of `path`.

    The same calibration gives the same bytes each time.
    """
    figure = calibration_figure(calibration, title, colors)
    undated = {"Date": None} if path.suffix == ".svg" else {}
    with replacing(path) as part, matplotlib.rc_context({"svg.hashsalt": "calibration"}):
        figure.savefig(part, dpi=110, metadata=undated)
