"""The network and the objective that the diffusion models share; they differ in their samplers.

A U-Net denoises standardised ab at a quarter of the resolution, with L beside it folded into
channels. At that size neighbouring pixels no longer repeat each other, so the network learns at
the noisy steps, where hues are decided, and sampling is cheap. A small network then brings the
colour to full size along the edges of L.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer, recipe
from benchmark.colorizer import Colorizer, ColorSpace, Noise, OnStep
from benchmark.recipe import Batch, Randomness

from .blocks import ConvexUpsample, conv3, zeroed
from .diffusion import (
    Level,
    Schedule,
    TimeEmbedding,
    denoise,
    diffuse,
    stratified_timesteps,
    v_of,
)
from .losses import huber, mse
from .unet import Blocks, Fold, UNet, Widths


class Sampling(colorizer.Sampling):
    """What can be chosen of any sampler."""

    presets: ClassVar = {"tiny": {"steps": 20}}

    steps: int = Field(50, ge=1, le=1000, description="of the sampler")

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 20)})


class Denoiser(Colorizer):
    """Predicts v (Salimans and Ho 2022) under a schedule shifted towards noise."""

    stochastic = True

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
        self.upsample = ConvexUpsample(widths[0], fold, color_space, skip=fold**2)

    def forward(self, x: Tensor, t: Tensor, folded: Tensor) -> Tensor:
        """v for noisy colour x_t (B, C, h, w) at t (B,), given L folded (B, fold², h, w)."""
        velocity: Tensor = self.velocity(self.trunk(torch.cat([x, folded], 1), self.time(t)))
        return velocity

    def fold_lightness(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → (B, fold², H/fold, W/fold)."""
        return F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)

    def sharpen(self, coarse: Tensor, folded: Tensor) -> Tensor:
        """Standardised colour at the denoiser's size → at full size, along the edges of L."""
        return self.upsample(coarse, self.edges(folded), folded)

    @abstractmethod
    def step(
        self,
        x: Tensor,
        x0: Tensor,
        now: Level,
        after: Level,
        draw: Callable[[], Tensor],
        sampling: Any,
    ) -> Tensor:
        """x_s from x_t and the estimate of x_0: one step of the model's sampler."""

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        folded = self.fold_lightness(lightness)
        shape = (self.channels, *folded.shape[2:])

        def draw() -> Tensor:
            return noise(*shape)

        def report(step: int, steps: int, coarse: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, self.unstandardize(self.sharpen(coarse, folded)))

        coarse = denoise(
            lambda x, t: self(x, t, folded),
            self.schedule,
            draw(),
            lambda x, x0, now, after: self.step(x, x0, now, after, draw, sampling),
            steps=sampling.steps,
            limit=float(self.color_limit),
            on_step=report if on_step is not None else None,
        )
        return self.unstandardize(self.sharpen(coarse, folded))


class DenoiserSettings(recipe.Settings):
    """What can be set of the training that the diffusion models share."""

    presets: ClassVar[recipe.Presets] = {
        "tiny": {"widths": [16, 32], "shift": 1.5, "learning_rate": 3e-3},
        # At an eighth of the resolution: coherent after two minutes, where a quarter has speckle.
        "quick": {"epochs": 12, "widths": [48, 96], "fold": 8, "shift": 2.0},
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
    }

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")


def denoising_losses(model: Denoiser, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
    """v at random noise levels, by squared error; and true coarse colour sharpened, by Huber."""
    fine = model.target(batch.rgb)
    coarse = F.avg_pool2d(fine, model.fold)
    folded = model.fold_lightness(batch.lightness)
    t = stratified_timesteps(rng.uniform(len(fine)), model.schedule.steps)
    alpha, sigma = model.schedule.at(t)
    noise = rng.normal(*coarse.shape)
    v = model(diffuse(coarse, noise, alpha, sigma), t, folded)
    return {
        "velocity": mse(v, v_of(coarse, noise, alpha, sigma)),
        # Nothing the denoiser learns depends on this: the two share no weights.
        "sharpen": huber(model.sharpen(coarse, folded), fine),
    }
