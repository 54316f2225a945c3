"""The network, the objective and the sampling that the diffusion models share.

They differ in how they are usually sampled.

A U-Net denoises standardised ab at a quarter of the resolution, with L beside it folded into
channels. At that size neighbouring pixels no longer repeat each other, so the network learns at
the noisy steps, where hues are decided, and sampling is cheap. A small network then brings the
colour to full size along the edges of L. With `fold=1` the U-Net works at full size, and there is
nothing to sharpen: in sRGB that is the classic recipe, four channels in and three out.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

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

from benchmark import colorizer, recipe
from benchmark.colorizer import Colorizer, ColorSpace, Noise, OnStep, Statistics
from benchmark.errors import UserError
from benchmark.recipe import Batch, Randomness

from .blocks import ConvexUpsample, conv3, zeroed
from .diffusion import (
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
from .losses import huber
from .samplers import (
    SamplerName,
    Spacing,
    denoise,
    dynamic_threshold,
    guided,
    static_threshold,
    step_of,
    timesteps_of,
)
from .unet import AttentionLevels, Blocks, Fold, UNet, UNetEncoder, Widths

Condition = tuple[Tensor, Sequence[Tensor]]
"""What the denoiser is shown of L: folded (B, fold², h, w), and an encoder's map at each level."""
Steps = Annotated[
    int, Field(ge=1, le=4000, description="of the sampler; at most T, fewer are spread evenly")
]
Sampler = Annotated[
    SamplerName, Field(description="ddpm, ddim or dpmpp, which is DPM-Solver++(2M)")
]
GUIDANCE, TEMPERATURE = 1.8, 0.85
"""Where they were not chosen, and the weights were trained with condition_dropout.

Chosen on validation pictures: the least LPIPS among those within a tenth of the truth's
colourfulness and with well below half of the ab divergence that regression has.
"""
LOSS_NAMES: Mapping[Prediction, str] = {"v": "velocity", "epsilon": "noise", "x0": "picture"}


class Sampling(colorizer.Sampling):
    """What can be chosen at test time, with any weights of a diffusion model."""

    presets: ClassVar = {"tiny": {"steps": 20}}

    steps: Steps = 50
    sampler: Sampler = "ddim"
    # Some fresh noise at each step mends what a short training got wrong; chosen on validation
    # pictures among 0, 0.5, 0.8 and 1 (LPIPS .156, .146, .145, .148).
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
        description="deviation of all noise drawn: below 1 safer, less diverse; 1, or "
        f"{TEMPERATURE:g} with weights trained for guidance",
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

    def preview(self) -> Self:
        return self.model_copy(update={"steps": min(self.steps, 10)})


class Denoiser(Colorizer):
    """Predicts v (Salimans and Ho 2022) under a schedule shifted towards noise, unless set so."""

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
            Literal["concat", "encoder"],
            Field(description="L beside the noisy colour, or also an encoder's maps of it"),
        ] = "concat",
        condition_dropout: Annotated[
            float, Field(ge=0, le=0.5, description="share of training without L, for guidance")
        ] = 0.1,
    ) -> None:
        super().__init__(color_space=color_space)
        require_levels(attention, widths)
        self.ab_scale = ab_scale
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
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
        encoded = condition == "encoder"
        self.trunk = UNet(
            fold**2 + self.channels,
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
            self.edges = nn.Sequential(
                conv3(fold**2, widths[0]), nn.SiLU(), conv3(widths[0], widths[0]), nn.SiLU()
            )
            self.upsample = ConvexUpsample(widths[0], fold, color_space, skip=fold**2)
        self.encoder = UNetEncoder(fold**2, widths, blocks, dropout=dropout) if encoded else None

    def calibrate(self, statistics: Statistics) -> None:
        by_110 = Statistics((0.0, 0.0), (110.0, 110.0), 1.0)
        super().calibrate(statistics if self.ab_scale == "measured" else by_110)

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """The answer, (B, C, h, w), to noisy colour x_t (B, C, h, w) at t (B,)."""
        folded, maps = condition
        answer: Tensor = self.velocity(self.trunk(torch.cat([x, folded], 1), self.time(t), maps))
        return answer

    def fold_lightness(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → (B, fold², H/fold, W/fold)."""
        return F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)

    def show(self, folded: Tensor) -> Condition:
        """What the denoiser sees of L folded; of zeros, as if there were no picture."""
        return folded, (self.encoder.levels(folded) if self.encoder is not None else ())

    def sharpen(self, coarse: Tensor, folded: Tensor) -> Tensor:
        """Standardised colour at the denoiser's size → at full size, along the edges of L."""
        if self.upsample is None or self.edges is None:
            return coarse
        full: Tensor = self.upsample(coarse, self.edges(folded), folded)
        return full

    def settle(self, sampling: Any) -> Any:
        steps = min(sampling.steps, self.schedule.steps)
        guidance, temperature = sampling.guidance, sampling.temperature
        if self.condition_dropout:
            guidance = GUIDANCE if guidance is None else guidance
            temperature = TEMPERATURE if temperature is None else temperature
        elif guidance not in (None, 1):
            raise UserError(
                f"guidance {guidance:g} needs weights that were trained without L now and then: "
                "train with --set condition_dropout=0.1, or leave guidance out."
            )
        else:  # there is no other guidance, and nothing to tell of what is 1
            guidance, temperature = None, None if temperature == 1 else temperature
        settled = {"steps": steps, "guidance": guidance, "temperature": temperature}
        return sampling.model_copy(update=settled)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        folded = self.fold_lightness(lightness)
        shown = self.show(folded)
        guidance = 1.0 if sampling.guidance is None else sampling.guidance
        temperature = 1.0 if sampling.temperature is None else sampling.temperature
        hidden = self.show(torch.zeros_like(folded)) if guidance != 1 else None
        clip = static_threshold if sampling.threshold == "static" else dynamic_threshold
        limit = float(self.color_limit)

        def draw() -> Tensor:
            return temperature * noise(self.channels, *folded.shape[2:])

        def estimate(x: Tensor, t: Tensor) -> Tensor:
            answer = self(x, t, shown).float()
            if hidden is not None:
                answer = guided(answer, self(x, t, hidden).float(), guidance)
            return clip(x0_of(self.prediction, answer, x, *self.schedule.at(t)), limit)

        def finished(coarse: Tensor) -> Tensor:
            return self.unstandardize(self.sharpen(coarse, folded))

        def report(step: int, steps: int, x: Tensor, x0: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finished(x), finished(x0))

        coarse = denoise(
            estimate,
            self.schedule,
            draw(),
            step_of(sampling.sampler, draw, sampling.eta),
            timesteps=timesteps_of(sampling.spacing, self.schedule.steps, sampling.steps),
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


class DenoiserSettings(recipe.Settings):
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
        "condition_dropout": 0.0,
        "batch_size": 2,
        "accumulate": 4,
        "ema_decay": 0.9999,
        "learning_rate": 2e-4,
        "weight_decay": 0.01,
    }
    presets: ClassVar[recipe.Presets] = {
        # To learn pictures by heart: guidance would go beyond them.
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
            "condition_dropout": 0.0,
        },
        "large": {"widths": [128, 256, 384, 512], "shift": 8.0},
        "cartoon-ddpm": {**_classic, "schedule": "cosine", "offset": 0.008, "timesteps": 500},
        "tiny-imagenet-ddpm": {**_classic, "schedule": "linear", "size": 64, "dropout": 0.15},
        # Its linear schedule of 350 steps keeps 0.17 of the picture: ended in pure noise instead.
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


def denoising_losses(
    model: Denoiser, batch: Batch, rng: Randomness, settings: DenoiserSettings
) -> dict[str, Tensor]:
    """The prediction at random noise levels, by squared error; true colour sharpened, by Huber."""
    fine = model.target(batch.rgb)
    coarse = F.avg_pool2d(fine, model.fold)
    folded = model.fold_lightness(batch.lightness)
    t = stratified_timesteps(rng.uniform(len(fine)), model.schedule.steps)
    alpha, sigma = model.schedule.at(t)
    noise = rng.normal(*coarse.shape)
    shown = folded
    if model.training and model.condition_dropout:
        kept = rng.uniform(len(fine), 1, 1, 1) >= model.condition_dropout
        shown = folded * kept
    answer = model(diffuse(coarse, noise, alpha, sigma), t, model.show(shown))
    target = target_of(model.prediction, coarse, noise, alpha, sigma)
    weight = loss_weight(
        model.prediction,
        settings.weighting,
        alpha,
        sigma,
        gamma=settings.snr_gamma,
        floor=settings.weight_floor,
    )
    losses = {LOSS_NAMES[model.prediction]: (weight * (answer.float() - target) ** 2).mean()}
    if model.upsample is not None:
        # Nothing the denoiser learns depends on this: the two share no weights.
        losses["sharpen"] = huber(model.sharpen(coarse, folded), fine)
    return losses
