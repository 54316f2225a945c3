"""Augmentation of training images: crops, flips and degradation of L*, never a change of color."""

from functools import partial

import torch
from kornia.geometry.transform import crop_by_indices, hflip
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from benchmark.data.degradation import degrade, degrade_alike
from benchmark.data.rows import Rows, in_memory
from benchmark.randomness import Randomness
from benchmark.settings import Augmentation, Degradation

MARGIN: dict[Augmentation, float] = {"crop": 1.125, "resized_crop": 1.5}
"""Ratio of the side at which training images are stored to that at which they are trained on."""


def stored_size(size: int, augmentation: Augmentation) -> int:
    """Return the side in pixels at which images are stored for training at `size` pixels."""
    return round(size * MARGIN[augmentation])


def augment(
    rgb: Tensor,
    size: int,
    augmentation: Augmentation,
    rng: Randomness,
    degradation: Degradation = "none",
) -> Tensor:
    """Crop each image at a random place, flip it with probability 1/2, and degrade it if asked.

    With "crop" each window is (size, size). With "resized_crop" its side is drawn uniformly between
    `size` and that of the image, and it is resized to (size, size), so that nothing is enlarged.
    Each image has its own draws of `rng`. Shapes: (B, 3, S, S), S ≥ size → (B, 3, size, size).
    """
    resized = augmentation == "resized_crop"
    draws = rng.uniform(len(rgb), 4 if resized else 3)
    room = rgb.shape[-1] - size
    if resized:
        sides = size + (draws[:, 3] * (room + 1)).long()
        places = (draws[:, :2] * (rgb.shape[-1] - sides + 1)[:, None]).long()
        crops = _resized_crops(rgb, places, sides, size)
    else:
        crops = _crops(rgb, (draws[:, :2] * (room + 1)).long(), size)
    flipped = torch.where(draws[:, 2, None, None, None] < 0.5, hflip(crops), crops)
    return flipped if degradation == "none" else degrade(flipped, partial(rng.normal, len(rgb)))


def validation_squares(rgb8: Rows, size: int, degradation: Degradation) -> Tensor:
    """The middle of each image, uint8 (N, 3, size, size), degraded the same each time if asked."""
    squares = center_crop(in_memory(rgb8), size)
    return squares if degradation == "none" else degrade_alike(squares)


def center_crop(images: Tensor, size: int) -> Tensor:
    """Crop the middle of each image: (B, 3, S, S) → (B, 3, size, size)."""
    start = (images.shape[-1] - size) // 2
    return images[:, :, start : start + size, start : start + size]


def _crops(rgb: Tensor, places: Tensor, size: int) -> Tensor:
    """Windows of one size. places: the left column and the top row of each, (B, 2)."""
    corners = torch.tensor(
        [[0, 0], [size - 1, 0], [size - 1, size - 1], [0, size - 1]], device=rgb.device
    )
    return crop_by_indices(rgb, places[:, None] + corners)


def _resized_crops(rgb: Tensor, places: Tensor, sides: Tensor, size: int) -> Tensor:
    """Windows of several sizes, resized to one without aliasing. sides: (B,)."""
    windows = torch.cat([places, sides[:, None]], 1).tolist()
    crops = [
        resized_crop(image, top, left, side, side, [size, size], antialias=True)
        for image, (left, top, side) in zip(rgb, windows, strict=True)
    ]
    return torch.stack(crops)
