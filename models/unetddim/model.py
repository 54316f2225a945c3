"""Diffusion of color, sampled by DDIM: every seed is another likely coloring.

Network, training and samplers are those of unetddpm (models/common/denoiser.py), so one training
serves both. DDIM leaves most steps out, and puts back only a part of the noise that a step takes
away.
"""

from ..common import denoiser
from ..common.denoiser import Denoiser


class Model(Denoiser):
    """Song et al. 2021 (DDIM), with v-prediction and a schedule shifted towards noise."""

    sampling_class = denoiser.Sampling
    sisters = ("unetddpm",)
