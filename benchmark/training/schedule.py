"""The schedule of the learning rate."""

import math


def rate_at(share: float, warmup: float) -> float:
    """The learning rate as a share of the full one: linear warm-up, then half a cosine to 0."""
    if share < warmup:
        return share / warmup
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) if warmup < 1 else 1.0
