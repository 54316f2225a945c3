"""Diffusion as mathematics, the way forward: schedules, noising, what a network can be asked.

Symbols are the papers': x_t = α_t x_0 + σ_t ε with α_t² + σ_t² = 1, hence α_t² = ᾱ_t and the signal
to noise ratio is ᾱ_t / (1 - ᾱ_t). `t` counts 0 … T - 1, so ᾱ_0 has a little noise already. The way
back is in `samplers.py`.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

ScheduleName = Literal["cosine", "linear", "sigmoid"]
Prediction = Literal["v", "epsilon", "x0"]
Weighting = Literal["uniform", "min-snr"]
Level = tuple[Tensor, Tensor]
"""α and σ at a step, each (B, 1, 1, 1)."""

MOST_SIGNAL_AT_THE_END = 0.03


# ---- schedules: ᾱ (T,), float64 ------------------------------------------------------------------


def of_betas(beta: Tensor) -> Tensor:
    """ᾱ_t = Π (1 - β_s), s ≤ t (Ho et al. 2020, above eq. 4); β_t is the variance a step adds."""
    return torch.cumprod(1 - beta, dim=0)


def betas_of(alpha_bar: Tensor) -> Tensor:
    """The way back: β_t = 1 - ᾱ_t / ᾱ_{t-1}, with ᾱ_{-1} = 1."""
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    return 1 - alpha_bar / before


def linear(steps: int) -> Tensor:
    """β evenly from 1e-4 to 0.02 whatever T is (Ho et al. 2020, section 4, there T = 1000)."""
    return of_betas(torch.linspace(1e-4, 0.02, steps, dtype=torch.float64))


def sigmoid(steps: int) -> Tensor:
    """β from 1e-4 to 0.02 along a sigmoid over [-6, 6], as GeoDiff (Xu et al. 2022) has it."""
    places = torch.linspace(-6, 6, steps, dtype=torch.float64)
    return of_betas(1e-4 + (0.02 - 1e-4) * torch.sigmoid(places))


def cosine(steps: int, offset: float = 0.0) -> Tensor:
    """ᾱ_t = f(t) / f(0), f(t) = cos²((t/T + s) / (1 + s) · π/2) (Nichol and Dhariwal 2021, eq. 17).

    The paper's offset s is 0.008. t/T runs to 1, where nothing of the image is left.
    """
    share = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    start = math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    return torch.cos((share + offset) / (1 + offset) * math.pi / 2) ** 2 / start


def capped(alpha_bar: Tensor, most: float = 0.999) -> Tensor:
    """No β above `most`, which keeps ᾱ_T off 0 (Nichol and Dhariwal 2021, section 3.2)."""
    return of_betas(betas_of(alpha_bar).clamp(max=most))


def zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """√ᾱ moved and stretched so that √ᾱ_T = 0 and √ᾱ_1 stays (Lin et al. 2024, algorithm 1)."""
    root = alpha_bar.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    return ((root - last) * (first / (first - last))) ** 2


def shifted(alpha_bar: Tensor, shift: float) -> Tensor:
    """logSNR - 2 ln s, noisier for s > 1 (Hoogeboom et al. 2023, section 3)."""
    return alpha_bar / (alpha_bar + shift**2 * (1 - alpha_bar))


def noise_schedule(
    name: ScheduleName,
    steps: int,
    *,
    offset: float = 0.0,
    shift: float = 1.0,
    zero_terminal: bool = True,
) -> Tensor:
    """ᾱ (T,) of a named schedule, ended in pure noise or as it was published, then shifted.

    offset is the cosine's. A cosine gets to 0 by itself; published, it stops a little before.
    """
    base = {
        "cosine": lambda: cosine(steps, offset),
        "linear": lambda: linear(steps),
        "sigmoid": lambda: sigmoid(steps),
    }[name]()
    return shifted(zero_terminal_snr(base) if zero_terminal else capped(base), shift)


def require_noise_at_the_end(alpha_bar: Tensor) -> None:
    """ValueError where √ᾱ_T is above 0.03.

    Sampling starts from pure noise. Training that never saw any has taught the network to find
    the mean color of the image in x_T, and in pure noise it finds a wrong one: 0.
    """
    left = float(alpha_bar[-1].sqrt())
    if left > MOST_SIGNAL_AT_THE_END:
        raise ValueError(
            f"the schedule ends with √ᾱ = {left:.3f}, and above {MOST_SIGNAL_AT_THE_END} sampling "
            "from pure noise goes wrong: set zero_terminal=true, or more timesteps, or a larger "
            "shift, or allow it with allow_signal=true"
        )


class Schedule(nn.Module):
    """α_t = √ᾱ_t and σ_t = √(1 - ᾱ_t) in float32, for ᾱ (T,) in float64."""

    alpha: Tensor
    sigma: Tensor

    def __init__(self, alpha_bar: Tensor) -> None:
        super().__init__()
        self.steps = len(alpha_bar)
        # Derived from the constructor's arguments of a model, so not part of its weights.
        self.register_buffer("alpha", alpha_bar.sqrt().float(), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().float(), persistent=False)

    def at(self, t: Tensor) -> Level:
        """(α_t, σ_t), each (B, 1, 1, 1), for integer t (B,)."""
        return self.alpha[t][:, None, None, None], self.sigma[t][:, None, None, None]

    def first_of(self, ratio: float) -> int:
        """The first t at which σ_t / α_t is at least `ratio`; the last one if none is."""
        below = int((self.sigma < ratio * self.alpha).sum())
        return min(below, self.steps - 1)


# ---- noising, and what a network can be asked ----------------------------------------------------


def diffuse(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_t of the forward process (Ho et al. 2020, eq. 4)."""
    return alpha * x0 + sigma * noise


def v_of(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """v = α ε - σ x_0 (Salimans and Ho 2022, appendix D)."""
    return alpha * noise - sigma * x0


def x0_of_v(x: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_0 = α x_t - σ v (Salimans and Ho 2022, appendix D)."""
    return alpha * x - sigma * v


def noise_of_v(x: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """ε = σ x_t + α v."""
    return sigma * x + alpha * v


def x0_of_noise(x: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_0 = (x_t - σ ε) / α (Ho et al. 2020, eq. 15); there is none where α = 0."""
    return (x - sigma * noise) / alpha


def noise_of_x0(x: Tensor, x0: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """ε = (x_t - α x_0) / σ; σ is never 0 here, since t = 0 still has noise."""
    return (x - alpha * x0) / sigma


def target_of(
    prediction: Prediction, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """What a network of this kind is to answer for x_t = α x_0 + σ ε."""
    if prediction == "v":
        return v_of(x0, noise, alpha, sigma)
    return noise if prediction == "epsilon" else x0


def x0_of(
    prediction: Prediction, answer: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """The x_0 that a network's answer to x_t stands for."""
    if prediction == "v":
        return x0_of_v(x, answer, alpha, sigma)
    return x0_of_noise(x, answer, alpha, sigma) if prediction == "epsilon" else answer


def require_predictable(prediction: Prediction, alpha_bar: Tensor) -> None:
    """ValueError for ε where ᾱ_T = 0: there x_t is the noise itself and says nothing of x_0."""
    if prediction == "epsilon" and alpha_bar[-1] == 0:
        raise ValueError(
            "prediction=epsilon learns nothing where no signal is left: set zero_terminal=false, "
            "or prediction=v"
        )


# ---- the objective -------------------------------------------------------------------------------


def loss_weight(
    prediction: Prediction,
    weighting: Weighting,
    alpha: Tensor,
    sigma: Tensor,
    *,
    gamma: float = 5.0,
    floor: float = 0.0,
) -> Tensor:
    """The factor of the squared error of what is predicted, shaped as α.

    uniform: 1, for ε the simple loss of Ho et al. 2020, eq. 14. min-snr: on x_0 min(SNR, γ) (Hang
    et al. 2023, section 3), and as the errors of ε and v are α/σ and 1/σ times that of x_0, on
    them min(1, γ/SNR) and σ² min(SNR, γ). On x_0 and v that goes to 0 with the signal, so the
    steps that decide the hue would hardly be learned; no weight is below `floor`.
    """
    if weighting == "uniform":
        return torch.ones_like(alpha)
    snr = (alpha / sigma) ** 2
    if prediction == "epsilon":
        weight = (gamma / snr).clamp(max=1)
    else:
        weight = snr.clamp(max=gamma)
        weight = weight * sigma**2 if prediction == "v" else weight
    return weight.clamp(min=floor)


def stratified_timesteps(draws: Tensor, total: int) -> Tensor:
    """Uniform draws (B,) in [0, 1) → integer t (B,), one from each B-th of the range.

    Each t is as likely as any other, but a batch covers the range evenly, so the loss is calmer
    (Kingma et al. 2021, appendix I.1).
    """
    count = len(draws)
    places = torch.arange(count, device=draws.device)
    return ((places + draws) / count * total).long().clamp(max=total - 1)


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
