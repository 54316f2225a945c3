"""A regression's color moved to likely color by a short flow; each seed gives another coloring.

One U-Net predicts the mean color, as `unet` does. A second one moves that mean, with some noise
added, along nearly straight paths to likely colors. These paths are short, since they start at the
prediction of a regression and not at pure noise, so a few steps are enough.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample, TimeEmbedding, conv3, zeroed
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.flow import integrate_euler
from ..common.options import Blocks, PatchSize, Widths
from ..common.unet import UNet


class Sampling(colorizer.Sampling):
    """The options of sampling: the number of steps."""

    steps: int = Field(10, ge=1, le=1000, description="Euler steps of the flow")

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Condition(NamedTuple):
    """The inputs of the flow that are computed from L.

    patches: those of L as channels, (B, patch_size², h, w). mean: the mean coarse color,
    standardized, (B, C, h, w). maps: the features of a pretrained encoder,
    (B, widths[i], h / 2^i, w / 2^i), or empty.
    """

    patches: Tensor
    mean: Tensor
    maps: Sequence[Tensor] = ()


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
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.spread = spread
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths, widths)
        extra, of_regression = self.pretrained.channels
        self.regression = UNet(patch_size**2, widths, blocks, extra_channels=of_regression)
        self.mean = nn.Conv2d(widths[0], self.channels, 1)
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, 1)
        # Inputs: the distance of z from the mean, the mean, and the patches of L.
        inputs = 2 * self.channels + patch_size**2
        self.unet = UNet(inputs, widths, blocks, embedding=embedding, extra_channels=extra)
        self.out = zeroed(conv3(widths[0], self.channels))
        self.edge_features = nn.Sequential(
            conv3(patch_size**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
        )
        self.upsampler = ConvexUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def encode_condition(self, lightness: Tensor) -> Condition:
        """Return the inputs of the flow that are computed from L* (B, 1, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        maps, of_regression = self.pretrained(lightness)
        mean = self.mean(self.regression(patches, extra=of_regression))
        return Condition(patches, mean.float(), maps)

    def forward(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Return the velocity (B, C, h, w) at z_t (B, C, h, w) for t (B,) in [0, 1]."""
        # detach: the mean is trained by its own loss only, not to be easy to start from.
        mean = condition.mean.detach()
        inputs = torch.cat([(z - mean) / self.spread, mean, condition.patches], dim=1)
        velocity: Tensor = self.out(self.unet(inputs, self.time(t), condition.maps))
        return velocity

    def upsample(self, coarse: Tensor, condition: Condition) -> Tensor:
        """Map standardized coarse color (B, C, h, w) to full size along the edges of L."""
        patches = condition.patches
        full: Tensor = self.upsampler(coarse, self.edge_features(patches), patches)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        condition = self.encode_condition(lightness)
        limit = float(self.color_limit)

        def finish(coarse: Tensor) -> Tensor:
            return self.unstandardize(self.upsample(coarse.clamp(-limit, limit), condition))

        def report(step: int, steps: int, z: Tensor, end: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finish(z), finish(end))

        coarse = integrate_euler(
            lambda z, t: self(z, t, condition).float(),
            condition.mean + self.spread * noise(*condition.mean.shape[1:]),
            sampling.steps,
            report if on_step is not None else None,
        )
        return finish(coarse)
