"""The mathematics of rectified flow: straight paths from a start to the data, and integration.

The path z_t = (1 - t) z_0 + t z_1 leads from z_0, which can be sampled, at t = 0 to the data z_1 at
t = 1. A network learns the mean velocity of all paths through a point (Liu et al. 2023, eq. 1;
Lipman et al. 2023), and integrating that velocity maps the distribution of z_0 to that of the data.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor


def interpolate(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Return z_t on the straight paths from `start` to `end`, (B, C, H, W), at t (B,) in [0, 1]."""
    share = t[:, None, None, None]
    return (1 - share) * start + share * end


def shifted(t: Tensor, shift: float) -> Tensor:
    """Move times in [0, 1] towards the start, where a shift above 1 puts more of them.

    The share of noise goes from 1 - t to s (1 - t) / (1 + (s - 1) (1 - t)) (Esser et al. 2024,
    eq. 23), so the share of signal relative to that of noise is divided by s.
    """
    return t / (shift - (shift - 1) * t)


def integrate(
    velocity: Callable[[Tensor, Tensor], Tensor],
    center: Tensor,
    spread: float,
    draw: Callable[[], Tensor],
    *,
    steps: int,
    eta: float = 0.0,
    shift: float = 1.0,
    on_step: Callable[[int, int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Integrate from z_0 = center + spread · noise, (B, C, H, W), at t = 0 to t = 1.

    The steps are equal in the time that `shifted` maps to t; with shift 1 they are equal in t.

    velocity(z_t, t) runs the network, with t (B,). draw() returns standard normal noise. on_step is
    called with (step, steps, z_t, the point at t = 1 to which the velocity at z_t leads).

    With eta 0 the steps are those of Euler's method. At time t the noise in z_t has the deviation
    (1 - t) · spread around (1 - t) · center + t · z_1, as in a diffusion. So a share of it can be
    drawn afresh, as DDIM does (Song et al. 2021, eq. 16): with eta 1 as much as z_t allows. The
    distribution of z_t is the same for every eta, and fresh noise corrects errors of the velocity.
    """
    z = center + spread * draw()
    times = shifted(torch.linspace(0, 1, steps + 1, dtype=torch.float64), shift).tolist()
    for step, (t, s) in enumerate(pairwise(times)):
        end = z + (1 - t) * velocity(z, torch.full((len(z),), t, device=z.device))
        if on_step is not None:
            on_step(step + 1, steps, z, end)
        if step + 1 == steps:
            return end
        noise = (z - (1 - t) * center - t * end) / ((1 - t) * spread)
        deviation = (1 - s) * spread
        kept_signal = t * (1 - s) / (s * (1 - t))
        fresh = eta * deviation * (1 - kept_signal**2) ** 0.5
        z = (1 - s) * center + s * end + (deviation**2 - fresh**2) ** 0.5 * noise
        if fresh:
            z = z + fresh * draw()
    return z
