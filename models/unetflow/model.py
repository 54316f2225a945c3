"""A regression's color moved to likely color by a short flow; each seed gives another coloring.

One U-Net predicts the mean color, as `unet` does. A second one moves that mean, with some noise
added, along nearly straight paths to likely colors. These paths are short, since they start at the
prediction of a regression and not at pure noise, so a few steps are enough.
"""

from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample, TimeEmbedding, conv3, zeroed
from ..common.flow import integrate_euler
from ..common.options import Blocks, PatchSize, Widths
from ..common.unet import UNet


class Sampling(colorizer.Sampling):
    """The options of sampling: the number of steps."""

    steps: int = Field(10, ge=1, le=1000, description="Euler steps of the flow")

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Model(Colorizer):
    """Ohayon et al. 2025 (posterior-mean rectified flow), on coarse color given L.

    spread: standard deviation of the noise that is added to the mean, in deviations of ab. Without
    noise each input would have one output only; more noise leaves more for the flow to learn.
    """

    stochastic = True
    sampling_class = Sampling

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 192],
        blocks: Blocks = 2,
        patch_size: PatchSize = 4,
        spread: Annotated[
            float,
            Field(
                gt=0,
                le=2,
                description="Standard deviation of the noise at the start of the flow, in "
                "deviations of ab",
            ),
        ] = 0.5,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.spread = spread
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.regression = UNet(patch_size**2, widths, blocks)
        self.mean = nn.Conv2d(widths[0], self.channels, 1)
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, 1)
        # Inputs: the distance of z from the mean, the mean, and the patches of L.
        inputs = 2 * self.channels + patch_size**2
        self.unet = UNet(inputs, widths, blocks, embedding=embedding)
        self.out = zeroed(conv3(widths[0], self.channels))
        self.edge_features = nn.Sequential(
            conv3(patch_size**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
        )
        self.upsampler = ConvexUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def patchify(self, lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to its patches as channels, (B, patch_size², h, w)."""
        return F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)

    def regress(self, patches: Tensor) -> Tensor:
        """Return the mean coarse color, standardized, (B, C, h, w), for patches of L."""
        mean: Tensor = self.mean(self.regression(patches))
        return mean.float()

    def forward(self, z: Tensor, t: Tensor, mean: Tensor, patches: Tensor) -> Tensor:
        """Return the velocity (B, C, h, w) at z_t (B, C, h, w) for t (B,) in [0, 1].

        mean: what `regress` returned for the patches of L, (B, C, h, w).
        """
        inputs = torch.cat([(z - mean) / self.spread, mean, patches], dim=1)
        velocity: Tensor = self.out(self.unet(inputs, self.time(t)))
        return velocity

    def upsample(self, coarse: Tensor, patches: Tensor) -> Tensor:
        """Map standardized coarse color (B, C, h, w) to full size along the edges of L."""
        full: Tensor = self.upsampler(coarse, self.edge_features(patches), patches)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        patches = self.patchify(lightness)
        mean = self.regress(patches)
        limit = float(self.color_limit)

        def finish(coarse: Tensor) -> Tensor:
            return self.unstandardize(self.upsample(coarse.clamp(-limit, limit), patches))

        def report(step: int, steps: int, z: Tensor, end: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finish(z), finish(end))

        coarse = integrate_euler(
            lambda z, t: self(z, t, mean, patches).float(),
            mean + self.spread * noise(*mean.shape[1:]),
            sampling.steps,
            report if on_step is not None else None,
        )
        return finish(coarse)
