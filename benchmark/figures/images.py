"""Images for people: grids of images, rows of input, output, truth; and the loss curve."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit
from benchmark.files import replacing

matplotlib.use("Agg")  # no window, whatever the machine has


GAP, HEAD, MARGIN = 4, 22, 64


def to_image(rgb: Tensor) -> Image.Image:
    """One image, sRGB in [0, 1], (3, H, W) → a Pillow image."""
    return Image.fromarray(rgb_to_8bit(rgb).permute(1, 2, 0).cpu().numpy())


def save_png(path: Path, rgb: Tensor) -> None:
    """Write one image (3, H, W), whole or not at all."""
    _save_image(path, to_image(rgb))


def _save_image(path: Path, image: Image.Image) -> None:
    with replacing(path) as part:
        image.save(part, format="PNG")


def read_png(path: Path) -> Tensor:
    """An image as `save_png` wrote it, sRGB in [0, 1], (3, H, W)."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return rgb_from_8bit(pixels.permute(2, 0, 1))


def gray_of(lightness: Tensor) -> Tensor:
    """L* (B, 1, H, W) → the gray images that a model is given, sRGB (B, 3, H, W)."""
    return join(lightness, torch.zeros_like(lightness).expand(-1, 2, -1, -1))


def grid(
    columns: dict[str, Tensor], side: int = 128, row_titles: Sequence[str] = ()
) -> Image.Image:
    """A figure with a titled column for each entry and a row for each image of (B, 3, H, W).

    side: about how many pixels the longer side of an image shall have; images are enlarged to
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
    for column, (title, images) in enumerate(columns.items()):
        x = left + GAP + column * (width + GAP)
        draw.text((x + width / 2, HEAD / 2 + 2), title, fill="black", font=font, anchor="mm")
        enlarged = F.interpolate(images.float().cpu(), scale_factor=scale, mode="nearest")
        for row, image in enumerate(enlarged):
            sheet.paste(to_image(image), (x, HEAD + GAP + row * (height + GAP)))
    return sheet


def save_grid(path: Path, columns: dict[str, Tensor], row_titles: Sequence[str] = ()) -> None:
    """Write a `grid`."""
    _save_image(path, grid(columns, row_titles=row_titles))


def save_results(path: Path, lightness: Tensor, output: Tensor, truth8: Tensor) -> None:
    """The figure of a test or a training: input, output, truth."""
    columns = {"input": gray_of(lightness), "output": output, "truth": rgb_from_8bit(truth8)}
    save_grid(path, columns)
