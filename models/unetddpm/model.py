"""Diffusion of color, sampled step by step: every seed is another likely coloring.

Network, training and samplers are those of unetddim (models/common/denoiser.py), so one training
serves both. DDPM goes the whole way back, a thousand small steps, each a draw.
"""

from typing import ClassVar

from ..common import denoiser
from ..common.denoiser import Denoiser, Sampler, Steps


class Sampling(denoiser.Sampling):
    presets: ClassVar = {**denoiser.Sampling.presets, "quick": {"steps": 100}}

    steps: Steps = 1000
    sampler: Sampler = "ddpm"


class Model(Denoiser):
    """Ho et al. 2020 (DDPM), with v-prediction and a schedule shifted towards noise."""

    sampling_class = Sampling
    sisters = ("unetddim",)
