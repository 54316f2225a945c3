"""The way back, with an oracle that knows x_0: right all along the way, not only at its end, which
hides a wrong sampler. Single steps are compared with diffusers, in float64."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_ddpm import rescale_zero_terminal_snr
from torch import Tensor

from models.common.diffusion import (
    Level,
    Prediction,
    Schedule,
    betas_of,
    diffuse,
    noise_schedule,
    of_betas,
    x0_of,
)
from models.common.samplers import (
    Draw,
    Estimate,
    SamplerName,
    ddim_step,
    ddpm_step,
    denoise,
    dpmpp_step,
    dynamic_threshold,
    ended_at,
    guided,
    leading_timesteps,
    static_threshold,
    step_of,
    timesteps_of,
    trailing_timesteps,
)

SAMPLERS: list[Any] = [
    pytest.param("ddpm", 0.0, id="ddpm"),
    pytest.param("ddim", 0.0, id="ddim 0"),
    pytest.param("ddim", 0.5, id="ddim 0.5"),
    pytest.param("ddim", 1.0, id="ddim 1"),
    pytest.param("dpmpp", 0.0, id="dpmpp"),
]
PREDICTIONS = {"v": "v_prediction", "epsilon": "epsilon", "x0": "sample"}
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "linear": ({"name": "linear"}, {"beta_schedule": "linear"}),
    "cosine": ({"name": "cosine", "offset": 0.008}, {"beta_schedule": "squaredcos_cap_v2"}),
    "sigmoid": ({"name": "sigmoid"}, {"beta_schedule": "sigmoid"}),
    "linear to zero": (
        {"name": "linear", "zero_terminal": True},
        {"beta_schedule": "linear", "rescale_betas_zero_snr": True},
    ),
}
T = 1000


def levels_of(alpha_bar: Tensor, timesteps: list[int]) -> list[Level]:
    """Levels of one image in float64, and below the last timestep that of no noise."""
    values = [*alpha_bar[timesteps], alpha_bar.new_ones(())]
    return [
        (value.sqrt().reshape(1, 1, 1, 1), (1 - value).sqrt().reshape(1, 1, 1, 1))
        for value in values
    ]


# ---- against diffusers ---------------------------------------------------------------------------


@pytest.fixture(params=PUBLISHED)
def schedule(request: pytest.FixtureRequest) -> tuple[Tensor, dict[str, Any]]:
    """ᾱ of ours, and the arguments that make it in diffusers."""
    ours, theirs = PUBLISHED[request.param]
    return noise_schedule(steps=T, **{"zero_terminal": False, **ours}), theirs


@pytest.fixture(params=PREDICTIONS)
def prediction(request: pytest.FixtureRequest) -> Prediction:
    name: Prediction = request.param
    return name


def reference(cls: type, theirs: dict[str, Any], prediction: Prediction, steps: int) -> Any:
    """A scheduler of diffusers, its ᾱ multiplied up in float64.

    Its own float32 loses 1 - ᾱ at small t to cancellation, by more than is compared here.
    """
    named = DDPMScheduler(num_train_timesteps=T, beta_schedule=theirs["beta_schedule"])
    betas = named.betas.double()
    if theirs.get("rescale_betas_zero_snr"):
        betas = rescale_zero_terminal_snr(betas)
    scheduler = cls(
        num_train_timesteps=T,
        prediction_type=PREDICTIONS[prediction],
        timestep_spacing="trailing",
        **({} if cls is DPMSolverMultistepScheduler else {"clip_sample": False}),
    )
    scheduler.alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == trailing_timesteps(T, steps)
    if cls is DPMSolverMultistepScheduler:
        scheduler.sigmas = scheduler.sigmas.double()
    return scheduler


def pair(seed: int) -> tuple[Tensor, Tensor]:
    """Any x_t and any answer of a network to it."""
    generator = torch.Generator().manual_seed(seed)
    x, answer = torch.randn(2, 1, 2, 4, 4, dtype=torch.float64, generator=generator)
    return x, answer


def generator_and_draw(seed: int) -> tuple[torch.Generator, Draw]:
    """The same noise for theirs and for ours."""
    mine = torch.Generator().manual_seed(seed)
    return torch.Generator().manual_seed(seed), lambda: torch.randn(
        1, 2, 4, 4, dtype=torch.float64, generator=mine
    )


def require_equal(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("steps", [20, T])
def test_a_step_of_ddpm_is_that_of_diffusers(
    schedule: tuple[Tensor, dict[str, Any]], prediction: Prediction, steps: int
) -> None:
    alpha_bar, theirs = schedule
    scheduler = reference(DDPMScheduler, theirs, prediction, steps)
    timesteps = trailing_timesteps(T, steps)
    compared = 0
    for index in range(0, steps, max(1, steps // 40)):
        now, after = levels_of(alpha_bar, timesteps[index : index + 2])[:2]
        if alpha_bar[timesteps[index]] < 1e-3:
            continue
        x, answer = pair(index)
        generator, draw = generator_and_draw(index)
        ours = ddpm_step(x, x0_of(prediction, answer, x, *now), now, after, draw)
        step = scheduler.step(answer, timesteps[index], x, generator=generator)
        require_equal(ours, step.prev_sample)
        compared += 1
    assert compared >= 15


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [20, T])
def test_a_step_of_ddim_is_that_of_diffusers(
    schedule: tuple[Tensor, dict[str, Any]], prediction: Prediction, steps: int, eta: float
) -> None:
    alpha_bar, theirs = schedule
    scheduler = reference(DDIMScheduler, theirs, prediction, steps)
    timesteps = trailing_timesteps(T, steps)
    compared = 0
    for index in range(0, steps, max(1, steps // 40)):
        now, after = levels_of(alpha_bar, timesteps[index : index + 2])[:2]
        if alpha_bar[timesteps[index]] < 1e-3:
            continue
        x, answer = pair(index)
        generator, draw = generator_and_draw(index)
        ours = ddim_step(x, x0_of(prediction, answer, x, *now), now, after, draw, eta)
        step = scheduler.step(answer, timesteps[index], x, eta=eta, generator=generator)
        require_equal(ours, step.prev_sample)
        compared += 1
    assert compared >= 15


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs
@pytest.mark.parametrize("steps", [20, 200])
def test_a_step_of_dpm_solver_is_that_of_diffusers(
    schedule: tuple[Tensor, dict[str, Any]], prediction: Prediction, steps: int
) -> None:
    alpha_bar, theirs = schedule
    scheduler = reference(DPMSolverMultistepScheduler, theirs, prediction, steps)
    timesteps = trailing_timesteps(T, steps)
    levels = levels_of(alpha_bar, timesteps)
    before: Estimate | None = None
    compared = 0
    for index, t in enumerate(timesteps[:-1]):
        x, answer = pair(index)
        now = Estimate(x0_of(prediction, answer, x, *levels[index]), levels[index])
        step = scheduler.step(answer, t, x)
        known = before is not None and before.level[0] ** 2 >= 1e-3
        if known:
            ours = dpmpp_step(x, now.x0, now.level, levels[index + 1], before)
            require_equal(ours, step.prev_sample)
            compared += 1
        before = now
    assert compared >= 14


def test_thresholds_are_those_of_diffusers() -> None:
    x0 = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    x0 *= torch.tensor([0.1, 0.5, 2.0, 3.0])[:, None, None, None]
    scheduler = DDPMScheduler(thresholding=True, sample_max_value=100.0)
    torch.testing.assert_close(dynamic_threshold(x0, 1.0), scheduler._threshold_sample(x0))
    assert torch.equal(dynamic_threshold(x0, 1.0)[0], x0[0])  # nothing exceeds the limit
    torch.testing.assert_close(dynamic_threshold(x0, 2.5), 2.5 * dynamic_threshold(x0 / 2.5, 1.0))
    assert torch.equal(static_threshold(x0, 1.5), x0.clamp(-1.5, 1.5))
    for threshold in (static_threshold, dynamic_threshold):  # each image by itself
        assert torch.equal(threshold(x0, 1.0)[2:3], threshold(x0[2:3], 1.0))


# ---- which steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 10, 50, 333, 1000])
def test_trailing_timesteps_start_at_the_end(steps: int) -> None:
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
def test_a_sampling_cut_short_ends_at_sigma_min_however_many_its_steps(steps: int) -> None:
    schedule = Schedule(noise_schedule("cosine", T, shift=2.0))
    ratios = schedule.sigma / schedule.alpha
    last = schedule.first_of(0.7)
    assert ratios[last - 1] < 0.7 <= ratios[last]
    whole = trailing_timesteps(T, steps)
    assert ended_at(schedule.first_of(0), whole) == whole
    short = ended_at(last, whole)
    assert short[:-1] == whole[: len(short) - 1]  # as long as they go, they go the same way
    assert short[-1] == max(last, whole[-1])
    assert ended_at(schedule.first_of(1e9), whole) == [T - 1]


# ---- the whole way, with an oracle ---------------------------------------------------------------


def test_steps_without_noise_agree_where_they_must() -> None:
    """Without an earlier estimate, or with an equal one, DPM-Solver++ is DDIM with η = 0."""
    levels = levels_of(noise_schedule("cosine", T, shift=2.0), [999, 700, 400, 100])
    x, x0 = pair(0)
    for before, (now, after) in zip(levels, pairwise(levels[1:-1]), strict=False):
        ddim = ddim_step(x, x0, now, after, lambda: x, 0.0)
        torch.testing.assert_close(dpmpp_step(x, x0, now, after, None), ddim)
        torch.testing.assert_close(dpmpp_step(x, x0, now, after, Estimate(x0, before)), ddim)


@pytest.mark.parametrize("steps", [2, 10, 50, 333, 1000])
def test_ddpm_is_ddim_with_all_of_the_noise(steps: int) -> None:
    """From each step to the next, up to the last, to no noise; the first begins at none of x_0."""
    levels = levels_of(noise_schedule("cosine", T, shift=3.0), trailing_timesteps(T, steps))
    x, x0 = pair(0)
    for now, after in pairwise(levels):
        ddpm = ddpm_step(x, x0, now, after, lambda: x.flip(3))
        ddim = ddim_step(x, x0, now, after, lambda: x.flip(3), eta=1.0)
        torch.testing.assert_close(ddpm, ddim, rtol=1e-7, atol=1e-8)


def walk(
    estimate: Callable[[Tensor, Level], Tensor],
    alpha_bar: Tensor,
    sampler: SamplerName,
    eta: float,
    *,
    shape: tuple[int, ...],
    timesteps: list[int],
    start: Callable[[Tensor, Level], Tensor] = lambda noise, level: noise,
) -> tuple[Tensor, list[tuple[Tensor, Level]]]:
    """→ the end of a sampler's way from seeded noise, and each x_t on it with its level."""
    generator = torch.Generator().manual_seed(0)
    schedule = Schedule(alpha_bar)
    visited = []

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator)

    def look(x: Tensor, t: Tensor) -> Tensor:
        visited.append((x, schedule.at(t)))
        return estimate(x, schedule.at(t))

    first = start(draw(), schedule.at(torch.tensor([timesteps[0]])))
    told: list[tuple[int, int, Tensor, Tensor]] = []
    end = denoise(
        look,
        schedule,
        first,
        step_of(sampler, draw, eta),
        timesteps=timesteps,
        on_step=lambda *words: told.append(words),
    )
    # What is told of is the way itself, from the noise to the end.
    steps = len(timesteps)
    assert [words[:2] for words in told] == [(step, steps) for step in range(1, steps + 1)]
    assert all(state is x for (*_, state, _), (x, _) in zip(told, visited, strict=True))
    assert told[0][2] is first
    assert told[-1][3] is end
    return end, visited


def require_right_noise(visited: list[tuple[Tensor, Level]], x0: Tensor) -> None:
    """x_t = α x_0 + σ ε with ε unit normal and independent of x_0, which has unit deviation."""
    for x, (alpha, sigma) in visited:
        assert x.std() == pytest.approx(1.0, abs=0.02)
        correlation = torch.corrcoef(torch.stack([x.flatten(), x0.flatten()]))[0, 1]
        assert correlation == pytest.approx(float(alpha[0]), abs=0.03)
        assert ((x - alpha * x0) / sigma).std() == pytest.approx(1.0, abs=0.03)


ORACLE = (64, 1, 16, 16)


@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_with_an_oracle_the_spread_is_right_at_every_step(
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
def test_the_spread_is_right_under_every_schedule(
    published: str, spacing: Any, sampler: SamplerName, eta: float
) -> None:
    """From x_T as training knows it, since leading steps begin where some signal should be."""
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


def best_estimate(x: Tensor, level: Level) -> Tensor:
    """E[x_0 | x_t] for x_0 ~ N(0.7, 0.5²)."""
    alpha, sigma = level
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    return MEAN + gain * (x - alpha * MEAN)


@pytest.mark.parametrize(
    ("sampler", "eta", "steps"),
    [("ddpm", 0, 500), ("ddim", 0, 100), ("ddim", 0.5, 200), ("ddim", 1, 500), ("dpmpp", 0, 50)],
)
@pytest.mark.parametrize("published", ["linear to zero", "cosine"])
def test_the_sampler_reaches_a_gaussian_posterior(
    published: str, sampler: SamplerName, eta: float, steps: int
) -> None:
    """Of 32,768 samples of N(0.7, 0.5²), mean and deviation are right to 0.02."""
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
    """Of x at the least noise, against the exact solution of the ODE, in steps even in λ."""
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
    # The flow keeps how many deviations of x_t a point is off its mean.
    spread, spread_s = (
        torch.sqrt((a * STD) ** 2 + s**2) for a, s in ((alpha, sigma), (alpha_s, sigma_s))
    )
    exact = alpha_s * MEAN + spread_s / spread * (first - alpha * MEAN)
    return float((last - exact).abs().max())


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpmpp", 2)])
def test_the_order_of_the_deterministic_samplers(sampler: SamplerName, order: int) -> None:
    """Twice the steps, half the error of DDIM and a quarter of that of DPM-Solver++(2M)."""
    ratio = error_of(sampler, 20) / error_of(sampler, 40)
    assert ratio == pytest.approx(2**order, rel=0.2)


# ---- respacing -----------------------------------------------------------------------------------


def test_ddpm_in_all_steps_is_the_chain_of_ho_et_al() -> None:
    """Their algorithm 2 with eq. 6, 7 and 15, in their own symbols, with the same noise."""
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
    wider = of_betas(betas_of(alpha_bar[timesteps[::-1]]))
    way = partial(walk, best_estimate, shape=(2, 1, 4, 4), sampler=sampler, eta=eta)
    few, _ = way(alpha_bar=alpha_bar, timesteps=timesteps)
    all_of_wider, _ = way(alpha_bar=wider, timesteps=list(range(25))[::-1])
    torch.testing.assert_close(few, all_of_wider)


# ---- guidance ------------------------------------------------------------------------------------


def test_guidance_of_any_prediction_is_guidance_of_x0() -> None:
    level = levels_of(noise_schedule("cosine", T), [600])[0]
    x, seen = pair(0)
    unseen = pair(1)[1]
    assert torch.equal(guided(seen, unseen, 0.0), unseen)
    torch.testing.assert_close(guided(seen, unseen, 1.0), seen)
    for prediction in PREDICTIONS:
        kind: Any = prediction
        estimates = [x0_of(kind, answer, x, *level) for answer in (seen, unseen)]
        torch.testing.assert_close(
            x0_of(kind, guided(seen, unseen, 3.0), x, *level), guided(*estimates, 3.0)
        )
