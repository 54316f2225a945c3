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

from ..common.blocks import EdgeUpsample, TimeEmbedding, conv3, zeroed
from ..common.diffusion_options import RegressionWidths
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.flow import integrate
from ..common.options import Blocks, Dropout, PatchSize, Widths
from ..common.unet import UNet


class Sampling(colorizer.Sampling):
    """The options of sampling: the number of steps, and how much noise each draws."""

    steps: int = Field(40, ge=1, le=1000, description="Steps of the flow")
    eta: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Fresh noise in each step of the flow: 0 makes the steps Euler's, 1 draws as "
        "much as possible; fresh noise corrects errors of a short training",
    )

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Condition(NamedTuple):
    """The inputs of the flow that are computed from L.

    patches: those of L as channels, (B, patch_size², h, w). features and mean: the regression's
    features, (B, F, h, w), and the mean coarse color, standardized, (B, C, h, w). maps: the
    features of a pretrained encoder, (B, widths[i], h / 2^i, w / 2^i), or empty.
    """

    patches: Tensor
    features: Tensor
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
        dropout: Dropout = 0.0,
        spread: Annotated[
            float,
            Field(
                gt=0,
                le=2,
                description="Standard deviation of the noise at the start of the flow, in "
                "deviations of ab",
            ),
        ] = 0.5,
        shift: Annotated[
            float,
            Field(
                ge=1,
                le=20,
                description="How much more of the times of training and sampling are near the "
                "start, where large colors are decided: the ratio of signal to noise is divided "
                "by it",
            ),
        ] = 1.0,
        regression_widths: RegressionWidths = [],
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.spread, self.shift = spread, shift
        regression_widths = regression_widths or widths
        self.size_divisor = patch_size * 2 ** (max(len(widths), len(regression_widths)) - 1)
        networks = widths, regression_widths
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, *networks)
        extra, of_regression = self.pretrained.channels
        patch, features = patch_size**2, regression_widths[0]
        self.regression = UNet(
            patch, regression_widths, blocks, dropout=dropout, extra_channels=of_regression
        )
        self.mean = nn.Conv2d(features, self.channels, 1)
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, 1)
        # Inputs: the distance of z from the mean, the mean, the patches of L, and the features.
        inputs = 2 * self.channels + patch + features
        self.unet = UNet(
            inputs, widths, blocks, embedding=embedding, dropout=dropout, extra_channels=extra
        )
        self.out = zeroed(conv3(widths[0], self.channels))
        self.upsampler = EdgeUpsample(features, patch_size, color_space, skip=patch)

    def encode_condition(self, lightness: Tensor) -> Condition:
        """Return the inputs of the flow that are computed from L* (B, 1, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        maps, of_regression = self.pretrained(lightness)
        features = self.regression(patches, extra=of_regression)
        return Condition(patches, features, self.mean(features).float(), maps)

    def forward(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Return the velocity (B, C, h, w) at z_t (B, C, h, w) for t (B,) in [0, 1]."""
        # detach: the mean is trained by its own loss only, not to be easy to start from.
        mean = condition.mean.detach()
        inputs = [(z - mean) / self.spread, mean, condition.patches, condition.features]
        velocity: Tensor = self.out(
            self.unet(torch.cat(inputs, dim=1), self.time(t), condition.maps)
        )
        return velocity

    def upsample(self, coarse: Tensor, condition: Condition) -> Tensor:
        """Map standardized coarse color (B, C, h, w) to full size along the edges of L."""
        full: Tensor = self.upsampler(coarse, condition.features, condition.patches)
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

        coarse = integrate(
            lambda z, t: self(z, t, condition).float(),
            condition.mean,
            self.spread,
            lambda: noise(*condition.mean.shape[1:]),
            steps=sampling.steps,
            eta=sampling.eta,
            shift=self.shift,
            on_step=report if on_step is not None else None,
        )
        return finish(coarse)
