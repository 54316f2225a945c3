"""Diffusion of colour, sampled by DDIM: every seed is another likely colouring.

A U-Net denoises standardised ab at a quarter of the resolution, with L beside it folded into
channels. At that size neighbouring pixels no longer repeat each other, so the network learns at
the noisy steps, where hues are decided, and sampling is cheap. A small network then brings the
colour to full size along the edges of L.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, Noise, OnStep

from ..common.blocks import ConvexUpsample, conv3, zeroed
from ..common.diffusion import Schedule, TimeEmbedding, ddim
from ..common.unet import Blocks, Fold, UNet, Widths


class Sampling(colorizer.Sampling):
    steps: int = Field(50, ge=1, le=1000, description="of the sampler")
    # Some fresh noise at each step mends what a short training got wrong; chosen on validation
    # pictures among 0, 0.5, 0.8 and 1 (LPIPS .156, .146, .145, .148).
    eta: float = Field(0.8, ge=0, le=1, description="fresh noise: 0 deterministic, 1 ancestral")


class Model(Colorizer):
    """Song et al. 2021 (DDIM), with v-prediction and a schedule shifted towards noise."""

    stochastic = True
    sampling_class = Sampling

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 192],
        blocks: Blocks = 2,
        fold: Fold = 4,
        timesteps: Annotated[int, Field(ge=10, le=4000, description="T, in training")] = 1000,
        shift: Annotated[float, Field(gt=0, description="of the schedule, towards noise")] = 3.0,
        dropout: Annotated[float, Field(ge=0, le=0.5, description="in residual blocks")] = 0.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        self.schedule = Schedule(timesteps, shift)
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, timesteps)
        inputs = fold**2 + self.channels
        self.trunk = UNet(inputs, widths, blocks, embedding=embedding, dropout=dropout)
        self.velocity = zeroed(conv3(widths[0], self.channels))
        self.edges = nn.Sequential(
            conv3(fold**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
        )
        self.upsample = ConvexUpsample(widths[0], fold)

    def forward(self, x: Tensor, t: Tensor, folded: Tensor) -> Tensor:
        """v for noisy colour x_t (B, C, h, w) at t (B,), given L folded (B, fold², h, w)."""
        velocity: Tensor = self.velocity(self.trunk(torch.cat([x, folded], 1), self.time(t)))
        return velocity

    def fold_lightness(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → (B, fold², H/fold, W/fold)."""
        return F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)

    def sharpen(self, coarse: Tensor, folded: Tensor) -> Tensor:
        """Standardised colour at the denoiser's size → at full size, along the edges of L."""
        return self.upsample(coarse, self.edges(folded))

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        folded = self.fold_lightness(lightness)
        shape = (self.channels, *folded.shape[2:])

        def report(step: int, steps: int, coarse: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, self.unstandardize(self.sharpen(coarse, folded)))

        coarse = ddim(
            lambda x, t: self(x, t, folded),
            self.schedule,
            noise(*shape),
            lambda: noise(*shape),
            steps=sampling.steps,
            eta=sampling.eta,
            limit=float(self.color_limit),
            on_step=report if on_step is not None else None,
        )
        return self.unstandardize(self.sharpen(coarse, folded))
