"""The mathematics of diffusion, with an oracle that knows x_0: right all along the way, not only
at its end, which hides a wrong sampler."""

import math

import pytest
import torch
from torch import Tensor

from models.common.diffusion import (
    Schedule,
    ddim,
    diffuse,
    noise_of_x0,
    stratified_timesteps,
    trailing_timesteps,
    v_of,
    x0_of_v,
)


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


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_with_an_oracle_the_spread_is_right_at_every_step(eta: float, steps: int) -> None:
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

    end = ddim(oracle, schedule, draw(), draw, steps=steps, eta=eta)
    torch.testing.assert_close(end, x0, atol=1e-3, rtol=1e-3)
    assert len(visited) == steps
    for x, alpha, sigma in visited:
        assert x.std() == pytest.approx(1.0, abs=0.02)
        signal = (x * x0).mean() / x0.square().mean()
        assert signal == pytest.approx(alpha, abs=0.03)
        assert ((x - alpha * x0) / sigma).std() == pytest.approx(1.0, abs=0.03)


def test_the_sampler_reaches_a_gaussian_posterior() -> None:
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

    for eta, steps in ((0.0, 100), (1.0, 500)):
        samples = ddim(best, schedule, draw(), draw, steps=steps, eta=eta)
        assert samples.mean() == pytest.approx(mean, abs=0.02)
        assert samples.std() == pytest.approx(std, abs=0.02)


def test_clipping_bounds_every_estimate() -> None:
    estimates = []
    ddim(
        lambda x, t: 10 * torch.ones_like(x),
        Schedule(100),
        torch.randn(2, 1, 4, 4),
        lambda: torch.zeros(2, 1, 4, 4),
        steps=10,
        limit=1.5,
        on_step=lambda step, steps, x0: estimates.append(x0),
    )
    assert len(estimates) == 10
    assert max(float(x0.abs().max()) for x0 in estimates) == 1.5


def test_stratified_timesteps_cover_the_range_evenly() -> None:
    t = stratified_timesteps(torch.rand(100), 1000)
    assert torch.equal(t // 10, torch.arange(100))
