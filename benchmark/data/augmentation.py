"""What a training image may look like: cut at random, mirrored at random, never recolored."""

import torch
from kornia.geometry.transform import crop_by_indices, hflip
from torch import Tensor

from benchmark.randomness import Randomness

MARGIN = 1.125
"""Training images are kept this much larger than they are trained on, to cut from."""


def stored_size(size: int) -> int:
    """Side at which images are kept for training at `size`, pixels."""
    return round(size * MARGIN)


def random_crop_and_flip(rgb: Tensor, size: int, rng: Randomness) -> Tensor:
    """(B, 3, S, S) → (B, 3, size, size), each image cut and mirrored by its own draw."""
    draws = rng.uniform(len(rgb), 3)
    room = rgb.shape[-1] - size
    left, top = (draws[:, :2] * (room + 1)).long().unbind(1)
    corners = torch.tensor(
        [[0, 0], [size - 1, 0], [size - 1, size - 1], [0, size - 1]], device=rgb.device
    )
    boxes = torch.stack([left, top], 1)[:, None] + corners
    cut = crop_by_indices(rgb, boxes)
    return torch.where(draws[:, 2, None, None, None] < 0.5, hflip(cut), cut)


def center_crop(images: Tensor, size: int) -> Tensor:
    """(B, 3, S, S) → the middle (B, 3, size, size)."""
    start = (images.shape[-1] - size) // 2
    return images[:, :, start : start + size, start : start + size]
