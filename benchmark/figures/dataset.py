"""Figures of a dataset: a sheet of its images, and the distribution of their colors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark.files import replacing

SIDE, GAP, HEAD, COLUMNS = 80, 4, 24, 12
"""Pixels of an image of the sheet, between images and above a group; images of a row."""
BIN, LIMIT = 2, 110
"""Side of a bin of the histogram, and its limit, both in units of a* and b*."""


def save_contact_sheet(path: Path, groups: Mapping[str, Sequence[NDArray[np.uint8]]]) -> None:
    """Write a sheet of images as PNG: a title for each group, and below it its images.

    groups: by title, uint8 (3, H, W) each. Groups without images are left out.
    """
    groups = {title: images for title, images in groups.items() if len(images)}
    rows = {title: -(-len(images) // COLUMNS) for title, images in groups.items()}
    height = sum(HEAD + count * (SIDE + GAP) for count in rows.values()) + GAP
    sheet = Image.new("RGB", (COLUMNS * (SIDE + GAP) + GAP, max(height, HEAD)), "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(13), 0
    for title, images in groups.items():
        draw.text((GAP, top + HEAD / 2 + 2), title, fill="black", font=font, anchor="lm")
        top += HEAD
        for place, rgb8 in enumerate(images):
            image = Image.fromarray(np.ascontiguousarray(rgb8.transpose(1, 2, 0)))
            image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            row, column = divmod(place, COLUMNS)
            sheet.paste(image, (GAP + column * (SIDE + GAP), top + row * (SIDE + GAP)))
        top += rows[title] * (SIDE + GAP)
    with replacing(path) as part:
        sheet.save(part, format="PNG")


def ab_counts(ab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Count the pixels in each bin of the plane of a* and b*: (2, N) → (2·LIMIT/BIN,)²."""
    edges = np.arange(-LIMIT, LIMIT + BIN, BIN)
    return np.histogram2d(ab[0], ab[1], bins=(edges, edges))[0]


def save_ab_histogram(path: Path, counts: NDArray[np.float64], title: str) -> None:
    """Write the histogram of ab as PNG: the share of pixels in each bin, on a logarithmic scale.

    counts: as `ab_counts` returns them, or their sum over images.
    """
    shares = counts / max(counts.sum(), 1)
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    shown = np.ma.masked_less_equal(shares, 0).T  # a* to the right, b* upwards
    image = axes.imshow(
        shown,
        origin="lower",
        extent=(-LIMIT, LIMIT, -LIMIT, LIMIT),
        norm=LogNorm(vmin=1e-7, vmax=1),
        cmap="viridis",
    )
    axes.axhline(0, color="gray", linewidth=0.6)
    axes.axvline(0, color="gray", linewidth=0.6)
    axes.set(xlabel="a* (green to red)", ylabel="b* (blue to yellow)", title=title)
    figure.colorbar(image, label=f"share of pixels per bin of {BIN}×{BIN}")
    with replacing(path) as part:
        figure.savefig(part, dpi=110)
