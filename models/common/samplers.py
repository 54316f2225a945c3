"""The mathematics of the reverse process of diffusion: from noise x_T to x_0, step by step.

Symbols are those of `diffusion.py`. A step leads from noise level t to a lower level s < t, which
need not be the next one. Every sampler is given an estimate of x_0, whatever the network predicts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from .diffusion import NoiseLevel, Schedule, noise_of_x0

SamplerName = Literal["ddpm", "ddim", "dpmpp"]
Spacing = Literal["trailing", "leading"]
Threshold = Literal["static", "dynamic"]
Draw = Callable[[], Tensor]
"""Fresh standard normal noise, (B, C, h, w)."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of x_0, and the noise level at which it was made."""

    x0: Tensor
    level: NoiseLevel


Step = Callable[[Tensor, Estimate, NoiseLevel, Estimate | None], Tensor]
"""step(x_t, estimate at t, noise level of s, estimate of the previous step or None) → x_s."""


# ---- timesteps -----------------------------------------------------------------------------------


def trailing_timesteps(total: int, steps: int) -> list[int]:
    """Return `steps` evenly spaced timesteps of 0 … total - 1, descending from the last.

    Lin et al. 2024, table 2, "trailing". Sampling must start at the only step where training saw
    no signal, which is the last one.
    """
    return [round(total - total * i / steps) - 1 for i in range(steps)]


def leading_timesteps(total: int, steps: int) -> list[int]:
    """Return `steps` evenly spaced timesteps of 0 … total - 1, descending to 0.

    Lin et al. 2024, table 2, "leading". Many earlier implementations do this. The network is then
    given pure noise at a step where, in training, its input always had some signal.
    """
    return [total // steps * i for i in reversed(range(steps))]


def timesteps_of(spacing: Spacing, total: int, steps: int) -> list[int]:
    """Return `steps` of the timesteps 0 … total - 1 in descending order, by the spacing's name."""
    return (trailing_timesteps if spacing == "trailing" else leading_timesteps)(total, steps)


def end_at(last: int, timesteps: list[int]) -> list[int]:
    """Return descending timesteps with all those at or below `last` replaced by `last`.

    As with the σ_min of Karras et al. 2022 (eq. 5), the estimate of x_0 there is the result.
    """
    kept = [t for t in timesteps if t > last]
    return kept if len(kept) == len(timesteps) else [*kept, last]


# ---- the estimate of x_0 -------------------------------------------------------------------------


def guided(with_condition: Tensor, without: Tensor, scale: float) -> Tensor:
    """Apply classifier-free guidance (Ho and Salimans 2022, eq. 6), where `scale` is their 1 + w.

    A scale of 1 is no guidance. The equation holds for outputs ε, v and x_0 alike, since at a given
    x_t each is an affine function of the others.
    """
    return without + scale * (with_condition - without)


def static_threshold(x0: Tensor, limit: float) -> Tensor:
    """Clip x_0 to ±limit, the range of the data (Saharia et al. 2022, section 2.3)."""
    return x0.clamp(-limit, limit)


def dynamic_threshold(x0: Tensor, limit: float) -> Tensor:
    """Clip x_0 (B, C, h, w) at the quantile 0.995 of each image's |x_0|, then scale it to ±limit.

    Where the quantile is below the limit, this is the static threshold (Saharia et al. 2022,
    section 2.3).
    """
    # One image at a time, because torch.quantile accepts at most 2²⁴ values.
    quantiles = [torch.quantile(magnitude.flatten(), 0.995) for magnitude in x0.abs()]
    s = torch.stack(quantiles).clamp(min=limit)[:, None, None, None]
    return x0.clamp(-s, s) * (limit / s)


def threshold_of(name: Threshold, limit: float) -> Callable[[Tensor], Tensor]:
    """Return the threshold of x_0 by its name, for data in ±limit."""
    threshold = static_threshold if name == "static" else dynamic_threshold
    return lambda x0: threshold(x0, limit)


# ---- one step ------------------------------------------------------------------------------------


def ddpm_step(x: Tensor, x0: Tensor, now: NoiseLevel, after: NoiseLevel, draw: Draw) -> Tensor:
    """Return x_s of DDPM: a sample of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7).

    Between any two steps t > s, the paper's α_t is ᾱ_t / ᾱ_s, so steps may be skipped (Nichol and
    Dhariwal 2021, section 4).
    """
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    kept = alpha / alpha_s  # √α_t of the paper
    # β_t of the paper, 1 - kept², without its cancellation at small t.
    beta = sigma**2 - (kept * sigma_s) ** 2
    mean = (alpha_s * beta * x0 + kept * sigma_s**2 * x) / sigma**2
    return mean + (beta.clamp(min=0) * sigma_s**2 / sigma**2).sqrt() * draw()


def ddim_step(
    x: Tensor, x0: Tensor, now: NoiseLevel, after: NoiseLevel, draw: Draw, eta: float
) -> Tensor:
    """Return x_s of DDIM (Song et al. 2021, eq. 12); draw() is called only if eta > 0."""
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    noise = noise_of_x0(x, x0, alpha, sigma)
    # eq. 16: the deviation of the noise that is added; eta = 1 gives DDPM's.
    fresh = eta * sigma_s / sigma * (1 - (alpha / alpha_s) ** 2).clamp(min=0).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x = alpha_s * x0 + kept * noise
    return x + fresh * draw() if eta else x


def dpmpp_step(
    x: Tensor, x0: Tensor, now: NoiseLevel, after: NoiseLevel, before: Estimate | None
) -> Tensor:
    """Return x_s of DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++", algorithm 2).

    The linear part of the ODE is solved exactly, and x_0 is extrapolated linearly in λ = ln(α/σ)
    from this estimate and the previous one. Without a previous one, this is DDIM with η = 0.
    """
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    if before is not None:
        h_before = _lambda(now) - _lambda(before.level)
        h = _lambda(after) - _lambda(now)
        # The factor is 1 / (2 r) with r = h_before / h. Pure noise is at λ = -∞, where h_before is
        # infinite, so an estimate that was made from pure noise has no weight, as it should be.
        x0 = x0 + h / (2 * h_before) * (x0 - before.x0)
    # The factor α_s - σ_s α/σ is the paper's -α_s (e^(-h) - 1).
    return sigma_s / sigma * x + (alpha_s - sigma_s * alpha / sigma) * x0


def _lambda(level: NoiseLevel) -> Tensor:
    """Return λ = ln(α/σ), half the logarithm of the signal to noise ratio."""
    alpha, sigma = level
    return (alpha / sigma).log()


def step_of(sampler: SamplerName, draw: Draw, eta: float) -> Step:
    """Return the step of a sampler by its name; only DDIM uses eta."""
    if sampler == "ddpm":
        return lambda x, now, after, before: ddpm_step(x, now.x0, now.level, after, draw)
    if sampler == "ddim":
        return lambda x, now, after, before: ddim_step(x, now.x0, now.level, after, draw, eta)
    return lambda x, now, after, before: dpmpp_step(x, now.x0, now.level, after, before)


# ---- the whole reverse process -------------------------------------------------------------------


def denoise(
    estimate: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    x: Tensor,
    step: Step,
    *,
    timesteps: list[int],
    on_step: Callable[[int, int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Map noise x (B, C, h, w) at the first of the descending timesteps to x_0.

    estimate(x_t, t) → x_0 runs the network, with t (B,). The last estimate is the result, since
    every sampler's step to σ = 0 returns it. on_step is called with (step, steps, x_t, estimate of
    x_0).
    """

    def estimate_at(index: int, t: int) -> Estimate:
        times = torch.full((len(x),), t, device=x.device)
        now = Estimate(estimate(x, times), schedule.at(times))
        if on_step is not None:
            on_step(index, len(timesteps), x, now.x0)
        return now

    before: Estimate | None = None
    for index, (t, following) in enumerate(pairwise(timesteps), start=1):
        now = estimate_at(index, t)
        after = schedule.at(torch.full((len(x),), following, device=x.device))
        x, before = step(x, now, after, before), now
    return estimate_at(len(timesteps), timesteps[-1]).x0
