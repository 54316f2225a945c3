"""Diffusion as mathematics, the way back: from noise x_T to x_0, step by step.

Symbols are those of `diffusion.py`; a step leads from level t to a level s < t with less noise, not
necessarily the next one. Every sampler is given an estimate of x_0, whatever the network predicts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from .diffusion import Level, Schedule, noise_of_x0

SamplerName = Literal["ddpm", "ddim", "dpmpp"]
Spacing = Literal["trailing", "leading"]
Draw = Callable[[], Tensor]
"""Fresh standard normal noise, (B, C, h, w)."""


@dataclass(frozen=True)
class Estimate:
    """x_0 as it was estimated at a level."""

    x0: Tensor
    level: Level


Step = Callable[[Tensor, Estimate, Level, Estimate | None], Tensor]
"""step(x_t, estimate at t, level of s, estimate of the step before) → x_s."""


# ---- which steps ---------------------------------------------------------------------------------


def trailing_timesteps(total: int, steps: int) -> list[int]:
    """`steps` of the 0 … total - 1, downwards from the last (Lin et al. 2024, table 2, "trailing").

    Sampling must start where training saw no signal at all, and that is the last one only.
    """
    return [round(total - total * i / steps) - 1 for i in range(steps)]


def leading_timesteps(total: int, steps: int) -> list[int]:
    """`steps` of the 0 … total - 1, downwards to 0 (Lin et al. 2024, table 2, "leading").

    Earlier code does so. The noise it starts from is taken for an image with some signal.
    """
    return [total // steps * i for i in reversed(range(steps))]


def timesteps_of(spacing: Spacing, total: int, steps: int) -> list[int]:
    return (trailing_timesteps if spacing == "trailing" else leading_timesteps)(total, steps)


def ended_at(last: int, timesteps: list[int]) -> list[int]:
    """Those before `last`, and `last` instead of all that follow it: a sampling cut short.

    As with the σ_min of Karras et al. 2022 (eq. 5), the estimate there is the result.
    """
    kept = [t for t in timesteps if t > last]
    return kept if len(kept) == len(timesteps) else [*kept, last]


# ---- the estimate of x_0 -------------------------------------------------------------------------


def guided(with_condition: Tensor, without: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022, eq. 6), where `scale` is their 1 + w.

    1 is none. Of ε, of v and of x_0 alike: at one x_t they are affine in each other.
    """
    return without + scale * (with_condition - without)


def static_threshold(x0: Tensor, limit: float) -> Tensor:
    """x_0 clipped to ±limit, the range of the data (Saharia et al. 2022, section 2.3)."""
    return x0.clamp(-limit, limit)


def dynamic_threshold(x0: Tensor, limit: float, share: float = 0.995) -> Tensor:
    """x_0 (B, C, h, w) clipped at a quantile s of each image's |x_0|, then scaled to ±limit.

    Only where s exceeds the limit; else as the static one (Saharia et al. 2022, section 2.3).
    """
    # One image after another: torch.quantile takes no more than 2²⁴ values.
    quantiles = [torch.quantile(magnitude.flatten(), share) for magnitude in x0.abs()]
    s = torch.stack(quantiles).clamp(min=limit)[:, None, None, None]
    return x0.clamp(-s, s) * (limit / s)


# ---- one step ------------------------------------------------------------------------------------


def ddpm_step(x: Tensor, x0: Tensor, now: Level, after: Level, draw: Draw) -> Tensor:
    """x_s of DDPM: a draw from q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7).

    Between any two steps t > s, what the paper calls α_t is ᾱ_t / ᾱ_s, so steps may be left out
    (Nichol and Dhariwal 2021, section 4).
    """
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    kept = alpha / alpha_s  # √α of the step; its β is the variance that the step adds,
    beta = sigma**2 - (kept * sigma_s) ** 2  # 1 - kept², without its cancellation at small t
    mean = (alpha_s * beta * x0 + kept * sigma_s**2 * x) / sigma**2
    return mean + (beta.clamp(min=0) * sigma_s**2 / sigma**2).sqrt() * draw()


def ddim_step(x: Tensor, x0: Tensor, now: Level, after: Level, draw: Draw, eta: float) -> Tensor:
    """x_s of DDIM (Song et al. 2021, eq. 12); draw() is called where eta > 0."""
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    noise = noise_of_x0(x, x0, alpha, sigma)
    # eq. 16: the deviation of the noise put back in; eta = 1 makes it DDPM's.
    fresh = eta * sigma_s / sigma * (1 - (alpha / alpha_s) ** 2).clamp(min=0).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x = alpha_s * x0 + kept * noise
    return x + fresh * draw() if eta else x


def dpmpp_step(x: Tensor, x0: Tensor, now: Level, after: Level, before: Estimate | None) -> Tensor:
    """x_s of DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++", algorithm 2).

    The ODE's linear part is solved exactly, and x_0 is taken as linear in λ = ln(α/σ) through
    this estimate and the one before. Without one, this is DDIM with η = 0.
    """
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    if before is not None:
        h_before = _lambda(now) - _lambda(before.level)
        h = _lambda(after) - _lambda(now)
        # 1 / (2 r) with r = h_before / h. Pure noise is at λ = -∞: from there h_before is infinite
        # and the estimate at pure noise has, rightly, no say.
        x0 = x0 + h / (2 * h_before) * (x0 - before.x0)
    # α_s - σ_s α/σ is the paper's -α_s (e^(-h) - 1).
    return sigma_s / sigma * x + (alpha_s - sigma_s * alpha / sigma) * x0


def _lambda(level: Level) -> Tensor:
    """Half the logarithm of the signal to noise ratio."""
    alpha, sigma = level
    return (alpha / sigma).log()


def step_of(sampler: SamplerName, draw: Draw, eta: float) -> Step:
    """The step of a sampler by its name; eta is DDIM's."""
    if sampler == "ddpm":
        return lambda x, now, after, before: ddpm_step(x, now.x0, now.level, after, draw)
    if sampler == "ddim":
        return lambda x, now, after, before: ddim_step(x, now.x0, now.level, after, draw, eta)
    return lambda x, now, after, before: dpmpp_step(x, now.x0, now.level, after, before)


# ---- all the way ---------------------------------------------------------------------------------


def denoise(
    estimate: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    x: Tensor,
    step: Step,
    *,
    timesteps: list[int],
    on_step: Callable[[int, int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """From noise x (B, C, h, w) at the first of the timesteps, downwards, to x_0.

    estimate(x_t, t) → x_0 asks the network, t (B,). The last estimate is what every sampler's step
    to σ = 0 would give. on_step is called with (step, steps, x_t, estimate of x_0).
    """

    def look(index: int, t: int) -> Estimate:
        times = torch.full((len(x),), t, device=x.device)
        now = Estimate(estimate(x, times), schedule.at(times))
        if on_step is not None:
            on_step(index, len(timesteps), x, now.x0)
        return now

    before: Estimate | None = None
    for index, (t, following) in enumerate(pairwise(timesteps), start=1):
        now = look(index, t)
        after = schedule.at(torch.full((len(x),), following, device=x.device))
        x, before = step(x, now, after, before), now
    return look(len(timesteps), timesteps[-1]).x0
