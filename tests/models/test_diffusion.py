"""The mathematics of diffusion, with an oracle that knows x_0: right all along the way, not only
at its end, which hides a wrong sampler."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from models.common.diffusion import (
    Level,
    Schedule,
    ddim_step,
    ddpm_step,
    denoise,
    diffuse,
    noise_of_x0,
    stratified_timesteps,
    trailing_timesteps,
    v_of,
    x0_of_v,
)

Sampler = Callable[..., Tensor]
"""sampler(x_t, x_0, level of t, level of s, draw) → x_s."""
DDIM, ANCESTRAL = partial(ddim_step, eta=0.0), partial(ddim_step, eta=1.0)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_the_schedule_keeps_the_variance_and_ends_in_pure_noise(shift: float) -> None:
    schedule = Schedule(1000, shift)
    torch.testing.assert_close(schedule.alpha**2 + schedule.sigma**2, torch.ones(1000))
    assert (schedule.alpha.diff() < 0).all()
    assert schedule.alpha[-1] == 0


def test_a_shift_moves_the_log_signal_to_noise_ratio() -> None:
    plain, shifted = Schedule(1000), Schedule(1000, 3.0)
    t = torch.arange(999)
    log_snr = [2 * (s.alpha[t] / s.sigma[t]).log() for s in (plain, shifted)]
    torch.testing.assert_close(log_snr[0] - log_snr[1], torch.full((999,), 2 * math.log(3)))


def test_v_and_noise_give_the_picture_back() -> None:
    schedule = Schedule(1000, 2.0)
    x0, noise = torch.randn(64, 2, 4, 4), torch.randn(64, 2, 4, 4)
    alpha, sigma = schedule.at(torch.randint(0, 1000, (64,)))
    x = diffuse(x0, noise, alpha, sigma)
    torch.testing.assert_close(x0_of_v(x, v_of(x0, noise, alpha, sigma), alpha, sigma), x0)
    torch.testing.assert_close(noise_of_x0(x, x0, alpha, sigma) * sigma, noise * sigma)


@pytest.mark.parametrize("steps", [1, 3, 10, 50, 333, 1000])
def test_trailing_timesteps_start_at_the_end(steps: int) -> None:
    timesteps = trailing_timesteps(1000, steps)
    assert timesteps[0] == 999
    assert len(set(timesteps)) == steps
    assert timesteps == sorted(timesteps, reverse=True)
    assert timesteps[-1] >= 0


@pytest.mark.parametrize(
    "sampler",
    [DDIM, partial(ddim_step, eta=0.5), ANCESTRAL, ddpm_step],
    ids=["ddim 0", "ddim 0.5", "ddim 1", "ddpm"],
)
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_with_an_oracle_the_spread_is_right_at_every_step(sampler: Sampler, steps: int) -> None:
    """Noise that is unit normal and independent of x_0, at each x_t on the way."""
    generator = torch.Generator().manual_seed(0)
    schedule = Schedule(1000, 2.0)
    x0 = torch.randn(64, 1, 16, 16, generator=generator)
    visited = []

    def oracle(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.at(t)
        visited.append((x, alpha[0].item(), sigma[0].item()))
        return v_of(x0, noise_of_x0(x, x0, alpha, sigma), alpha, sigma)

    def draw() -> Tensor:
        return torch.randn(x0.shape, generator=generator)

    end = denoise(oracle, schedule, draw(), partial(sampler, draw=draw), steps=steps)
    torch.testing.assert_close(end, x0, atol=1e-3, rtol=1e-3)
    assert len(visited) == steps
    for x, alpha, sigma in visited:
        assert x.std() == pytest.approx(1.0, abs=0.02)
        signal = (x * x0).mean() / x0.square().mean()
        assert signal == pytest.approx(alpha, abs=0.03)
        assert ((x - alpha * x0) / sigma).std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("sampler", "steps"),
    [(DDIM, 100), (ANCESTRAL, 500), (ddpm_step, 500)],
    ids=["ddim 0", "ddim 1", "ddpm"],
)
def test_the_sampler_reaches_a_gaussian_posterior(sampler: Sampler, steps: int) -> None:
    """x_0 ~ N(0.7, 0.5²): the best v is known, and samples must have that mean and deviation."""
    generator = torch.Generator().manual_seed(1)
    schedule = Schedule(1000, 1.0)
    mean, std = 0.7, 0.5

    def best(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.at(t)
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        x0 = mean + gain * (x - alpha * mean)
        return v_of(x0, noise_of_x0(x, x0, alpha, sigma), alpha, sigma)

    def draw() -> Tensor:
        return torch.randn(32, 1, 32, 32, generator=generator)

    samples = denoise(best, schedule, draw(), partial(sampler, draw=draw), steps=steps)
    assert samples.mean() == pytest.approx(mean, abs=0.02)
    assert samples.std() == pytest.approx(std, abs=0.02)


def between(timesteps: list[int], shift: float) -> tuple[Level, Level]:
    """Levels (steps - 1, 1, 1, 1) of each of the timesteps but the last, and of the one after it.

    In float64, and with α² + σ² = 1 to that precision, as the buffers in float32 have it not.
    """
    schedule = Schedule(1000, shift)
    alpha, sigma = (level.double() for level in schedule.at(torch.tensor(timesteps)))
    norm = torch.hypot(alpha, sigma)
    alpha, sigma = alpha / norm, sigma / norm
    return (alpha[:-1], sigma[:-1]), (alpha[1:], sigma[1:])


@pytest.mark.parametrize("steps", [2, 10, 50, 333, 1000])
def test_ddpm_is_ddim_with_all_of_the_noise(steps: int) -> None:
    """From each step to the next; before the first, nothing of the picture is left."""
    generator = torch.Generator().manual_seed(0)
    now, after = between(trailing_timesteps(1000, steps), 3.0)
    x, x0, noise = torch.randn(3, steps - 1, 1, 4, 4, dtype=torch.float64, generator=generator)
    ddpm = ddpm_step(x, x0, now, after, lambda: noise)
    ddim = ddim_step(x, x0, now, after, lambda: noise, eta=1.0)
    torch.testing.assert_close(ddpm, ddim, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_ddpm_draws_from_the_posterior_of_ho_et_al(shift: float) -> None:
    """Eq. 6 and 7 in their own symbols, float64, against the step in float32, for every t > 0."""
    schedule = Schedule(1000, shift)
    t = torch.arange(1, 1000)
    tangent = shift * torch.tan(torch.arange(1, 1000, dtype=torch.float64) / 1000 * math.pi / 2)
    abar = torch.cat([1 / (1 + tangent**2), torch.zeros(1, dtype=torch.float64)])
    abar_t, abar_s = abar[t], abar[t - 1]
    alpha = abar_t / abar_s
    beta = 1 - alpha
    of_x0 = abar_s.sqrt() * beta / (1 - abar_t)
    of_x = alpha.sqrt() * (1 - abar_s) / (1 - abar_t)
    deviation = ((1 - abar_s) / (1 - abar_t) * beta).sqrt()

    def step(x: float, x0: float, noise: float) -> Tensor:
        full = [torch.full((len(t), 1, 1, 1), value) for value in (x, x0, noise)]
        return ddpm_step(
            full[0], full[1], schedule.at(t), schedule.at(t - 1), lambda: full[2]
        ).flatten()

    close = partial(torch.testing.assert_close, check_dtype=False, rtol=1e-4, atol=1e-5)
    close(step(0, 0, 1), deviation)
    close(step(1, 0, 0), of_x)
    close(step(0, 1, 0), of_x0)
    # A picture that is all there already: what the mean misses it by is little beside the draw.
    missed = (step(1, 1, 0) - (of_x + of_x0)).abs() / deviation
    assert missed.max() < 1e-3


@pytest.mark.parametrize("sampler", [DDIM, ddpm_step], ids=["ddim", "ddpm"])
def test_clipping_bounds_every_estimate(sampler: Sampler) -> None:
    estimates = []
    denoise(
        lambda x, t: 10 * torch.ones_like(x),
        Schedule(100),
        torch.randn(2, 1, 4, 4),
        partial(sampler, draw=lambda: torch.zeros(2, 1, 4, 4)),
        steps=10,
        limit=1.5,
        on_step=lambda step, steps, x0: estimates.append(x0),
    )
    assert len(estimates) == 10
    assert max(float(x0.abs().max()) for x0 in estimates) == 1.5


def test_stratified_timesteps_cover_the_range_evenly() -> None:
    t = stratified_timesteps(torch.rand(100), 1000)
    assert torch.equal(t // 10, torch.arange(100))
