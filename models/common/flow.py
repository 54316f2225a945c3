"""The mathematics of rectified flow: straight paths from a start to the data, and integration.

The path z_t = (1 - t) z_0 + t z_1 leads from z_0, which can be sampled, at t = 0 to the data z_1 at
t = 1. A network learns the mean velocity of all paths through a point (Liu et al. 2023, eq. 1;
Lipman et al. 2023), and integrating that velocity maps the distribution of z_0 to that of the data.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def interpolate(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Return z_t on the straight paths from `start` to `end`, (B, C, H, W), at t (B,) in [0, 1]."""
    share = t[:, None, None, None]
    return (1 - share) * start + share * end


def stratified_times(draws: Tensor) -> Tensor:
    """Map uniform draws (B,) in [0, 1) to times (B,), one in each of B equal parts of [0, 1)."""
    return (torch.arange(len(draws), device=draws.device) + draws) / len(draws)


def integrate_euler(
    velocity: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    steps: int,
    on_step: Callable[[int, int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Integrate from `start` (B, C, H, W) at t = 0 to t = 1 in equal steps of Euler's method.

    velocity(z_t, t) runs the network, with t (B,). on_step is called with (step, steps, z_t, the
    point at t = 1 to which the velocity at z_t leads).
    """
    z = start
    for step in range(steps):
        time = step / steps
        v = velocity(z, torch.full((len(z),), time, device=z.device))
        if on_step is not None:
            on_step(step + 1, steps, z, z + (1 - time) * v)
        z = z + v / steps
    return z
