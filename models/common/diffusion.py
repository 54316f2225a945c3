"""Diffusion as mathematics: schedule, forward process, v-prediction, the samplers.

Symbols are the papers': x_t = α_t x_0 + σ_t ε with α_t² + σ_t² = 1, so ᾱ_t = α_t².
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Schedule(nn.Module):
    """The cosine schedule (Nichol and Dhariwal 2021, eq. 17, offset 0), shifted towards noise.

    The angle φ_t = π/2 · (t + 1)/T has α = cos φ and σ = sin φ. A shift s makes it
    tan φ' = s tan φ, that is logSNR - 2 ln s (Hoogeboom et al. 2023, eq. 8). At t = T - 1 nothing
    of the picture is left, as it must be to start from pure noise (Lin et al. 2024). `t` counts
    0 … T - 1.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, steps: int, shift: float = 1.0) -> None:
        super().__init__()
        self.steps = steps
        angle = torch.arange(1, steps + 1, dtype=torch.float64) / steps * (math.pi / 2)
        shifted = torch.atan2(shift * torch.sin(angle), torch.cos(angle))
        # Derived from the constructor's arguments, so not part of the weights.
        self.register_buffer("alpha", torch.cos(shifted).float(), persistent=False)
        self.register_buffer("sigma", torch.sin(shifted).float(), persistent=False)
        self.alpha[-1], self.sigma[-1] = 0.0, 1.0  # exactly, not up to the rounding of π

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(α_t, σ_t), each (B, 1, 1, 1), for integer t (B,)."""
        return self.alpha[t][:, None, None, None], self.sigma[t][:, None, None, None]


def diffuse(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_t of the forward process (Ho et al. 2020, eq. 4)."""
    return alpha * x0 + sigma * noise


def v_of(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """v = α ε - σ x_0 (Salimans and Ho 2022, appendix D)."""
    return alpha * noise - sigma * x0


def x0_of_v(x: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_0 = α x_t - σ v."""
    return alpha * x - sigma * v


def noise_of_x0(x: Tensor, x0: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """ε = (x_t - α x_0) / σ; σ is never 0 here, since t = 0 still has noise."""
    return (x - alpha * x0) / sigma


def trailing_timesteps(total: int, steps: int) -> list[int]:
    """`steps` of the 0 … total - 1, downwards from the last (Lin et al. 2024, table 2, "trailing").

    Sampling must start where training saw no signal at all, and that is the last one only.
    """
    return [round(total - total * i / steps) - 1 for i in range(steps)]


Level = tuple[Tensor, Tensor]
"""α and σ of a step, each (B, 1, 1, 1)."""
Step = Callable[[Tensor, Tensor, Level, Level], Tensor]
"""step(x_t, x_0, level of t, level of the next s < t) → x_s."""


def denoise(
    predict_v: Callable[[Tensor, Tensor], Tensor],
    schedule: Schedule,
    x: Tensor,
    step: Step,
    *,
    steps: int,
    limit: float = math.inf,
    on_step: Callable[[int, int, Tensor], None] | None = None,
) -> Tensor:
    """From noise x_T (B, C, h, w) to x_0 in `steps` steps, each made by `step`.

    predict_v(x_t, t) is the network. Its x_0 is clipped to ±limit, in the space trained in.
    """
    steps = min(steps, schedule.steps)
    timesteps = trailing_timesteps(schedule.steps, steps)
    x0 = torch.zeros_like(x)
    for index, t in enumerate(timesteps):
        now = torch.full((len(x),), t, device=x.device)
        level = schedule.at(now)
        x0 = x0_of_v(x, predict_v(x, now).float(), *level).clamp(-limit, limit)
        if on_step is not None:
            on_step(index + 1, steps, x0)
        if index + 1 < steps:
            x = step(x, x0, level, schedule.at(torch.full_like(now, timesteps[index + 1])))
    return x0


def ddim_step(
    x: Tensor, x0: Tensor, now: Level, after: Level, draw: Callable[[], Tensor], eta: float
) -> Tensor:
    """x_s of DDIM (Song et al. 2021, eq. 12); draw() gives fresh noise, used where eta > 0."""
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    noise = noise_of_x0(x, x0, alpha, sigma)
    # eq. 16: the deviation of the noise put back in; eta = 1 makes it DDPM's.
    fresh = eta * sigma_s / sigma * (1 - (alpha / alpha_s) ** 2).clamp(min=0).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x = alpha_s * x0 + kept * noise
    return x + fresh * draw() if eta else x


def ddpm_step(
    x: Tensor, x0: Tensor, now: Level, after: Level, draw: Callable[[], Tensor]
) -> Tensor:
    """x_s of DDPM: a draw from q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7).

    Between any two steps t > s, what the paper calls α_t is ᾱ_t / ᾱ_s, so steps may be left out
    (Nichol and Dhariwal 2021, section 4).
    """
    (alpha, sigma), (alpha_s, sigma_s) = now, after
    kept = alpha / alpha_s  # √α of the step; its β is the variance that the step adds,
    beta = sigma**2 - (kept * sigma_s) ** 2  # 1 - kept², without its cancellation at small t
    mean = (alpha_s * beta * x0 + kept * sigma_s**2 * x) / sigma**2
    return mean + (beta.clamp(min=0) * sigma_s**2 / sigma**2).sqrt() * draw()


class TimeEmbedding(nn.Module):
    """Sinusoids of t (Vaswani et al. 2017, section 3.5), then two layers: (B,) → (B, features)."""

    def __init__(self, features: int, total: int) -> None:
        super().__init__()
        half = features // 2
        # Wavelengths from 2π to 2π · 10⁴ over t scaled to 0 … 1000, whatever T is.
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half) * (1000 / total)
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * half, features), nn.SiLU(), nn.Linear(features, features)
        )

    def forward(self, t: Tensor) -> Tensor:
        angles = t.float()[:, None] * self.frequencies
        embedded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return embedded


def stratified_timesteps(draws: Tensor, total: int) -> Tensor:
    """Uniform draws (B,) in [0, 1) → integer t (B,), one from each B-th of the range.

    Each t is as likely as any other, but a batch covers the range evenly, so the loss is calmer
    (Kingma et al. 2021, appendix I.1).
    """
    count = len(draws)
    places = torch.arange(count, device=draws.device)
    return ((places + draws) / count * total).long().clamp(max=total - 1)
