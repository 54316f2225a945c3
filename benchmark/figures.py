"""Pictures for people: rows of input, output, truth; and the loss curve."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no window, whatever the machine has
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .color import join, rgb_from_8bit, rgb_to_8bit
from .files import replacing

GAP, HEAD = 4, 22


def to_image(rgb: Tensor) -> Image.Image:
    """One picture, sRGB in [0, 1], (3, H, W) → a Pillow image."""
    return Image.fromarray(rgb_to_8bit(rgb).permute(1, 2, 0).cpu().numpy())


def save_png(path: Path, rgb: Tensor) -> None:
    """Write one picture (3, H, W), whole or not at all."""
    with replacing(path) as part:
        to_image(rgb).save(part, format="PNG")


def read_png(path: Path) -> Tensor:
    """A picture as `save_png` wrote it, sRGB in [0, 1], (3, H, W)."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return rgb_from_8bit(pixels.permute(2, 0, 1))


def grey_of(lightness: Tensor) -> Tensor:
    """L* (B, 1, H, W) → the grey pictures that a model is given, sRGB (B, 3, H, W)."""
    return join(lightness, torch.zeros_like(lightness).expand(-1, 2, -1, -1))


def save_grid(path: Path, columns: dict[str, Tensor], side: int = 128) -> None:
    """A figure with a titled column for each entry and a row for each picture of (B, 3, H, W)."""
    height, width = next(iter(columns.values())).shape[2:]
    scale = max(1, round(side / max(height, width)))  # whole pixels, so nothing is blurred
    height, width = height * scale, width * scale
    rows = len(next(iter(columns.values())))
    sheet = Image.new(
        "RGB",
        (len(columns) * (width + GAP) + GAP, rows * (height + GAP) + GAP + HEAD),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for column, (title, pictures) in enumerate(columns.items()):
        x = GAP + column * (width + GAP)
        draw.text((x + width / 2, HEAD / 2 + 2), title, fill="black", font=font, anchor="mm")
        enlarged = F.interpolate(pictures.float().cpu(), scale_factor=scale, mode="nearest")
        for row, picture in enumerate(enlarged):
            sheet.paste(to_image(picture), (x, HEAD + GAP + row * (height + GAP)))
    with replacing(path) as part:
        sheet.save(part, format="PNG")


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
