"""The mathematics of the forward process of diffusion: schedules, noising, prediction targets.

Symbols are the papers': x_t = α_t x_0 + σ_t ε, where x_0 is color without noise and
α_t² + σ_t² = 1. So α_t² = ᾱ_t, and the signal to noise ratio (SNR) is ᾱ_t / (1 - ᾱ_t). The steps t
count from 0 to T - 1, and there is some noise at t = 0 already. The reverse process is in
`samplers.py`.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

ScheduleName = Literal["cosine", "linear", "sigmoid"]
Prediction = Literal["v", "epsilon", "x0"]
Weighting = Literal["uniform", "min-snr"]
NoiseLevel = tuple[Tensor, Tensor]
"""α_t and σ_t, each (B, 1, 1, 1)."""

MAX_TERMINAL_SIGNAL = 0.03
"""Largest √ᾱ_T with which sampling may start from pure noise."""
MAX_BETA = 0.999
"""Largest β of a schedule as published (Nichol and Dhariwal 2021, section 3.2)."""


# ---- schedules: ᾱ (T,), float64 ------------------------------------------------------------------


def alpha_bar_of(beta: Tensor) -> Tensor:
    """Return ᾱ_t = Π (1 - β_s), s ≤ t (Ho et al. 2020, above eq. 4).

    β_t is the variance that step t adds.
    """
    return torch.cumprod(1 - beta, dim=0)


def betas_of(alpha_bar: Tensor) -> Tensor:
    """Return β_t = 1 - ᾱ_t / ᾱ_{t-1}, with ᾱ_{-1} = 1: the inverse of `alpha_bar_of`."""
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    return 1 - alpha_bar / before


def linear(steps: int) -> Tensor:
    """Return ᾱ for β from 1e-4 to 0.02 in equal steps (Ho et al. 2020, section 4).

    β has the same range for any T; in the paper T is 1000.
    """
    return alpha_bar_of(torch.linspace(1e-4, 0.02, steps, dtype=torch.float64))


def sigmoid(steps: int) -> Tensor:
    """Return ᾱ for β from 1e-4 to 0.02 along a sigmoid over [-6, 6] (GeoDiff, Xu et al. 2022)."""
    positions = torch.linspace(-6, 6, steps, dtype=torch.float64)
    return alpha_bar_of(1e-4 + (0.02 - 1e-4) * torch.sigmoid(positions))


def cosine(steps: int, offset: float = 0.0) -> Tensor:
    """Return ᾱ_t = f(t) / f(0), f(t) = cos²((t/T + s) / (1 + s) · π/2).

    Nichol and Dhariwal 2021, eq. 17, where the offset s is 0.008. t/T ends at 1, where ᾱ is 0.
    """
    share = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    start = math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    return torch.cos((share + offset) / (1 + offset) * math.pi / 2) ** 2 / start


def capped(alpha_bar: Tensor) -> Tensor:
    """Return ᾱ with every β at most MAX_BETA, so that ᾱ_T > 0."""
    return alpha_bar_of(betas_of(alpha_bar).clamp(max=MAX_BETA))


def zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """Return ᾱ with √ᾱ shifted and scaled so that it ends at 0 and its first value is unchanged.

    Lin et al. 2024, algorithm 1.
    """
    root = alpha_bar.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    return ((root - last) * (first / (first - last))) ** 2


def shifted(alpha_bar: Tensor, shift: float) -> Tensor:
    """Return ᾱ with 2 ln(shift) subtracted from log SNR; a shift above 1 gives more noise.

    Hoogeboom et al. 2023, section 3.
    """
    return alpha_bar / (alpha_bar + shift**2 * (1 - alpha_bar))


def noise_schedule(
    name: ScheduleName,
    steps: int,
    *,
    offset: float = 0.0,
    shift: float = 1.0,
    zero_terminal: bool = True,
) -> Tensor:
    """Return ᾱ (T,) of a named schedule, with the shift applied.

    offset: that of the cosine schedule. zero_terminal: rescale the schedule to end in pure noise;
    with False it stays as published, with β capped, so the cosine ends a little before pure noise.
    """
    base = {
        "cosine": lambda: cosine(steps, offset),
        "linear": lambda: linear(steps),
        "sigmoid": lambda: sigmoid(steps),
    }[name]()
    return shifted(zero_terminal_snr(base) if zero_terminal else capped(base), shift)


def usable_schedule(
    *,
    schedule: ScheduleName,
    timesteps: int,
    offset: float,
    shift: float,
    zero_terminal: bool,
    allow_signal: bool,
    prediction: Prediction,
    **_: object,
) -> Tensor:
    """Return ᾱ (T,) for the constructor arguments of a model; unrelated arguments are ignored.

    Raises ValueError, with the remedy, if a model with this schedule could not be trained or
    sampled.
    """
    if offset and schedule != "cosine":
        raise ValueError(
            f"offset is an option of the cosine schedule, not of {schedule}: leave it out"
        )
    alpha_bar = noise_schedule(
        schedule, timesteps, offset=offset, shift=shift, zero_terminal=zero_terminal
    )
    if not allow_signal:
        require_terminal_noise(alpha_bar)
    require_predictable(prediction, alpha_bar)
    return alpha_bar


def require_terminal_noise(alpha_bar: Tensor) -> None:
    """Raise ValueError if √ᾱ_T is above MAX_TERMINAL_SIGNAL.

    Sampling starts from pure noise. If training never saw pure noise, the network has learned to
    read the mean color of the image from x_T, and in pure noise it reads a wrong one: 0.
    """
    signal = float(alpha_bar[-1].sqrt())
    if signal > MAX_TERMINAL_SIGNAL:
        raise ValueError(
            f"the schedule ends with √ᾱ = {signal:.3f}, and above {MAX_TERMINAL_SIGNAL} sampling "
            "from pure noise fails: set zero_terminal=true, more timesteps or a larger shift, or "
            "allow it with allow_signal=true"
        )


class Schedule(nn.Module):
    """The noise schedule of a model: α_t = √ᾱ_t and σ_t = √(1 - ᾱ_t) in float32.

    alpha_bar: ᾱ (T,) in float64.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, alpha_bar: Tensor) -> None:
        super().__init__()
        self.steps = len(alpha_bar)
        # They follow from the model's constructor arguments, so they are not saved as weights.
        self.register_buffer("alpha", alpha_bar.sqrt().float(), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().float(), persistent=False)

    def at(self, t: Tensor) -> NoiseLevel:
        """Return (α_t, σ_t), each (B, 1, 1, 1), for integer t (B,)."""
        return self.alpha[t][:, None, None, None], self.sigma[t][:, None, None, None]

    def timestep_at(self, time: Tensor) -> Tensor:
        """Return the integers t (B,) in [0, T) at the times (B,) in [0, 1), 1 the most noise."""
        return (time * self.steps).long().clamp(max=self.steps - 1)

    def first_of(self, ratio: float) -> int:
        """Return the first t at which σ_t / α_t is at least `ratio`, or T - 1 if there is none."""
        below = int((self.sigma < ratio * self.alpha).sum())
        return min(below, self.steps - 1)


# ---- noising and prediction targets --------------------------------------------------------------


def diffuse(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x_t = α x_0 + σ ε of the forward process (Ho et al. 2020, eq. 4)."""
    return alpha * x0 + sigma * noise


def v_of(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return v = α ε - σ x_0 (Salimans and Ho 2022, appendix D)."""
    return alpha * noise - sigma * x0


def x0_of_v(x: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x_0 = α x_t - σ v (Salimans and Ho 2022, appendix D)."""
    return alpha * x - sigma * v


def x0_of_noise(x: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x_0 = (x_t - σ ε) / α (Ho et al. 2020, eq. 15), which is undefined for α = 0."""
    return (x - sigma * noise) / alpha


def noise_of_x0(x: Tensor, x0: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return ε = (x_t - α x_0) / σ; σ is never 0, since there is noise at t = 0 too."""
    return (x - alpha * x0) / sigma


def target_of(
    prediction: Prediction, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """Return the prediction target for x_t = α x_0 + σ ε."""
    if prediction == "v":
        return v_of(x0, noise, alpha, sigma)
    return noise if prediction == "epsilon" else x0


def x0_of(
    prediction: Prediction, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """Return the estimate of x_0 that corresponds to a network's output for x_t."""
    if prediction == "v":
        return x0_of_v(x, output, alpha, sigma)
    return x0_of_noise(x, output, alpha, sigma) if prediction == "epsilon" else output


def require_predictable(prediction: Prediction, alpha_bar: Tensor) -> None:
    """Raise ValueError for ε with ᾱ_T = 0: x_T is then the noise itself, independent of x_0."""
    if prediction == "epsilon" and alpha_bar[-1] == 0:
        raise ValueError(
            "prediction=epsilon cannot be learned at a step without signal: set "
            "zero_terminal=false or prediction=v"
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
    """Return the weight of the squared error of the prediction, in the shape of α.

    uniform: 1, which for ε is the simple loss of Ho et al. 2020, eq. 14. min-snr: min(SNR, γ) for
    x_0 (Hang et al. 2023, section 3). The errors of ε and v are α/σ and 1/σ times that of x_0, so
    their weights are min(1, γ/SNR) and σ² min(SNR, γ). For x_0 and v the weight goes to 0 with the
    signal, so the noisy steps, which decide the hue, would hardly be learned; `floor` is therefore
    the smallest weight.
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
