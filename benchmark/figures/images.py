"""PNG files of images, and grids of images with titles, drawn with Pillow alone."""

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmark.color import lightness_to_rgb, rgb_from_8bit, rgb_to_8bit
from benchmark.files import replacing

GAP, HEAD, MARGIN = 4, 22, 64
"""Pixels of a grid: between its images, above them for titles, at the left for titles of rows."""


def to_image(rgb: Tensor) -> Image.Image:
    """Convert one image, sRGB in [0, 1], (3, H, W), to a Pillow image."""
    return Image.fromarray(rgb_to_8bit(rgb).permute(1, 2, 0).cpu().numpy())


def save_png(path: Path, rgb: Tensor) -> None:
    """Write one image, sRGB in [0, 1], (3, H, W), as PNG. UserError if it cannot be written."""
    _save_image(path, to_image(rgb))


def _save_image(path: Path, image: Image.Image) -> None:
    with replacing(path) as part:
        image.save(part, format="PNG")


def grid(
    columns: dict[str, Tensor], side: int = 128, row_titles: Sequence[str] = ()
) -> Image.Image:
    """Draw a grid of images: a titled column for each entry, a row for each image of a batch.

    columns: by title, images in sRGB in [0, 1], (B, 3, H, W), all of one shape.
    side: the approximate length in pixels of an image's longer side. Images are enlarged to it by
        a whole factor; larger ones keep their size.
    row_titles: the titles at the left of the rows; none leave no margin.
    """
    height, width = next(iter(columns.values())).shape[2:]
    scale = max(1, round(side / max(height, width)))  # a whole factor, so that nothing is blurred
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


def save_grid(
    path: Path, columns: dict[str, Tensor], row_titles: Sequence[str] = (), side: int = 128
) -> None:
    """Write a `grid` as PNG. UserError if it cannot be written."""
    _save_image(path, grid(columns, side, row_titles))


def save_results(path: Path, lightness: Tensor, output: Tensor, truth8: Tensor) -> None:
    """Write a grid of some images of a test or of a training: input, output and truth.

    Shapes: lightness (B, 1, H, W), L* in [0, 100]; output (B, 3, H, W), sRGB in [0, 1];
    truth8 (B, 3, H, W), uint8 sRGB.
    """
    columns = {
        "input": lightness_to_rgb(lightness),
        "output": output,
        "truth": rgb_from_8bit(truth8),
    }
    save_grid(path, columns)
