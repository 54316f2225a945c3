"""The length of a training, and the schedule of its learning rate."""

import math


def rate_at(share: float, warmup: float) -> float:
    """The learning rate as a share of the full one: linear warm-up, then half a cosine to 0."""
    if share < warmup:
        return share / warmup
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) if warmup < 1 else 1.0


def total_steps(epochs: int, max_steps: int, steps_per_epoch: int) -> int:
    """The number of steps of a training; a `max_steps` of 0 cuts no epoch short."""
    return min(epochs * steps_per_epoch, max_steps or epochs * steps_per_epoch)
