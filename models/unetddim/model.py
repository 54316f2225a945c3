"""The network, the objective, the sampling and the training that the diffusion models share.

They differ in how they are usually sampled.

A U-Net denoises standardized ab at a quarter of the resolution, with L beside it folded into
channels. At that size neighboring pixels no longer repeat each other, so the network learns at
the noisy steps, where hues are decided, and sampling is cheap. A small network then brings the
color to full size along the edges of L. With `fold=1` the U-Net works at full size, and there is
nothing to sharpen: in sRGB that is the classic recipe, four channels in and three out.

Unless set so, it need not find out from noise what can be told at once: a second U-Net answers
with the mean of what is likely, as `unet` does, and the first denoises what that leaves open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import torch
import torch.nn.functional as F
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from torch import Tensor, nn

from benchmark import colorizer
from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Statistics
from benchmark.errors import UserError
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch, Recipe, Update
from benchmark.settings import Presets, Settings

from ..common.blocks import ConvexUpsample, conv3, zeroed
from ..common.diffusion import (
    Prediction,
    Schedule,
    ScheduleName,
    TimeEmbedding,
    Weighting,
    diffuse,
    loss_weight,
    noise_schedule,
    require_noise_at_the_end,
    require_predictable,
    stratified_timesteps,
    target_of,
    x0_of,
)
from ..common.losses import adamw, huber
from ..common.samplers import (
    SamplerName,
    Spacing,
    denoise,
    dynamic_threshold,
    ended_at,
    guided,
    static_threshold,
    step_of,
    timesteps_of,
)
from ..common.unet import AttentionLevels, Blocks, Fold, UNet, UNetEncoder, Widths, WidthsOrNone

Steps = Annotated[
    int, Field(ge=1, le=4000, description="of the sampler; at most T, fewer are spread evenly")
]
Sampler = Annotated[
    SamplerName, Field(description="ddpm, ddim or dpmpp, which is DPM-Solver++(2M)")
]
GUIDANCE, TEMPERATURE = 1.8, 0.85
"""Where they were not chosen, and the weights were trained with condition_dropout.

Chosen on validation images: the least LPIPS among those within a tenth of the truth's
colorfulness and with well below half of the ab divergence that regression has.
"""
REFINING_TEMPERATURE, REFINING_SIGMA_MIN = 0.82, 1.6
"""Of weights that refine a regression's mean, with the vividness that makes up for the temperature.

Chosen on validation images in sets of 64: the most SSIM among those with an ab divergence of at
most 0.45 of the regression's, and at least 0.85 of the truth's colorfulness.
"""
LOSS_NAMES: Mapping[Prediction, str] = {"v": "velocity", "epsilon": "noise", "x0": "image"}
HONEST: Mapping[str, float] = {
    "guidance": 1.0,
    "temperature": 1.0,
    "vividness": 1.0,
    "sigma_min": 0.0,
}
"""A sampling that changes nothing of what the network takes for a draw."""


class Sampling(colorizer.Sampling):
    """What can be chosen at test time, with any weights of a diffusion model."""

    # To learn images by heart: calm or vivid ones would be others.
    presets: ClassVar = {"tiny": {"steps": 20, "temperature": 1, "sigma_min": 0}}

    steps: Steps = 50
    sampler: Sampler = "ddim"
    # Some fresh noise at each step mends what a short training got wrong; chosen on validation
    # images among 0, 0.5, 0.8 and 1 (LPIPS .156, .146, .145, .148).
    eta: float = Field(
        0.8, ge=0, le=1, description="fresh noise of ddim: 0 deterministic, 1 ancestral"
    )
    guidance: float | None = Field(
        None,
        ge=0,
        le=20,
        description=f"by L; 1 is none, and usual is {GUIDANCE:g} with weights trained for it",
    )
    temperature: float | None = Field(
        None,
        gt=0,
        le=2,
        description="of what is drawn, all noise or all color beside a mean: below 1 safer, "
        f"less diverse; 1, {TEMPERATURE:g} with weights trained for guidance or "
        f"{REFINING_TEMPERATURE:g} with those that refine a mean of ab",
    )
    vividness: float | None = Field(
        None,
        ge=0,
        le=4,
        description="of the mean that is refined: 1, or with weights that refine a mean of ab what "
        "makes up for a temperature below 1",
    )
    sigma_min: float | None = Field(
        None,
        ge=0,
        le=100,
        description="σ/α from which the rest of the noise is taken away at once; usual is "
        f"{REFINING_SIGMA_MIN:g} with weights that refine a mean of ab, else 0",
    )
    spacing: Spacing = Field("trailing", description="of the steps: from T down, or leading, to 0")
    threshold: Literal["static", "dynamic"] = Field(
        "static", description="of x_0: clipped to the data's range, or scaled into it"
    )

    @model_validator(mode="after")
    def _check_eta(self) -> Self:
        if "eta" in self.model_fields_set and self.sampler != "ddim":
            raise ValueError(
                f"eta is of the sampler ddim, not of {self.sampler}: choose sampler ddim, or leave "
                "eta out"
            )
        return self

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The steps, DDIM's η, guidance where there is any, and what else is not as usual.

        So a row's name stays short, and a test made before an option existed is still the same.
        """
        told = {"steps", "eta"} if self.sampler == "ddim" else {"steps"}
        usual = {name: field.default for name, field in type(self).model_fields.items()}
        values: dict[str, Any] = handler(self)
        return {key: v for key, v in values.items() if key in told or v != usual[key]}

    def chosen_or(self, usual: Mapping[str, float]) -> dict[str, float]:
        """Each of `usual` as it was chosen, or where it was not, as it is there."""
        chosen = {key: getattr(self, key) for key in usual}
        return {key: usual[key] if value is None else value for key, value in chosen.items()}

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})

    def for_validation(self) -> Self:
        """An honest draw: a low temperature hides the speckle that training has yet to mend."""
        return self.preview().model_copy(update=HONEST)


class Shown(NamedTuple):
    """What the denoiser is shown of L.

    folded: L itself, (B, fold², h, w). maps: an encoder's, (B, widths[i], h / 2^i, w / 2^i).
    features and mean: a regression's, (B, F, h, w), and its color, (B, C, h, w).
    """

    folded: Tensor
    maps: Sequence[Tensor] = ()
    features: Tensor | None = None
    mean: Tensor | None = None

    def where(self, kept: Tensor) -> "Shown":
        """Nothing of the images whose `kept` (B, 1, 1, 1) is 0, all of those where it is 1."""
        return self._each(lambda one: one * kept)

    def repeated(self, times: int) -> "Shown":
        """Each image so many times, one after the other: (B · times, …)."""
        return self._each(lambda one: one.repeat_interleave(times, 0)) if times > 1 else self

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Shown":
        features = None if self.features is None else change(self.features)
        mean = None if self.mean is None else change(self.mean)
        return Shown(change(self.folded), [change(one) for one in self.maps], features, mean)


class Model(Colorizer):
    """Predicts v (Salimans and Ho 2022) under a schedule shifted towards noise, unless set so."""

    sampling_class = Sampling

    stochastic = True
    explained: Tensor

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 192],
        blocks: Blocks = 2,
        fold: Fold = 4,
        timesteps: Annotated[int, Field(ge=10, le=4000, description="T, in training")] = 1000,
        shift: Annotated[float, Field(gt=0, description="of the schedule, towards noise")] = 3.0,
        ab_scale: Annotated[
            Literal["measured", "110"],
            BeforeValidator(str),
            Field(description="ab is divided by its own deviation, or by 110 as in much code"),
        ] = "measured",
        dropout: Annotated[float, Field(ge=0, le=0.5, description="in residual blocks")] = 0.0,
        schedule: Annotated[
            ScheduleName, Field(description="of noise: cosine, linear or sigmoid")
        ] = "cosine",
        offset: Annotated[
            float, Field(ge=0, le=1, description="of the cosine; 0.008 in its paper")
        ] = 0.0,
        zero_terminal: Annotated[
            bool, Field(description="end in pure noise; false: as the schedule was published")
        ] = True,
        allow_signal: Annotated[
            bool, Field(description="let √ᾱ at T exceed 0.03, as some recipes do")
        ] = False,
        prediction: Annotated[
            Prediction, Field(description="what the network answers: v, epsilon or x0")
        ] = "v",
        attention: AttentionLevels = [],
        time_dim: Annotated[
            int, Field(ge=0, le=4096, description="of the time embedding; 0 is 4 × the first width")
        ] = 0,
        condition: Annotated[
            Literal["regression", "encoder", "concat"],
            Field(
                description="beside the noisy color: L and a regression's mean color, which is "
                "refined; or L and an encoder's maps of it; or L alone"
            ),
        ] = "regression",
        regression_widths: Annotated[
            WidthsOrNone, Field(description="of the regression; none: as widths")
        ] = [],
        condition_dropout: Annotated[
            float, Field(ge=0, le=0.5, description="share of training without L, for guidance")
        ] = 0.1,
    ) -> None:
        super().__init__(color_space=color_space)
        require_levels(attention, widths)
        self.ab_scale = ab_scale
        self.fold = fold
        regression_widths = regression_widths or widths
        encoded, refining = condition == "encoder", condition == "regression"
        levels = max(len(widths), len(regression_widths)) if refining else len(widths)
        self.size_divisor = fold * 2 ** (levels - 1)
        self.prediction = prediction
        self.condition_dropout = condition_dropout
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
        self.time = TimeEmbedding(embedding, timesteps)
        self.trunk = UNet(
            fold**2 + self.channels + (regression_widths[0] + self.channels if refining else 0),
            widths,
            blocks,
            embedding=embedding,
            dropout=dropout,
            attention=attention,
            beside=widths if encoded else (),
        )
        # Its name is that in weights of before there was a choice; it answers `prediction`.
        self.velocity = zeroed(conv3(widths[0], self.channels))
        self.edges: nn.Sequential | None = None
        self.upsample: ConvexUpsample | None = None
        if fold > 1:
            features = regression_widths[0] if refining else widths[0]
            self.upsample = ConvexUpsample(features, fold, color_space, skip=fold**2)
        if fold > 1 and not refining:  # a regression's features know the edges
            self.edges = nn.Sequential(
                conv3(fold**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
            )
        self.encoder = UNetEncoder(fold**2, widths, blocks, dropout=dropout) if encoded else None
        self.regression: UNet | None = None
        self.mean: nn.Conv2d | None = None
        if refining:
            self.regression = UNet(fold**2, regression_widths, blocks, dropout=dropout)
            self.mean = nn.Conv2d(regression_widths[0], self.channels, 1)
            # What share of the variance of color the mean has, as training finds it.
            self.register_buffer("explained", torch.full((), 0.5))

    def calibrate(self, statistics: Statistics) -> None:
        by_110 = Statistics((0.0, 0.0), (110.0, 110.0), 1.0)
        super().calibrate(statistics if self.ab_scale == "measured" else by_110)

    def forward(self, x: Tensor, t: Tensor, shown: Shown) -> Tensor:
        """The answer, (B, C, h, w), to noisy color x_t (B, C, h, w) at t (B,).

        With a mean, the trunk sees and answers what is left when that is taken away: of color
        x_0 = mean + rest, x_t - α mean is the rest in the same noise (as Whang et al. 2022 refine).
        """
        if shown.mean is None or shown.features is None:
            answer: Tensor = self.velocity(
                self.trunk(torch.cat([x, shown.folded], 1), self.time(t), shown.maps)
            )
            return answer
        mean = shown.mean.detach()  # else it would be drawn to what is easily refined
        alpha, sigma = self.schedule.at(t)
        seen = torch.cat([x - alpha * mean, shown.folded, mean, shown.features], 1)
        rest = self.velocity(self.trunk(seen, self.time(t)))
        return rest + target_of(self.prediction, mean, torch.zeros_like(mean), alpha, sigma)

    def show(self, lightness: Tensor) -> Shown:
        """What the denoiser sees of L* (B, 1, H, W)."""
        folded = F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)
        maps = self.encoder.levels(folded) if self.encoder is not None else ()
        if self.regression is None or self.mean is None:
            return Shown(folded, maps)
        features = self.regression(folded)
        return Shown(folded, maps, features, self.mean(features).float())

    @torch.no_grad()
    def measure(self, mean: Tensor, coarse: Tensor) -> None:
        """Learn of a batch how much of its color the mean explains."""
        own, rest = mean.var(dim=(0, 2, 3)).mean(), (coarse - mean).square().mean()
        self.explained.lerp_(own / (own + rest), 0.01)

    def vividness_for(self, temperature: float) -> float:
        """What the mean must be multiplied by for colors as strong as at temperature 1.

        Of the variance of color, the mean has the share `explained`, and what is drawn beside it
        the rest, of which the temperature leaves τ².
        """
        lost = (1 - min(temperature, 1.0) ** 2) * (1 / max(float(self.explained), 0.1) - 1)
        return round((1 + lost) ** 0.5, 2)

    def sharpen(self, coarse: Tensor, shown: Shown) -> Tensor:
        """Standardized color at the denoiser's size → at full size, along the edges of L."""
        if self.upsample is None:
            return coarse
        features = self.edges(shown.folded) if self.edges is not None else shown.features
        full: Tensor = self.upsample(coarse, features, shown.folded)
        return full

    def resolve_sampling(self, sampling: Any) -> Any:
        steps = min(sampling.steps, self.schedule.steps)
        usual = dict(HONEST)
        refines, guidable = self.regression is not None, bool(self.condition_dropout)
        if refines and self.color_space == "lab":
            usual |= {"temperature": REFINING_TEMPERATURE, "sigma_min": REFINING_SIGMA_MIN}
            temperature = sampling.temperature or REFINING_TEMPERATURE
            usual["vividness"] = self.vividness_for(temperature)
        elif guidable and not refines:
            usual |= {"guidance": GUIDANCE, "temperature": TEMPERATURE}
        chosen = sampling.chosen_or(usual)
        if chosen["guidance"] != 1 and not guidable:
            raise UserError(
                f"guidance {chosen['guidance']:g} needs weights that were trained without L now "
                "and then: train with --set condition_dropout=0.1, or leave guidance out."
            )
        if chosen["vividness"] != 1 and not refines:
            raise UserError(
                f"vividness {chosen['vividness']:g} needs weights that refine a regression's mean: "
                "train with --set condition=regression, or leave vividness out."
            )
        # What is honest and usually so is not told.
        told = {k: None if one == usual[k] == HONEST[k] else one for k, one in chosen.items()}
        return sampling.model_copy(update={"steps": steps, **told})

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        shown = self.show(lightness)
        chosen = sampling.chosen_or(HONEST)
        guidance, temperature, vividness = (
            chosen[key] for key in ("guidance", "temperature", "vividness")
        )
        hidden = shown.where(torch.zeros_like(lightness[:, :, :1, :1])) if guidance != 1 else None
        clip = static_threshold if sampling.threshold == "static" else dynamic_threshold
        limit = float(self.color_limit)

        def draw() -> Tensor:
            drawn = noise(self.channels, *shown.folded.shape[2:])
            return drawn if shown.mean is not None else temperature * drawn

        def estimate(x: Tensor, t: Tensor) -> Tensor:
            answer = self(x, t, shown).float()
            if hidden is not None:
                answer = guided(answer, self(x, t, hidden).float(), guidance)
            return clip(x0_of(self.prediction, answer, x, *self.schedule.at(t)), limit)

        def finished(coarse: Tensor) -> Tensor:
            if shown.mean is not None:
                # vividness · mean + temperature · (coarse - mean)
                coarse = temperature * coarse + (vividness - temperature) * shown.mean
            return self.unstandardize(self.sharpen(coarse, shown))

        def report(step: int, steps: int, x: Tensor, x0: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finished(x), finished(x0))

        coarse = denoise(
            estimate,
            self.schedule,
            draw(),
            step_of(sampling.sampler, draw, sampling.eta),
            timesteps=ended_at(
                self.schedule.first_of(chosen["sigma_min"]),
                timesteps_of(sampling.spacing, self.schedule.steps, sampling.steps),
            ),
            on_step=report if on_step is not None else None,
        )
        return finished(coarse)


def usable_schedule(
    *,
    schedule: ScheduleName,
    timesteps: int,
    offset: float,
    shift: float,
    zero_terminal: bool,
    allow_signal: bool,
    prediction: Prediction,
    **_: object,
) -> Tensor:
    """ᾱ (T,) of a denoiser's arguments. ValueError, with the remedy, where sampling would fail."""
    if offset and schedule != "cosine":
        raise ValueError(f"offset is of the cosine schedule, not of {schedule}: leave it out")
    alpha_bar = noise_schedule(
        schedule, timesteps, offset=offset, shift=shift, zero_terminal=zero_terminal
    )
    if not allow_signal:
        require_noise_at_the_end(alpha_bar)
    require_predictable(prediction, alpha_bar)
    return alpha_bar


def require_levels(attention: Sequence[int], widths: Sequence[int]) -> None:
    """ValueError where attention is wanted at a level that there is not."""
    if any(level >= len(widths) for level in attention):
        raise ValueError(f"attention is at levels 0 to {len(widths) - 1}, as many as widths")


class DenoiserSettings(Settings):
    """What can be set of the training that the diffusion models share."""

    # The classic recipe: sRGB at full size, ε, schedules as published.
    _classic: ClassVar[Mapping[str, Any]] = {
        "color_space": "rgb",
        "fold": 1,
        "widths": [64, 128, 256, 512],
        "attention": [2],
        "shift": 1.0,
        "zero_terminal": False,
        "prediction": "epsilon",
        "condition": "concat",
        "condition_dropout": 0.0,
        "batch_size": 2,
        "accumulate": 4,
        "ema_decay": 0.9999,
        "learning_rate": 2e-4,
        "weight_decay": 0.01,
    }
    presets: ClassVar[Presets] = {
        # To learn images by heart: guidance, too, would go beyond them.
        "tiny": {
            "widths": [16, 32],
            "shift": 1.5,
            "learning_rate": 3e-3,
            "condition_dropout": 0.0,
        },
        # At an eighth of the resolution: coherent after two minutes, where a quarter has speckle.
        # Not guided: that would double the time of a test, half of this preset's.
        "quick": {
            "epochs": 12,
            "widths": [48, 96],
            "fold": 8,
            "shift": 2.0,
            "condition": "concat",
            "condition_dropout": 0.0,
        },
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
        "cartoon-ddpm": {**_classic, "schedule": "cosine", "offset": 0.008, "timesteps": 500},
        "tiny-imagenet-ddpm": {**_classic, "schedule": "linear", "size": 64, "dropout": 0.15},
        # Its linear schedule of 350 steps keeps 0.17 of the image: ended in pure noise instead.
        "lab-encoder": {
            "size": 64,
            "fold": 1,
            "condition": "encoder",
            "schedule": "linear",
            "timesteps": 350,
            "shift": 1.0,
            "condition_dropout": 0.0,
        },
    }

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")
    draws: int = Field(
        1, ge=1, description="noisy forms of each image in a step; what L says is worked out once"
    )
    weighting: Weighting = Field(
        "uniform", description="of the noise levels in the loss: uniform or min-snr"
    )
    snr_gamma: float = Field(5.0, gt=0, description="of min-snr, its largest ratio")
    weight_floor: float = Field(
        0.1, ge=0, le=1, description="of min-snr, its least weight: the noisy steps decide the hue"
    )

    @model_validator(mode="after")
    def _check_denoiser(self) -> Self:
        require_levels(self.architecture["attention"], self.architecture["widths"])
        usable_schedule(**self.architecture)
        return self


ModelType = TypeVar("ModelType", bound=Model)
SettingsType = TypeVar("SettingsType", bound=DenoiserSettings)


class DenoiserTraining(Recipe[ModelType, SettingsType]):
    """How the diffusion models learn.

    A true color is mixed with noise, much or little; the network is asked which direction, v,
    leads from one to the other. The samplers ask it the same on their way back from noise.
    """

    select_best_by = "images"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"model": adamw(self.model, self.settings.learning_rate, self.settings.weight_decay)}

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        yield Update("model", denoising_losses(self.model, batch, rng, self.settings))

    def validate(self, model: ModelType, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return denoising_losses(model, batch, rng, self.settings)


def denoising_losses(
    model: Model, batch: Batch, rng: Randomness, settings: DenoiserSettings
) -> dict[str, Tensor]:
    """The prediction at random noise levels, by squared error; true color sharpened, by Huber.

    Where a regression's mean is refined, that learns at once, as `unet` does.
    """
    fine = model.target(batch.rgb)
    coarse = F.avg_pool2d(fine, model.fold)
    shown = model.show(batch.lightness)
    count, draws = len(fine), settings.draws
    x0 = coarse.repeat_interleave(draws, 0)
    # The draws of an image from all over the range, not from one stretch of it.
    uniform = rng.uniform(count, draws).T.flatten()
    t = stratified_timesteps(uniform, model.schedule.steps).view(draws, count).T.flatten()
    alpha, sigma = model.schedule.at(t)
    noise = rng.normal(count, draws, *coarse.shape[1:]).flatten(0, 1)
    seen = shown.repeated(draws)
    if model.training and model.condition_dropout:
        hidden = rng.uniform(count, draws).view(-1, 1, 1, 1) < model.condition_dropout
        seen = seen.where(~hidden)
    answer = model(diffuse(x0, noise, alpha, sigma), t, seen)
    target = target_of(model.prediction, x0, noise, alpha, sigma)
    weight = loss_weight(
        model.prediction,
        settings.weighting,
        alpha,
        sigma,
        gamma=settings.snr_gamma,
        floor=settings.weight_floor,
    )
    losses = {LOSS_NAMES[model.prediction]: (weight * (answer.float() - target) ** 2).mean()}
    if shown.mean is not None:
        if model.training:
            model.measure(shown.mean, coarse)
        losses["mean"] = huber(model.sharpen(shown.mean, shown), fine)
    if model.upsample is not None:
        losses["sharpen"] = huber(model.sharpen(coarse, shown), fine)
    return losses
