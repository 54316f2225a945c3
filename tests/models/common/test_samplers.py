"""The reverse process with an oracle that knows x_0.

The noise must be right at every step, since the final image alone does not reveal a wrong sampler.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from models.common.diffusion import (
    NoiseLevel,
    Schedule,
    alpha_bar_of,
    betas_of,
    diffuse,
    noise_schedule,
    x0_of,
)
from models.common.samplers import (
    Estimate,
    SamplerName,
    ddim_step,
    ddpm_step,
    denoise,
    dpmpp_step,
    end_at,
    guided,
    leading_timesteps,
    step_of,
    timesteps_of,
    trailing_timesteps,
)
from tests.models.common.support import PREDICTIONS, PUBLISHED, T, levels_of, pair

SAMPLERS: list[Any] = [
    pytest.param("ddpm", 0.0, id="ddpm"),
    pytest.param("ddim", 0.0, id="ddim 0"),
    pytest.param("ddim", 0.5, id="ddim 0.5"),
    pytest.param("ddim", 1.0, id="ddim 1"),
    pytest.param("dpmpp", 0.0, id="dpmpp"),
]


# ---- timesteps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 10, 50, 333, 1000])
def test_trailing_timesteps_start_at_the_last_timestep(steps: int) -> None:
    timesteps = trailing_timesteps(1000, steps)
    assert timesteps[0] == 999
    assert len(set(timesteps)) == steps
    assert timesteps == sorted(timesteps, reverse=True)
    assert timesteps[-1] >= 0


@pytest.mark.parametrize("steps", [1, 3, 10, 50, 333, 1000])
def test_leading_timesteps_are_those_of_diffusers(steps: int) -> None:
    scheduler = DDIMScheduler(timestep_spacing="leading")
    scheduler.set_timesteps(steps)
    assert leading_timesteps(1000, steps) == scheduler.timesteps.tolist()
    assert leading_timesteps(1000, steps)[-1] == 0


@pytest.mark.parametrize("steps", [1, 3, 10, 50, 1000])
def test_a_shortened_sampling_ends_at_sigma_min_for_any_number_of_steps(steps: int) -> None:
    schedule = Schedule(noise_schedule("cosine", T, shift=2.0))
    ratios = schedule.sigma / schedule.alpha
    last = schedule.first_of(0.7)
    assert ratios[last - 1] < 0.7 <= ratios[last]
    whole = trailing_timesteps(T, steps)
    assert end_at(schedule.first_of(0), whole) == whole
    short = end_at(last, whole)
    assert short[:-1] == whole[: len(short) - 1]  # the same timesteps up to the last one
    assert short[-1] == max(last, whole[-1])
    assert end_at(schedule.first_of(1e9), whole) == [T - 1]


# ---- the whole reverse process, with an oracle ---------------------------------------------------


def test_dpm_solver_without_a_new_estimate_is_deterministic_ddim() -> None:
    """Without a previous estimate, or with an equal one, DPM-Solver++ is DDIM with η = 0."""
    levels = levels_of(noise_schedule("cosine", T, shift=2.0), [999, 700, 400, 100])
    x, x0 = pair(0)
    for before, (now, after) in zip(levels, pairwise(levels[1:-1]), strict=False):
        ddim = ddim_step(x, x0, now, after, lambda: x, 0.0)
        torch.testing.assert_close(dpmpp_step(x, x0, now, after, None), ddim)
        torch.testing.assert_close(dpmpp_step(x, x0, now, after, Estimate(x0, before)), ddim)


@pytest.mark.parametrize("steps", [2, 10, 50, 333, 1000])
def test_ddpm_is_ddim_with_eta_1(steps: int) -> None:
    """From each step to the next, from pure noise to no noise."""
    levels = levels_of(noise_schedule("cosine", T, shift=3.0), trailing_timesteps(T, steps))
    x, x0 = pair(0)
    for now, after in pairwise(levels):
        ddpm = ddpm_step(x, x0, now, after, lambda: x.flip(3))
        ddim = ddim_step(x, x0, now, after, lambda: x.flip(3), eta=1.0)
        torch.testing.assert_close(ddpm, ddim, rtol=1e-7, atol=1e-8)


def walk(
    estimate: Callable[[Tensor, NoiseLevel], Tensor],
    alpha_bar: Tensor,
    sampler: SamplerName,
    eta: float,
    *,
    shape: tuple[int, ...],
    timesteps: list[int],
    start: Callable[[Tensor, NoiseLevel], Tensor] = lambda noise, level: noise,
) -> tuple[Tensor, list[tuple[Tensor, NoiseLevel]]]:
    """Return a sampler's result from seeded noise, and every intermediate x_t with its level."""
    generator = torch.Generator().manual_seed(0)
    schedule = Schedule(alpha_bar)
    visited = []

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator)

    def watched(x: Tensor, t: Tensor) -> Tensor:
        visited.append((x, schedule.at(t)))
        return estimate(x, schedule.at(t))

    first = start(draw(), schedule.at(torch.tensor([timesteps[0]])))
    calls: list[tuple[int, int, Tensor, Tensor]] = []
    end = denoise(
        watched,
        schedule,
        first,
        step_of(sampler, draw, eta),
        timesteps=timesteps,
        on_step=lambda *call: calls.append(call),
    )
    # The states and the last estimate that on_step gets are those of the process itself.
    steps = len(timesteps)
    assert [call[:2] for call in calls] == [(step, steps) for step in range(1, steps + 1)]
    assert all(state is x for (*_, state, _), (x, _) in zip(calls, visited, strict=True))
    assert calls[0][2] is first
    assert calls[-1][3] is end
    return end, visited


def require_right_noise(visited: list[tuple[Tensor, NoiseLevel]], x0: Tensor) -> None:
    """Require x_t = α x_0 + σ ε with ε ~ N(0, 1) independent of x_0, which has deviation 1."""
    for x, (alpha, sigma) in visited:
        assert x.std() == pytest.approx(1.0, abs=0.02)
        correlation = torch.corrcoef(torch.stack([x.flatten(), x0.flatten()]))[0, 1]
        assert correlation == pytest.approx(float(alpha[0]), abs=0.03)
        assert ((x - alpha * x0) / sigma).std() == pytest.approx(1.0, abs=0.03)


ORACLE = (64, 1, 16, 16)


@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_with_an_oracle_the_noise_is_right_at_every_step(
    sampler: SamplerName, eta: float, steps: int
) -> None:
    x0 = torch.randn(ORACLE, generator=torch.Generator().manual_seed(1))
    timesteps = trailing_timesteps(1000, steps)
    alpha_bar = noise_schedule("cosine", 1000, shift=2.0)
    end, visited = walk(
        lambda x, level: x0, alpha_bar, sampler, eta, shape=ORACLE, timesteps=timesteps
    )
    assert torch.equal(end, x0)
    assert len(visited) == steps
    require_right_noise(visited, x0)


@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
@pytest.mark.parametrize("published", PUBLISHED)
def test_the_noise_is_right_under_every_schedule(
    published: str, spacing: Any, sampler: SamplerName, eta: float
) -> None:
    """Starts from a noised x_0, since leading timesteps begin where some signal is left."""
    x0 = torch.randn(ORACLE, generator=torch.Generator().manual_seed(1))
    alpha_bar = noise_schedule(steps=T, **{"zero_terminal": False, **PUBLISHED[published][0]})
    _, visited = walk(
        lambda x, level: x0,
        alpha_bar,
        sampler,
        eta,
        shape=ORACLE,
        timesteps=timesteps_of(spacing, T, 20),
        start=lambda noise, level: diffuse(x0, noise, *level),
    )
    require_right_noise(visited, x0)


MEAN, STD = 0.7, 0.5


def best_estimate(x: Tensor, level: NoiseLevel) -> Tensor:
    """Return E[x_0 | x_t] for x_0 ~ N(0.7, 0.5²)."""
    alpha, sigma = level
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    return MEAN + gain * (x - alpha * MEAN)


@pytest.mark.parametrize(
    ("sampler", "eta", "steps"),
    [("ddpm", 0, 500), ("ddim", 0, 100), ("ddim", 0.5, 200), ("ddim", 1, 500), ("dpmpp", 0, 50)],
)
@pytest.mark.parametrize("published", ["linear to zero", "cosine"])
def test_samples_have_the_mean_and_deviation_of_a_known_gaussian(
    published: str, sampler: SamplerName, eta: float, steps: int
) -> None:
    """Mean and deviation of 32,768 samples of N(0.7, 0.5²) are accurate to 0.02."""
    alpha_bar = noise_schedule(steps=T, **{"zero_terminal": True, **PUBLISHED[published][0]})
    samples, _ = walk(
        best_estimate,
        alpha_bar,
        sampler,
        eta,
        shape=(32, 1, 32, 32),
        timesteps=trailing_timesteps(T, steps),
    )
    assert samples.mean() == pytest.approx(MEAN, abs=0.02)
    assert samples.std() == pytest.approx(STD, abs=0.02)


def error_of(sampler: SamplerName, steps: int) -> float:
    """Return the error of x at the lowest noise level against the exact solution of the ODE.

    The steps are equal in λ.
    """
    half = torch.linspace(3, -3, steps + 1, dtype=torch.float64)
    alpha_bar = torch.sigmoid(2 * half)
    _, visited = walk(
        best_estimate,
        alpha_bar,
        sampler,
        0.0,
        shape=(1, 1, 8, 8),
        timesteps=list(range(steps, -1, -1)),
    )
    (first, (alpha, sigma)), (last, (alpha_s, sigma_s)) = visited[0], visited[-1]
    # Along the ODE, a point keeps its distance from the mean, measured in deviations of x_t.
    spread, spread_s = (
        torch.sqrt((a * STD) ** 2 + s**2) for a, s in ((alpha, sigma), (alpha_s, sigma_s))
    )
    exact = alpha_s * MEAN + spread_s / spread * (first - alpha * MEAN)
    return float((last - exact).abs().max())


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpmpp", 2)])
def test_deterministic_samplers_have_their_order_of_convergence(
    sampler: SamplerName, order: int
) -> None:
    """Twice the steps give half the error with DDIM and a quarter with DPM-Solver++(2M)."""
    ratio = error_of(sampler, 20) / error_of(sampler, 40)
    assert ratio == pytest.approx(2**order, rel=0.2)


# ---- respacing -----------------------------------------------------------------------------------


def test_ddpm_with_all_steps_is_algorithm_2_of_ho_et_al() -> None:
    """The reference follows eq. 6, 7 and 15 in the symbols of the paper, with the same noise."""
    total = 100
    alpha_bar = noise_schedule("sigmoid", total, zero_terminal=False)
    timesteps = trailing_timesteps(total, total)
    assert timesteps == leading_timesteps(total, total) == list(range(total))[::-1]
    shape = (4, 1, 4, 4)
    ours, _ = walk(best_estimate, alpha_bar, "ddpm", 0, shape=shape, timesteps=timesteps)

    generator = torch.Generator().manual_seed(0)
    beta, before = betas_of(alpha_bar), torch.cat([torch.ones(1), alpha_bar[:-1]])
    x = torch.randn(shape, generator=generator).double()
    for t in timesteps:
        x0 = best_estimate(x, (alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()))
        mean = (
            before[t].sqrt() * beta[t] / (1 - alpha_bar[t]) * x0
            + (1 - beta[t]).sqrt() * (1 - before[t]) / (1 - alpha_bar[t]) * x
        )
        variance = (1 - before[t]) / (1 - alpha_bar[t]) * beta[t]
        x = mean + variance.sqrt() * torch.randn(shape, generator=generator) if t else mean
    torch.testing.assert_close(ours.double(), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
def test_fewer_steps_are_all_steps_of_a_schedule_with_wider_betas(
    sampler: SamplerName, eta: float
) -> None:
    """Nichol and Dhariwal 2021, section 4: β_{S_i} = 1 - ᾱ_{S_i} / ᾱ_{S_{i-1}}."""
    alpha_bar = noise_schedule("linear", T, zero_terminal=False)
    timesteps = trailing_timesteps(T, 25)
    wider = alpha_bar_of(betas_of(alpha_bar[timesteps[::-1]]))
    sample = partial(walk, best_estimate, shape=(2, 1, 4, 4), sampler=sampler, eta=eta)
    few, _ = sample(alpha_bar=alpha_bar, timesteps=timesteps)
    all_of_wider, _ = sample(alpha_bar=wider, timesteps=list(range(25))[::-1])
    torch.testing.assert_close(few, all_of_wider)


# ---- guidance ------------------------------------------------------------------------------------


def test_guidance_of_any_prediction_is_guidance_of_x0() -> None:
    level = levels_of(noise_schedule("cosine", T), [600])[0]
    x, conditional = pair(0)
    unconditional = pair(1)[1]
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)
    torch.testing.assert_close(guided(conditional, unconditional, 1.0), conditional)
    for prediction in PREDICTIONS:
        kind: Any = prediction
        estimates = [x0_of(kind, output, x, *level) for output in (conditional, unconditional)]
        torch.testing.assert_close(
            x0_of(kind, guided(conditional, unconditional, 3.0), x, *level), guided(*estimates, 3.0)
        )
