"""Schedules, noise levels and network outputs for the tests of the samplers."""

from typing import Any

import torch
from torch import Tensor

from models.common.diffusion import NoiseLevel

PREDICTIONS = {"v": "v_prediction", "epsilon": "epsilon", "x0": "sample"}
"""Prediction target → its name in diffusers."""
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "linear": ({"name": "linear"}, {"beta_schedule": "linear"}),
    "cosine": ({"name": "cosine", "offset": 0.008}, {"beta_schedule": "squaredcos_cap_v2"}),
    "sigmoid": ({"name": "sigmoid"}, {"beta_schedule": "sigmoid"}),
    "linear to zero": (
        {"name": "linear", "zero_terminal": True},
        {"beta_schedule": "linear", "rescale_betas_zero_snr": True},
    ),
}
"""Name → arguments of noise_schedule, and arguments that give the same schedule in diffusers."""
T = 1000


def levels_of(alpha_bar: Tensor, timesteps: list[int]) -> list[NoiseLevel]:
    """Return the noise levels (α, σ) of one image in float64; the last one is without noise."""
    values = [*alpha_bar[timesteps], alpha_bar.new_ones(())]
    return [
        (value.sqrt().reshape(1, 1, 1, 1), (1 - value).sqrt().reshape(1, 1, 1, 1))
        for value in values
    ]


def pair(seed: int) -> tuple[Tensor, Tensor]:
    """Return a random x_t and a random network output, float64 (1, 2, 4, 4)."""
    generator = torch.Generator().manual_seed(seed)
    x, output = torch.randn(2, 1, 2, 4, 4, dtype=torch.float64, generator=generator)
    return x, output
