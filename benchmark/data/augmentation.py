"""Augmentation of training images: random crops and horizontal flips, never a change of color."""

import torch
from kornia.geometry.transform import crop_by_indices, hflip
from torch import Tensor

from benchmark.randomness import Randomness

MARGIN = 1.125
"""Ratio of the side at which training images are stored to that at which they are trained on."""


def stored_size(size: int) -> int:
    """Return the side in pixels at which images are stored for training at `size` pixels."""
    return round(size * MARGIN)


def random_crop_and_flip(rgb: Tensor, size: int, rng: Randomness) -> Tensor:
    """Crop each image at a random place and flip it horizontally with probability 1/2.

    Each image has its own draws of `rng`. Shapes: (B, 3, S, S) → (B, 3, size, size).
    """
    draws = rng.uniform(len(rgb), 3)
    room = rgb.shape[-1] - size
    left, top = (draws[:, :2] * (room + 1)).long().unbind(1)
    corners = torch.tensor(
        [[0, 0], [size - 1, 0], [size - 1, size - 1], [0, size - 1]], device=rgb.device
    )
    boxes = torch.stack([left, top], 1)[:, None] + corners
    crops = crop_by_indices(rgb, boxes)
    return torch.where(draws[:, 2, None, None, None] < 0.5, hflip(crops), crops)


def center_crop(images: Tensor, size: int) -> Tensor:
    """Crop the middle of each image: (B, 3, S, S) → (B, 3, size, size)."""
    start = (images.shape[-1] - size) // 2
    return images[:, :, start : start + size, start : start + size]
