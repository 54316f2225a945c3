"""A regression's color, carried to the data by a short flow: every seed is a likely coloring.

One U-Net answers with the mean of what is likely, as `unet` does. A second one moves that mean,
with some noise, along nearly straight ways to colors as they are. What regression knows need not
be learned again from noise, so a few steps are enough.
"""

from typing import Annotated, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample, conv3, zeroed
from ..common.diffusion import TimeEmbedding
from ..common.flow import follow
from ..common.unet import Blocks, Fold, UNet, Widths


class Sampling(colorizer.Sampling):
    presets: ClassVar = {"tiny": {"steps": 10}}

    steps: int = Field(10, ge=1, le=1000, description="of the flow")

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Model(Colorizer):
    """Ohayon et al. 2025 (posterior-mean rectified flow), on coarse color beside L.

    spread: of the noise added to the mean, in deviations of ab. Without any there would be one
    image for an input; the more, the more of the way has to be learned.
    """

    stochastic = True
    sampling_class = Sampling

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 192],
        blocks: Blocks = 2,
        fold: Fold = 4,
        spread: Annotated[float, Field(gt=0, le=2, description="of the noise at the start")] = 0.5,
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.spread = spread
        self.size_divisor = fold * 2 ** (len(widths) - 1)
        self.regression = UNet(fold**2, widths, blocks)
        self.mean = nn.Conv2d(widths[0], self.channels, 1)
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, 1)
        seen = 2 * self.channels + fold**2  # how far z is from the mean, the mean, L
        self.flow = UNet(seen, widths, blocks, embedding=embedding)
        self.velocity = zeroed(conv3(widths[0], self.channels))
        self.edges = nn.Sequential(
            conv3(fold**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
        )
        self.upsample = ConvexUpsample(widths[0], fold, color_space, skip=fold**2)

    def fold_lightness(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → (B, fold², H/fold, W/fold)."""
        return F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)

    def regress(self, folded: Tensor) -> Tensor:
        """The mean coarse color, standardized, (B, C, h, w), given L folded."""
        mean: Tensor = self.mean(self.regression(folded))
        return mean.float()

    def forward(self, z: Tensor, t: Tensor, mean: Tensor, folded: Tensor) -> Tensor:
        """The velocity (B, C, h, w) at z_t and t (B,) in [0, 1]."""
        seen = torch.cat([(z - mean) / self.spread, mean, folded], dim=1)
        velocity: Tensor = self.velocity(self.flow(seen, self.time(t)))
        return velocity

    def sharpen(self, coarse: Tensor, folded: Tensor) -> Tensor:
        """Standardized coarse color → at full size, along the edges of L."""
        full: Tensor = self.upsample(coarse, self.edges(folded), folded)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        folded = self.fold_lightness(lightness)
        mean = self.regress(folded)
        limit = float(self.color_limit)

        def finished(coarse: Tensor) -> Tensor:
            return self.unstandardize(self.sharpen(coarse.clamp(-limit, limit), folded))

        def report(step: int, steps: int, z: Tensor, end: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finished(z), finished(end))

        coarse = follow(
            lambda z, t: self(z, t, mean, folded).float(),
            mean + self.spread * noise(*mean.shape[1:]),
            sampling.steps,
            report if on_step is not None else None,
        )
        return finished(coarse)
