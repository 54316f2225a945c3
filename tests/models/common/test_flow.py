"""The mathematics of flow matching, with known velocities."""

import pytest
import torch
from torch import Tensor

from models.common.flow import integrate, interpolate, shifted


def test_the_path_runs_from_the_start_to_the_end() -> None:
    start, end = torch.randn(2, 3, 2, 4, 4)
    torch.testing.assert_close(interpolate(start, end, torch.zeros(3)), start)
    torch.testing.assert_close(interpolate(start, end, torch.ones(3)), end)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_straight_path_is_exact_with_any_number_of_steps(steps: int) -> None:
    center, noise, end = torch.randn(3, 3, 2, 4, 4)
    start, calls = center + 0.4 * noise, []
    reached = integrate(
        lambda z, t: end - start,
        center,
        0.4,
        lambda: noise,
        steps=steps,
        on_step=lambda *call: calls.append(call),
    )
    torch.testing.assert_close(reached, end)
    assert [call[:2] for call in calls] == [(step + 1, steps) for step in range(steps)]
    for step, (*_, state, estimate) in enumerate(calls):
        torch.testing.assert_close(state, start + step / steps * (end - start))
        torch.testing.assert_close(estimate, end)


def test_steps_without_fresh_noise_are_those_of_euler() -> None:
    torch.manual_seed(0)
    center, noise = torch.randn(2, 3, 2, 4, 4)
    weight = torch.randn(2, 2)

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", weight, z).tanh() * (1 + t[:, None, None, None])

    z = center + 0.4 * noise
    for step in range(8):
        z = z + velocity(z, torch.full((3,), step / 8)) / 8
    found = integrate(velocity, center, 0.4, lambda: noise, steps=8)
    torch.testing.assert_close(found, z, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("mean", "std", "spread"), [(0.7, 0.5, 0.5), (-1.0, 1.2, 0.3)])
def test_the_best_velocity_carries_a_gaussian_to_a_gaussian(
    mean: float, std: float, spread: float, eta: float, shift: float
) -> None:
    """For independent z_0 ~ N(0, spread²) and z_1 ~ N(mean, std²), E[z_1 - z_0 | z_t] is known.

    Fresh noise changes the paths, but not the distribution at their end.
    """

    def best(z: Tensor, t: Tensor) -> Tensor:
        time = t[:, None, None, None]
        variance = (1 - time) ** 2 * spread**2 + time**2 * std**2
        gain = (time * std**2 - (1 - time) * spread**2) / variance
        return mean + gain * (z - time * mean)

    generator = torch.Generator().manual_seed(0)
    center = torch.zeros(32, 1, 32, 32)
    draw = lambda: torch.randn(center.shape, generator=generator)  # noqa: E731
    end = integrate(best, center, spread, draw, steps=200, eta=eta, shift=shift)
    assert end.mean() == pytest.approx(mean, abs=0.02)
    assert end.std() == pytest.approx(std, rel=0.02)


def test_a_shift_divides_the_ratio_of_signal_to_noise() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(shifted(t, 1.0), t)
    moved = shifted(t, 3.0)
    assert moved[[0, -1]].tolist() == [0, 1]
    before, after = (x[1:-1] / (1 - x[1:-1]) for x in (t, moved))
    torch.testing.assert_close(after, before / 3)
