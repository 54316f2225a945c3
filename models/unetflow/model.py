"""A regression's color moved to likely color by a short flow; each seed gives another coloring.

One U-Net predicts the mean color, as `unet` does. A second one moves that mean, with some noise
added, along nearly straight paths to likely colors. These paths are short, since they start at the
prediction of a regression and not at pure noise, so a few steps are enough. With
`condition="concat"` there is no regression, and the flow starts from noise alone.
"""

from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep
from benchmark.randomness import Noise

from ..common.blocks import EdgeUpsample, TimeEmbedding, conv3, edge_features, zeroed
from ..common.condition import Condition
from ..common.diffusion_options import RegressionWidths, SelfConditioning
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
        condition: Annotated[
            Literal["regression", "concat"],
            Field(
                description="Start of the flow, and its inputs beside color: regression is a "
                "regression's mean with noise, and L and that mean; concat is noise, and L"
            ),
        ] = "regression",
        regression_widths: RegressionWidths = [],
        self_conditioning: SelfConditioning = False,
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        refining = condition == "regression"
        regression_widths = regression_widths or widths
        self.patch_size, self.spread, self.shift = patch_size, spread, shift
        self.self_conditioning = self_conditioning
        networks = [widths, regression_widths] if refining else [widths]
        self.size_divisor = patch_size * 2 ** (max(map(len, networks)) - 1)
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, *networks)
        patch, features = patch_size**2, networks[-1][0]
        # Inputs: the distance of z from the mean, and the patches of L; with a regression the mean
        # and its features; with self_conditioning the end that was estimated before.
        inputs = self.channels + patch
        self.regression: UNet | None = None
        self.mean: nn.Conv2d | None = None
        self.edge_features: nn.Sequential | None = None
        if refining:
            inputs += self.channels + features
            extra = self.pretrained.channels[1]
            self.regression = UNet(
                patch, regression_widths, blocks, dropout=dropout, extra_channels=extra
            )
            self.mean = nn.Conv2d(features, self.channels, 1)
        else:
            self.edge_features = edge_features(patch, features)
        inputs += self.channels if self_conditioning else 0
        embedding = 4 * widths[0]
        self.time = TimeEmbedding(embedding, 1)
        extra = self.pretrained.channels[0]
        self.unet = UNet(
            inputs, widths, blocks, embedding=embedding, dropout=dropout, extra_channels=extra
        )
        self.out = zeroed(conv3(widths[0], self.channels))
        self.upsampler = EdgeUpsample(features, patch_size, color_space, skip=patch)

    def encode_condition(self, lightness: Tensor) -> Condition:
        """Return the inputs of the flow that are computed from L* (B, 1, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        maps, *of_regression = self.pretrained(lightness)
        if self.regression is None or self.mean is None:
            return Condition(patches, maps)
        features = self.regression(patches, extra=of_regression[0])
        return Condition(patches, maps, features, self.mean(features).float())

    def center(self, condition: Condition) -> Tensor:
        """Return the color around which the flow starts, (B, C, h, w): the mean, or zero.

        No gradient passes: the mean is trained by its own loss only, not to be easy to start from.
        """
        if condition.mean is not None:
            return condition.mean.detach()
        count, _, *size = condition.patches.shape
        return condition.patches.new_zeros(count, self.channels, *size)

    def forward(
        self, z: Tensor, t: Tensor, condition: Condition, previous: Tensor | None = None
    ) -> Tensor:
        """Return the velocity (B, C, h, w) at z_t (B, C, h, w) for t (B,) in [0, 1].

        previous: with self_conditioning, an estimate of the end from before, (B, C, h, w), or None.
        """
        mean = self.center(condition)
        inputs = [(z - mean) / self.spread]
        if condition.features is not None:
            inputs += [mean, condition.patches, condition.features]
        else:
            inputs.append(condition.patches)
        if self.self_conditioning:
            inputs.append(torch.zeros_like(z) if previous is None else previous)
        velocity: Tensor = self.out(
            self.unet(torch.cat(inputs, dim=1), self.time(t), condition.maps)
        )
        return velocity

    def end(self, z: Tensor, t: Tensor, velocity: Tensor) -> Tensor:
        """Return the color at t = 1 to which a velocity leads, limited to the range of the data."""
        limit = float(self.color_limit)
        return (z + (1 - t.view(-1, 1, 1, 1)) * velocity).clamp(-limit, limit)

    def denoise(
        self, x: Tensor, t: Tensor, lightness: Tensor, previous: Tensor | None = None
    ) -> Tensor:
        output: Tensor = self(x, t, self.encode_condition(lightness), previous)
        return output

    def upsample(self, coarse: Tensor, condition: Condition) -> Tensor:
        """Map standardized coarse color (B, C, h, w) to full size along the edges of L."""
        edges = self.edge_features
        features = edges(condition.patches) if edges is not None else condition.features
        full: Tensor = self.upsampler(coarse, features, condition.patches)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        condition = self.encode_condition(lightness)
        center = self.center(condition)
        limit = float(self.color_limit)
        previous: Tensor | None = None

        def velocity(z: Tensor, t: Tensor) -> Tensor:
            nonlocal previous
            v = self(z, t, condition, previous).float()
            previous = self.end(z, t, v)
            return v

        def finish(coarse: Tensor) -> Tensor:
            return self.unstandardize(self.upsample(coarse.clamp(-limit, limit), condition))

        def report(step: int, steps: int, z: Tensor, end: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finish(z), finish(end))

        coarse = integrate(
            velocity,
            center,
            self.spread,
            lambda: noise(*center.shape[1:]),
            steps=sampling.steps,
            eta=sampling.eta,
            shift=self.shift,
            on_step=report if on_step is not None else None,
        )
        return finish(coarse)
