"""The forward process: schedules against papers and diffusers, prediction targets, loss weights."""

import math

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from models.common.diffusion import (
    Prediction,
    Schedule,
    ScheduleName,
    alpha_bar_of,
    betas_of,
    capped,
    cosine,
    diffuse,
    linear,
    loss_weight,
    noise_of_x0,
    noise_schedule,
    require_predictable,
    require_terminal_noise,
    shifted,
    target_of,
    v_of,
    x0_of,
    x0_of_noise,
    x0_of_v,
    zero_terminal_snr,
)

NAMES: list[ScheduleName] = ["cosine", "linear", "sigmoid"]
PREDICTIONS: list[Prediction] = ["v", "epsilon", "x0"]


def log_snr(alpha_bar: Tensor) -> Tensor:
    return alpha_bar.log() - (1 - alpha_bar).log()


@pytest.mark.parametrize("zero_terminal", [True, False])
@pytest.mark.parametrize("steps", [10, 350, 1000, 4000])
@pytest.mark.parametrize("name", NAMES)
def test_noise_grows_at_every_step(name: ScheduleName, steps: int, zero_terminal: bool) -> None:
    alpha_bar = noise_schedule(name, steps, offset=0, shift=2.0, zero_terminal=zero_terminal)
    assert alpha_bar.shape == (steps,)
    assert (alpha_bar.diff() < 0).all()
    assert 0 < alpha_bar[0] < 1
    assert (alpha_bar[-1] == 0) == zero_terminal
    schedule = Schedule(alpha_bar)
    torch.testing.assert_close(schedule.alpha**2 + schedule.sigma**2, torch.ones(steps))
    assert (schedule.sigma > 0).all()


@pytest.mark.parametrize(
    ("name", "offset", "theirs"),
    [("linear", 0, "linear"), ("cosine", 0.008, "squaredcos_cap_v2"), ("sigmoid", 0, "sigmoid")],
)
@pytest.mark.parametrize("steps", [100, 1000])
def test_published_schedules_are_those_of_diffusers(
    name: ScheduleName, offset: float, theirs: str, steps: int
) -> None:
    ours = noise_schedule(name, steps, offset=offset, zero_terminal=False)
    reference = DDPMScheduler(num_train_timesteps=steps, beta_schedule=theirs).alphas_cumprod
    compared = ours >= 1e-3
    torch.testing.assert_close(ours[compared], reference.double()[compared], rtol=1e-5, atol=0)
    assert ours[-1].sqrt() == pytest.approx(float(reference[-1].sqrt()), rel=1e-3)


def test_zero_terminal_snr_is_that_of_diffusers() -> None:
    reference = DDPMScheduler(beta_schedule="linear", rescale_betas_zero_snr=True).alphas_cumprod
    ours = noise_schedule("linear", 1000, zero_terminal=True)
    compared = ours >= 1e-3
    torch.testing.assert_close(ours[compared], reference.double()[compared], rtol=1e-5, atol=0)
    assert ours[-1] == 0
    assert ours[0] == pytest.approx(float(linear(1000)[0]), rel=1e-12)
    torch.testing.assert_close(zero_terminal_snr(cosine(1000)), cosine(1000))  # ends in 0 already


def test_betas_convert_to_alpha_bar_and_back_and_are_capped() -> None:
    alpha_bar = cosine(100, 0.008)
    torch.testing.assert_close(alpha_bar_of(betas_of(alpha_bar)), alpha_bar)
    limited = capped(alpha_bar)
    assert betas_of(limited).max() == pytest.approx(0.999)
    torch.testing.assert_close(limited[:-1], alpha_bar[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_moves_the_log_signal_to_noise_ratio(name: ScheduleName) -> None:
    plain = noise_schedule(name, 1000)
    moved = log_snr(plain)[:-1] - log_snr(shifted(plain, 3.0))[:-1]
    torch.testing.assert_close(moved, torch.full_like(moved, 2 * math.log(3)))


@pytest.mark.parametrize(("steps", "left"), [(350, 0.170), (500, 0.080), (1000, 0.0064)])
def test_a_schedule_that_ends_with_signal_is_refused_with_the_remedy(
    steps: int, left: float
) -> None:
    """The linear schedule of Ho et al. is made for 1000 steps; some recipes use fewer."""
    alpha_bar = noise_schedule("linear", steps, zero_terminal=False)
    assert alpha_bar[-1].sqrt() == pytest.approx(left, rel=0.02)
    if left > 0.03:
        with pytest.raises(ValueError, match="zero_terminal=true"):
            require_terminal_noise(alpha_bar)
    else:
        require_terminal_noise(alpha_bar)
    require_terminal_noise(noise_schedule("linear", steps, zero_terminal=True))


def test_predicting_noise_is_refused_if_the_last_step_has_no_signal() -> None:
    with pytest.raises(ValueError, match="zero_terminal=false"):
        require_predictable("epsilon", noise_schedule("cosine", 100))
    require_predictable("epsilon", noise_schedule("cosine", 100, zero_terminal=False))
    require_predictable("x0", noise_schedule("cosine", 100))


def noised(count: int = 64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return x_0, ε, x_t, α and σ at random steps, in float64."""
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, count, 2, 4, 4, dtype=torch.float64, generator=generator)
    alpha_bar = noise_schedule("cosine", 1000, shift=2.0)
    t = torch.randint(0, 999, (count,), generator=generator)
    alpha, sigma = (
        part[t][:, None, None, None] for part in (alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
    )
    return x0, noise, diffuse(x0, noise, alpha, sigma), alpha, sigma


def test_predictions_convert_into_each_other() -> None:
    x0, noise, x, alpha, sigma = noised()
    v = v_of(x0, noise, alpha, sigma)
    close = torch.testing.assert_close
    close(x0_of_v(x, v, alpha, sigma), x0)
    close(x0_of_noise(x, noise, alpha, sigma), x0, rtol=1e-9, atol=1e-9)
    close(noise_of_x0(x, x0, alpha, sigma), noise, rtol=1e-9, atol=1e-9)
    for prediction in PREDICTIONS:
        target = target_of(prediction, x0, noise, alpha, sigma)
        close(x0_of(prediction, target, x, alpha, sigma), x0, rtol=1e-9, atol=1e-9)


def test_min_snr_weights_an_error_of_x0_equally_for_every_prediction() -> None:
    """A wrong x_0 has different errors in v and ε, but the same error weighted by min(SNR, γ)."""
    x0, noise, x, alpha, sigma = noised()
    wrong = x0 + 0.1
    outputs = {
        "x0": (wrong, x0),
        "epsilon": (noise_of_x0(x, wrong, alpha, sigma), noise),
        "v": (
            v_of(wrong, noise_of_x0(x, wrong, alpha, sigma), alpha, sigma),
            v_of(x0, noise, alpha, sigma),
        ),
    }
    snr = (alpha / sigma) ** 2
    assert snr.min() < 5 < snr.max()
    for prediction in PREDICTIONS:
        output, target = outputs[prediction]
        weight = loss_weight(prediction, "min-snr", alpha, sigma, gamma=5.0)
        expected = (snr.clamp(max=5) * 0.01).expand_as(x0)
        torch.testing.assert_close(weight * (output - target) ** 2, expected)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_no_weight_is_below_the_floor(prediction: Prediction) -> None:
    schedule = Schedule(noise_schedule("cosine", 1000))
    alpha, sigma = schedule.at(torch.arange(1000))
    weight = loss_weight(prediction, "min-snr", alpha, sigma, floor=0.1)
    assert weight.isfinite().all()
    assert weight.min() == pytest.approx(0.1)
    plain = loss_weight(prediction, "uniform", alpha, sigma, floor=0.1)
    assert torch.equal(plain, torch.ones_like(alpha))


def test_each_timestep_has_an_equal_part_of_the_times() -> None:
    schedule = Schedule(noise_schedule("cosine", 1000))
    t = schedule.timestep_at((torch.arange(10000) + 0.5) / 10000)
    assert torch.equal(t.bincount(), torch.full((1000,), 10))
