"""A diffusion model sampled by DDPM in a thousand small steps; each seed gives another coloring.

The network and its training are those of unetddim.
"""

from typing import ClassVar

from ..common.diffusion_options import Sampler, Steps
from ..unetddim import model as unetddim


class Sampling(unetddim.Sampling):
    """The options of unetddim, with the defaults of DDPM."""

    presets: ClassVar = {"quick": {"steps": 50}}

    steps: Steps = 1000
    sampler: Sampler = "ddpm"


class Model(unetddim.Model):
    """The network of unetddim, sampled as in Ho et al. 2020 (DDPM); it reads unetddim's weights."""

    sampling_class = Sampling
    weights_of = "unetddim"
