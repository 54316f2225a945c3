"""Single steps of the samplers and the thresholds, compared with diffusers in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_ddpm import rescale_zero_terminal_snr
from torch import Tensor

from models.common.diffusion import Prediction, noise_schedule, x0_of
from models.common.samplers import (
    Draw,
    Estimate,
    ddim_step,
    ddpm_step,
    dpmpp_step,
    dynamic_threshold,
    static_threshold,
    trailing_timesteps,
)
from tests.models.common.support import PREDICTIONS, PUBLISHED, T, levels_of, pair


@pytest.fixture(params=PUBLISHED)
def schedule(request: pytest.FixtureRequest) -> tuple[Tensor, dict[str, Any]]:
    """ᾱ of this project, and the arguments that give the same ᾱ in diffusers."""
    ours, theirs = PUBLISHED[request.param]
    return noise_schedule(steps=T, **{"zero_terminal": False, **ours}), theirs


@pytest.fixture(params=PREDICTIONS)
def prediction(request: pytest.FixtureRequest) -> Prediction:
    name: Prediction = request.param
    return name


def reference(cls: type, theirs: dict[str, Any], prediction: Prediction, steps: int) -> Any:
    """Return a scheduler of diffusers whose ᾱ is computed in float64.

    In the float32 of diffusers, 1 - ᾱ at small t loses more digits than the tolerance allows.
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


def generator_and_draw(seed: int) -> tuple[torch.Generator, Draw]:
    """Return a generator for diffusers, and a draw of the same noise for this project."""
    mine = torch.Generator().manual_seed(seed)
    return torch.Generator().manual_seed(seed), lambda: torch.randn(
        1, 2, 4, 4, dtype=torch.float64, generator=mine
    )


def require_equal(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("steps", [20, T])
@pytest.mark.parametrize(
    ("scheduler_class", "step_of_ours", "options"),
    [
        pytest.param(DDPMScheduler, ddpm_step, {}, id="ddpm"),
        pytest.param(DDIMScheduler, ddim_step, {"eta": 0.0}, id="ddim 0"),
        pytest.param(DDIMScheduler, ddim_step, {"eta": 0.5}, id="ddim 0.5"),
        pytest.param(DDIMScheduler, ddim_step, {"eta": 1.0}, id="ddim 1"),
    ],
)
def test_a_step_of_ddpm_or_ddim_is_that_of_diffusers(
    schedule: tuple[Tensor, dict[str, Any]],
    prediction: Prediction,
    scheduler_class: type,
    step_of_ours: Callable[..., Tensor],
    options: dict[str, float],
    steps: int,
) -> None:
    alpha_bar, theirs = schedule
    scheduler = reference(scheduler_class, theirs, prediction, steps)
    timesteps = trailing_timesteps(T, steps)
    compared = 0
    for index in range(0, steps, max(1, steps // 40)):
        now, after = levels_of(alpha_bar, timesteps[index : index + 2])[:2]
        if alpha_bar[timesteps[index]] < 1e-3:
            continue
        x, output = pair(index)
        generator, draw = generator_and_draw(index)
        x0 = x0_of(prediction, output, x, *now)
        ours = step_of_ours(x, x0, now, after, draw, **options)
        step = scheduler.step(output, timesteps[index], x, generator=generator, **options)
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
        x, output = pair(index)
        now = Estimate(x0_of(prediction, output, x, *levels[index]), levels[index])
        step = scheduler.step(output, t, x)
        if before is not None and before.level[0] ** 2 >= 1e-3:
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
    assert torch.equal(dynamic_threshold(x0, 1.0)[0], x0[0])  # no value exceeds the limit
    torch.testing.assert_close(dynamic_threshold(x0, 2.5), 2.5 * dynamic_threshold(x0 / 2.5, 1.0))
    assert torch.equal(static_threshold(x0, 1.5), x0.clamp(-1.5, 1.5))
    for threshold in (static_threshold, dynamic_threshold):  # every image has its own threshold
        assert torch.equal(threshold(x0, 1.0)[2:3], threshold(x0[2:3], 1.0))
