"""A diffusion model of color, sampled by DDIM in a few steps; each seed gives another coloring.

A U-Net denoises standardized ab at a quarter of the resolution; patches of L are further input
channels. Sampling is cheap at that resolution, and hues are decided in many of the steps: at full
size they would show through nearly all noise, which averages out over neighboring pixels. A small
network then upsamples the color along the edges of L. With `patch_size=1` the U-Net works at full
size and nothing is upsampled; in sRGB this is the classic recipe with four input and three output
channels.

By default a second U-Net predicts the mean of the likely colors, as `unet` does, and the first one
denoises the difference from that mean.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Statistics
from benchmark.errors import UserError
from benchmark.randomness import Noise

from ..common import diffusion_options as options
from ..common import samplers
from ..common.blocks import EdgeUpsample, TimeEmbedding, conv3, edge_features, zeroed
from ..common.condition import Condition
from ..common.diffusion import Schedule, target_of, usable_schedule, x0_of
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.options import AttentionLevels, Blocks, Dropout, PatchSize, Widths, require_levels
from ..common.unet import UNet, UNetEncoder

ETA = {"ddim": 0.8, "ddpm": 1.0, "dpmpp": 0.0}
"""Defaults of eta; ddpm is ddim with eta 1, and DPM-Solver++ adds no noise, so theirs are fixed.

With ddim, some fresh noise corrects errors of a short training. It does not change what
distribution the samples are drawn from.
"""


class Sampling(colorizer.Sampling):
    """The options of sampling. By default a sample is an honest draw.

    With the defaults of guidance, temperature, mean_gain and sigma_min, samples follow the
    distribution that the network has learned. Other values bend it towards safer or stronger color.
    """

    steps: options.Steps = 50
    sampler: options.Sampler = "ddim"
    eta: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fresh noise in each step of ddim: 0 makes it deterministic, 1 adds as much as "
        f"ddpm (default {ETA['ddim']:g}); ddpm always has 1 and dpmpp 0",
    )
    guidance: float = Field(
        1.0,
        ge=0,
        le=20,
        description="Classifier-free guidance scale; 1 turns it off; needs weights trained with "
        "condition_dropout",
    )
    temperature: float = Field(
        1.0,
        gt=0,
        le=2,
        description="Factor of all noise that is drawn, or of the difference from the mean that is "
        "refined: below 1 gives safer and less diverse color",
    )
    mean_gain: Annotated[float, Field(ge=0, le=4)] | Literal["auto"] = Field(
        1.0,
        description="Factor of the mean that is refined: above 1 gives more vivid color; auto "
        "compensates for a temperature below 1",
    )
    sigma_min: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Noise level σ/α below which all remaining noise is removed in one step; the "
        "finest patches of color are then averaged instead of drawn",
    )
    spacing: samplers.Spacing = Field(
        "trailing", description="Spacing of the steps: trailing includes T, leading includes 0"
    )
    threshold: samplers.Threshold = Field(
        "static",
        description="Limit of each estimate of the color: static clips it to the data's range, "
        "dynamic scales it into the range",
    )

    @model_validator(mode="after")
    def _check_eta(self) -> Self:
        if self.sampler != "ddim" and self.eta not in (None, ETA[self.sampler]):
            raise ValueError(
                f"eta belongs to the sampler ddim, not to {self.sampler}: choose the sampler ddim, "
                "or leave eta out"
            )
        return self

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Model(Colorizer):
    """Song et al. 2021 (DDIM), by default with v-prediction (Salimans and Ho 2022).

    The noise schedule is shifted towards more noise, since the network works at a low resolution.
    """

    stochastic = True
    sampling_class = Sampling
    explained_variance: Tensor
    """Share of the variance of color that the regression's mean explains, measured in training."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 192],
        blocks: Blocks = 2,
        patch_size: PatchSize = 4,
        timesteps: options.Timesteps = 1000,
        shift: options.Shift = 3.0,
        ab_scale: options.AbScale = "measured",
        dropout: Dropout = 0.0,
        schedule: options.ScheduleOption = "cosine",
        offset: options.Offset = 0.0,
        zero_terminal: options.ZeroTerminal = True,
        allow_signal: options.AllowSignal = False,
        prediction: options.PredictionOption = "v",
        attention: AttentionLevels = [],
        time_dim: options.TimeDim = 0,
        condition: options.ConditionKind = "regression",
        regression_widths: options.RegressionWidths = [],
        condition_dropout: options.ConditionDropout = 0.1,
        self_conditioning: options.SelfConditioning = False,
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        require_levels(attention, widths)
        regression_widths = regression_widths or widths
        refining = condition == "regression"
        self.ab_scale, self.patch_size = ab_scale, patch_size
        self.prediction, self.condition_dropout = prediction, condition_dropout
        self.self_conditioning = self_conditioning
        levels = max(len(widths), len(regression_widths)) if refining else len(widths)
        self.size_divisor = patch_size * 2 ** (levels - 1)
        alpha_bar = usable_schedule(
            schedule=schedule,
            timesteps=timesteps,
            offset=offset,
            shift=shift,
            zero_terminal=zero_terminal,
            allow_signal=allow_signal,
            prediction=prediction,
        )
        self.schedule = Schedule(alpha_bar)
        embedding = time_dim or 4 * widths[0]
        inputs = patch_size**2 + (2 if self_conditioning else 1) * self.channels
        inputs += regression_widths[0] + self.channels if refining else 0
        self.time = TimeEmbedding(embedding, timesteps)
        networks = [widths, regression_widths] if refining else [widths]
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, *networks)
        self.unet = UNet(
            inputs,
            widths,
            blocks,
            embedding=embedding,
            dropout=dropout,
            attention=attention,
            extra_channels=widths if condition == "encoder" else self.pretrained.channels[0],
        )
        self.out = zeroed(conv3(widths[0], self.channels))
        self._add_upsampler(widths, regression_widths if refining else None)
        self._add_condition(condition, widths, regression_widths, blocks, dropout)

    def _add_upsampler(
        self, widths: Sequence[int], regression_widths: Sequence[int] | None
    ) -> None:
        """Add the upsampler and, without a regression, the network of its features."""
        self.upsampler: EdgeUpsample | None = None
        self.edge_features: nn.Sequential | None = None
        if self.patch_size == 1:
            return
        patch, width = self.patch_size**2, (regression_widths or widths)[0]
        self.upsampler = EdgeUpsample(width, self.patch_size, self.color_space, skip=patch)
        if regression_widths is None:
            self.edge_features = edge_features(patch, width)

    def _add_condition(
        self,
        condition: str,
        widths: Sequence[int],
        regression_widths: Sequence[int],
        blocks: int,
        dropout: float,
    ) -> None:
        """Add the network that the condition needs beside L, if any."""
        self.encoder: UNetEncoder | None = None
        self.regression: UNet | None = None
        self.mean: nn.Conv2d | None = None
        patch = self.patch_size**2
        if condition == "encoder":
            extra = self.pretrained.channels[0]
            self.encoder = UNetEncoder(patch, widths, blocks, dropout=dropout, extra_channels=extra)
        if condition == "regression":
            extra = self.pretrained.channels[1]
            self.regression = UNet(
                patch, regression_widths, blocks, dropout=dropout, extra_channels=extra
            )
            self.mean = nn.Conv2d(regression_widths[0], self.channels, 1)
            self.register_buffer("explained_variance", torch.full((), 0.5))

    def calibrate(self, statistics: Statistics) -> None:
        by_110 = Statistics((0.0, 0.0), (110.0, 110.0), 1.0)
        super().calibrate(statistics if self.ab_scale == "measured" else by_110)

    def forward(
        self, x: Tensor, t: Tensor, condition: Condition, previous: Tensor | None = None
    ) -> Tensor:
        """Return the prediction (B, C, h, w) for noisy color x_t (B, C, h, w) at t (B,).

        previous: with self_conditioning, an estimate of x_0 from before, (B, C, h, w), or None.

        Where a mean is refined, the U-Net denoises the residual x_0 - mean: x_t - α mean is that
        residual with the same noise (Whang et al. 2022).
        """
        inputs = [x, condition.patches]
        if self.self_conditioning:
            inputs.append(torch.zeros_like(x) if previous is None else previous)
        if condition.mean is None or condition.features is None:
            output: Tensor = self.out(self.unet(torch.cat(inputs, 1), self.time(t), condition.maps))
            return output
        # detach: the mean is trained by its own loss only, not to be easy to refine.
        mean = condition.mean.detach()
        alpha, sigma = self.schedule.at(t)
        inputs[0] = x - alpha * mean
        inputs += [mean, condition.features]
        residual = self.out(self.unet(torch.cat(inputs, 1), self.time(t), condition.maps))
        return residual + target_of(self.prediction, mean, torch.zeros_like(mean), alpha, sigma)

    def encode_condition(self, lightness: Tensor) -> Condition:
        """Return the inputs of the denoiser that are computed from L* (B, 1, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        maps, *of_regression = self.pretrained(lightness)
        if self.encoder is not None:
            maps = self.encoder.levels(patches, extra=maps)
        if self.regression is None or self.mean is None:
            return Condition(patches, maps)
        features = self.regression(patches, extra=of_regression[0])
        return Condition(patches, maps, features, self.mean(features).float())

    @torch.no_grad()
    def update_explained_variance(self, mean: Tensor, coarse: Tensor) -> None:
        """Update the moving average of the share of variance that the mean explains.

        mean, coarse: predicted and true standardized color of a batch, (B, C, h, w).
        """
        of_mean, of_residual = mean.var(dim=(0, 2, 3)).mean(), (coarse - mean).square().mean()
        self.explained_variance.lerp_(of_mean / (of_mean + of_residual), 0.01)

    def mean_gain_for(self, temperature: float) -> float:
        """Return the factor of the mean that keeps the variance of color at a temperature below 1.

        The share `explained_variance` of the variance is the mean's. The rest is the residual's,
        of which a temperature τ leaves τ².
        """
        share = max(float(self.explained_variance), 0.1)
        lost = (1 - min(temperature, 1.0) ** 2) * (1 / share - 1)
        return round((1 + lost) ** 0.5, 2)

    def denoise(
        self, x: Tensor, t: Tensor, lightness: Tensor, previous: Tensor | None = None
    ) -> Tensor:
        output: Tensor = self(x, t, self.encode_condition(lightness), previous)
        return output

    def upsample(self, coarse: Tensor, condition: Condition) -> Tensor:
        """Map standardized color (B, C, h, w) to full size along the edges of L."""
        if self.upsampler is None:
            return coarse
        edges = self.edge_features
        features = edges(condition.patches) if edges is not None else condition.features
        full: Tensor = self.upsampler(coarse, features, condition.patches)
        return full

    def resolve_sampling(self, sampling: Any) -> Any:
        if sampling.guidance != 1 and not self.condition_dropout:
            raise UserError(
                f"guidance {sampling.guidance:g} needs weights that were trained with L hidden in "
                "some of the images: train with --set condition_dropout=0.1, or leave guidance out."
            )
        if sampling.mean_gain != 1 and self.regression is None:
            raise UserError(
                f"mean_gain {sampling.mean_gain} needs weights that refine a regression's mean: "
                "train with --set condition=regression, or leave mean_gain out."
            )
        resolved = {"steps": min(sampling.steps, self.schedule.steps)}
        if sampling.eta is None:
            resolved["eta"] = ETA[sampling.sampler]
        if sampling.mean_gain == "auto":
            resolved["mean_gain"] = self.mean_gain_for(sampling.temperature)
        return sampling.model_copy(update=resolved)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        condition = self.encode_condition(lightness)
        guidance, temperature = sampling.guidance, sampling.temperature
        nothing = torch.zeros_like(lightness[:, :, :1, :1])
        hidden = condition.masked(nothing) if guidance != 1 else None
        threshold = samplers.threshold_of(sampling.threshold, float(self.color_limit))

        def draw() -> Tensor:
            drawn = noise(self.channels, *condition.patches.shape[2:])
            return drawn if condition.mean is not None else temperature * drawn

        previous: Tensor | None = None

        def estimate(x: Tensor, t: Tensor) -> Tensor:
            nonlocal previous
            output = self(x, t, condition, previous).float()
            if hidden is not None:
                output = samplers.guided(output, self(x, t, hidden, previous).float(), guidance)
            x0 = threshold(x0_of(self.prediction, output, x, *self.schedule.at(t)))
            previous = x0
            return x0

        def finish(coarse: Tensor) -> Tensor:
            if condition.mean is not None:
                # mean_gain · mean + temperature · (coarse - mean)
                surplus = sampling.mean_gain - temperature
                coarse = temperature * coarse + surplus * condition.mean
            return self.unstandardize(self.upsample(coarse, condition))

        def report(step: int, steps: int, x: Tensor, x0: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finish(x), finish(x0))

        coarse = samplers.denoise(
            estimate,
            self.schedule,
            draw(),
            samplers.step_of(sampling.sampler, draw, sampling.eta),
            timesteps=samplers.end_at(
                self.schedule.first_of(sampling.sigma_min),
                samplers.timesteps_of(sampling.spacing, self.schedule.steps, sampling.steps),
            ),
            on_step=report if on_step is not None else None,
        )
        return finish(coarse)
