"""Diffusion of colour, sampled step by step: every seed is another likely colouring.

Network and training are those of unetddim (models/common/denoiser.py), so one training serves
both. DDPM goes the whole way back, a thousand small steps, each a draw.
"""

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ..common import denoiser
from ..common.denoiser import Denoiser
from ..common.diffusion import Level, ddpm_step


class Sampling(denoiser.Sampling):
    presets: ClassVar = {**denoiser.Sampling.presets, "quick": {"steps": 100}}

    steps: int = Field(1000, ge=1, le=1000, description="of the sampler; fewer are spread evenly")


class Model(Denoiser):
    """Ho et al. 2020 (DDPM), with v-prediction and a schedule shifted towards noise."""

    sampling_class = Sampling
    sisters = ("unetddim",)

    def step(
        self,
        x: Tensor,
        x0: Tensor,
        now: Level,
        after: Level,
        draw: Callable[[], Tensor],
        sampling: Sampling,
    ) -> Tensor:
        return ddpm_step(x, x0, now, after, draw)
