"""Rectified flow as mathematics: straight ways from a start to the data, learned and walked.

z_t = (1 - t) z_0 + t z_1 leads from z_0, which sampling can draw, to the data z_1; `t` runs from 0
to 1. A network learns the mean velocity of all the ways through a place (Liu et al. 2023, eq. 1;
Lipman et al. 2023), and following it carries the one distribution to the other.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def between(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """z_t on the straight ways from `start` to `end`, (B, C, H, W), at t (B,) in [0, 1]."""
    share = t[:, None, None, None]
    return (1 - share) * start + share * end


def stratified_times(draws: Tensor) -> Tensor:
    """Uniform draws (B,) in [0, 1) → times (B,), one from each B-th of [0, 1)."""
    return (torch.arange(len(draws), device=draws.device) + draws) / len(draws)


def follow(
    velocity: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    steps: int,
    on_step: Callable[[int, int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """From `start` (B, C, H, W) at t = 0 to t = 1 in equal steps of Euler's method.

    velocity(z_t, t) is the network, t (B,). on_step is called with (step, steps, z_t, where the
    present velocity ends).
    """
    z = start
    for step in range(steps):
        time = step / steps
        v = velocity(z, torch.full((len(z),), time, device=z.device))
        if on_step is not None:
            on_step(step + 1, steps, z, z + (1 - time) * v)
        z = z + v / steps
    return z
