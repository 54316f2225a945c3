"""Pictures for people: grids of pictures, rows of input, output, truth; and the loss curve."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no window, whatever the machine has
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit
from benchmark.data.cartoon.canvas import lab_to_srgb
from benchmark.data.cartoon.sample import PAINTS
from benchmark.evaluation.calibration import NONE
from benchmark.files import replacing
from benchmark.results.records import Calibration, PaintShares

GAP, HEAD, MARGIN = 4, 22, 64


def to_image(rgb: Tensor) -> Image.Image:
    """One picture, sRGB in [0, 1], (3, H, W) → a Pillow image."""
    return Image.fromarray(rgb_to_8bit(rgb).permute(1, 2, 0).cpu().numpy())


def save_png(path: Path, rgb: Tensor) -> None:
    """Write one picture (3, H, W), whole or not at all."""
    _save_image(path, to_image(rgb))


def _save_image(path: Path, image: Image.Image) -> None:
    with replacing(path) as part:
        image.save(part, format="PNG")


def read_png(path: Path) -> Tensor:
    """A picture as `save_png` wrote it, sRGB in [0, 1], (3, H, W)."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return rgb_from_8bit(pixels.permute(2, 0, 1))


def grey_of(lightness: Tensor) -> Tensor:
    """L* (B, 1, H, W) → the grey pictures that a model is given, sRGB (B, 3, H, W)."""
    return join(lightness, torch.zeros_like(lightness).expand(-1, 2, -1, -1))


def grid(
    columns: dict[str, Tensor], side: int = 128, row_titles: Sequence[str] = ()
) -> Image.Image:
    """A figure with a titled column for each entry and a row for each picture of (B, 3, H, W).

    side: about how many pixels the longer side of a picture shall have; pictures are enlarged to
    it, and larger ones stay as they are. row_titles: of the rows, at the left, if there are any.
    """
    height, width = next(iter(columns.values())).shape[2:]
    scale = max(1, round(side / max(height, width)))  # whole pixels, so nothing is blurred
    height, width = height * scale, width * scale
    rows = len(next(iter(columns.values())))
    left = MARGIN if row_titles else 0
    sheet = Image.new(
        "RGB",
        (left + len(columns) * (width + GAP) + GAP, rows * (height + GAP) + GAP + HEAD),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for row, title in enumerate(row_titles):
        y = HEAD + GAP + row * (height + GAP) + height / 2
        draw.text((left / 2, y), title, fill="black", font=font, anchor="mm")
    for column, (title, pictures) in enumerate(columns.items()):
        x = left + GAP + column * (width + GAP)
        draw.text((x + width / 2, HEAD / 2 + 2), title, fill="black", font=font, anchor="mm")
        enlarged = F.interpolate(pictures.float().cpu(), scale_factor=scale, mode="nearest")
        for row, picture in enumerate(enlarged):
            sheet.paste(to_image(picture), (x, HEAD + GAP + row * (height + GAP)))
    return sheet


def save_grid(path: Path, columns: dict[str, Tensor], row_titles: Sequence[str] = ()) -> None:
    """Write a `grid`."""
    _save_image(path, grid(columns, row_titles=row_titles))


def save_results(path: Path, lightness: Tensor, output: Tensor, truth8: Tensor) -> None:
    """The figure of a test or a training: input, output, truth."""
    columns = {"input": grey_of(lightness), "output": output, "truth": rgb_from_8bit(truth8)}
    save_grid(path, columns)


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


def calibration_figure(calibration: Calibration, title: str) -> Figure:
    """How often a model took each paint, beside how often the truth has it.

    Bars in the paints' own colours, `none` in their mean, brown; with 95 % intervals.
    """
    taken, names = calibration.overall, list(calibration.probabilities)
    places = np.arange(len(names))
    colours = [outcome_colour(name) for name in names]
    shares = [taken.shares[name] for name in names]
    often = f" × {calibration.n_samples} samples" if calibration.n_samples > 1 else ""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    true_shares = list(calibration.probabilities.values())
    axes.bar(places - 0.2, true_shares, 0.36, facecolor="white", edgecolor=colours, hatch="////")
    axes.bar(places + 0.2, [share.value for share in shares], 0.36, color=colours)
    for place, share in zip(places, shares, strict=True):
        if share.low is not None and share.high is not None:
            axes.plot([place + 0.2] * 2, [share.low, share.high], color="black", linewidth=1)
    axes.set(ylim=(0, 1.04), ylabel=f"share of {taken.n_objects} objects{often}")
    axes.set_xticks(places, names)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(
        handles=[
            Patch(facecolor="white", edgecolor="dimgrey", hatch="////", label="true share"),
            Patch(color="dimgrey", label="share taken"),
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


def outcome_colour(name: str) -> tuple[float, ...]:
    """The colour of a paint, sRGB in [0, 1]; of `none` that of the paints' mean."""
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
