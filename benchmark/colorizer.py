"""Contract 1: what `models/<name>/model.py` defines, `class Model(Colorizer)`.

A colorizer takes the lightness of images and returns them in color. Everything that must be the
same for every model is written here once: padding, bringing color to full size, keeping the input's
lightness, mapping into the gamut, drawing noise.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, final, get_type_hints

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, create_model
from torch import Tensor, nn

from benchmark.color import TOLERANCE, join, lab_to_rgb, lightness_to_rgb, rgb_to_lab
from benchmark.errors import Diverged
from benchmark.randomness import Noise

SMALLEST_SIDE = 16
ColorSpace = Annotated[
    Literal["lab", "rgb"],
    Field(description="Color to predict: lab is ab beside the input's L, rgb is all of sRGB"),
]
OnStep = Callable[[int, int, Tensor, Tensor], None]
"""A callback, called as on_step(step, steps, state, estimate) at each step of a sampling.

Steps count from 1. The state is what the step starts from, pure noise at the first step; the
estimate is the final image as predicted from there, the output itself at the last step.
"""


@dataclass(frozen=True)
class Statistics:
    """The statistics of color in the training split, for `Colorizer.calibrate`.

    ab_mean, ab_std: mean and standard deviation of a* and b* over all pixels.
    ab_limit: 99.9th percentile of |ab - mean| / std over both channels.
    """

    ab_mean: tuple[float, float]
    ab_std: tuple[float, float]
    ab_limit: float


class Sampling(BaseModel):
    """The options of sampling, chosen at test time. A model with such options subclasses this.

    Each option is a pydantic field: `steps: int = Field(10, ge=1, description="Steps of …")`.
    presets: values for models that were trained with a preset, by its name, such as
    `{"quick": {"steps": 5}}`; what the user types takes precedence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def preview(self) -> Self:
        """The sampling of the preview images of a training: here unchanged.

        Override it where sampling takes many steps.
        """
        return self


class Colorizer(nn.Module, ABC):
    """A network that colors images; its weights and constructor arguments alone rebuild it.

    What a contributor writes in `models/<name>/model.py`, and when each part is used:

    - `class Model(Colorizer)`, under a module docstring whose first line is the model's summary.
    - `__init__(self, *, color_space: ColorSpace = "lab", ...)`: the keyword arguments are the
      architecture. Each is annotated, with a default and, as pydantic's `Annotated[type,
      Field(description=...)]`, its help and bounds. They become settings of the training and are
      saved with the weights. Call `super().__init__(color_space=color_space)` first; then
      `self.channels` is the number of predicted channels, 2 (ab) or 3 (sRGB). Set `size_divisor`.
    - `predict(...)`: called by `colorize` with a padded batch in eval mode, without gradients.
    - `stochastic = True` where two seeds give two images.
    - `sampling_class`: a subclass of `Sampling`, where users can choose how images are sampled.
    - `resolve_sampling`: only where the defaults of a sampling depend on the weights.
    - `denoise`: only where images are sampled step by step, to export the network of a step.
    - `weights_of = "other"`: only where the model is another one with a different sampler.

    A recipe calls the methods it needs in training: `forward` as the model defines it,
    `standardize_lightness`, `target` and `to_ab`. Networks work in standardized color, of zero mean
    and unit deviation over the training split. Everyone else calls only `colorize`.
    """

    stochastic: ClassVar[bool] = False
    sampling_class: ClassVar[type[Sampling]] = Sampling
    weights_of: ClassVar[str | None] = None
    """The model whose training serves this one too, where both differ in the sampler alone: this
    one reads its weights and is trained only when that is asked for."""
    self_conditioning: bool = False
    """Whether a step of the sampling also takes the estimate of the step before, as the argument
    `previous` of `forward` and `denoise`."""
    size_divisor: int = 1
    """`predict` is given heights and widths that are multiples of this many pixels."""
    architecture: dict[str, Any]
    """The constructor arguments that `build` was given, as they are saved with the weights."""

    def __init__(self, *, color_space: ColorSpace = "lab") -> None:
        super().__init__()
        self.color_space = color_space
        self.channels = 2 if color_space == "lab" else 3
        # sRGB is normalized to [-1, 1]; for ab, calibrate() replaces these by measured values.
        center, scale = (0.0, 1.0) if color_space == "lab" else (0.5, 0.5)
        self.color_mean: Tensor
        self.color_std: Tensor
        self.color_limit: Tensor
        self.register_buffer("color_mean", torch.full((1, self.channels, 1, 1), center))
        self.register_buffer("color_std", torch.full((1, self.channels, 1, 1), scale))
        self.register_buffer("color_limit", torch.ones(()))

    @abstractmethod
    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        """Predict color for L* (B, 1, H, W) in [0, 100], sides multiples of `size_divisor`.

        Returns ab in Lab units (B, 2, h, w), or sRGB (B, 3, h, w) if `color_space` is "rgb", at the
        resolution that the model works in. All random draws come from `noise(*shape)`, which
        returns standard normal (B, *shape). `sampling` is resolved, of this model's
        `sampling_class`. A model whose sampling has `steps` calls
        `on_step(step, steps, state, estimate)`, unless it is None, at each step: `step` counts from
        1, `state` is what the step starts from (noise at first), `estimate` the final color as
        predicted from there, both in the form that `predict` returns.
        """

    @final
    @torch.no_grad()
    def colorize(
        self,
        lightness: Tensor,
        *,
        seeds: Sequence[int],
        sampling: Sampling | None = None,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Color images: L* (B, 1, H, W) in [0, 100], sides ≥ 16 → sRGB [0, 1], (B, 3, H, W).

        seeds: one integer an image; the same seed gives the same image in any batch.
        on_step: called at each step with state and estimate as sRGB (B, 3, H, W); never called
        unless `has_steps`.
        Raises ValueError for other shapes or ranges, UserError for a sampling that these weights
        do not allow, and Diverged if `predict` returns numbers that are not finite.
        """
        _require_lightness(lightness, seeds)
        if self.training:
            raise RuntimeError("colorize() works in eval mode only: call eval() first")
        height, width = lightness.shape[2:]
        # Replication adds no structure at the border; at most size_divisor - 1 pixels are added.
        padding = (0, -width % self.size_divisor, 0, -height % self.size_divisor)
        padded = F.pad(lightness.float(), padding, mode="replicate")

        def finish(color: Tensor) -> Tensor:
            color = _resize(color.float(), padded.shape[2:])[:, :, :height, :width]
            return color.clamp(0, 1) if self.color_space == "rgb" else join(lightness, color)

        def report(step: int, steps: int, state: Tensor, estimate: Tensor) -> None:
            if on_step is not None:
                on_step(step, steps, finish(state), finish(estimate))

        noise = Noise(seeds, lightness.device)
        chosen = self.resolve_sampling(self.sampling_class() if sampling is None else sampling)
        watch = report if on_step is not None else None
        color = self.predict(padded, noise=noise, sampling=chosen, on_step=watch)
        if not color.isfinite().all():
            raise Diverged(
                "The network's output is not finite: the weights diverged in training; train again "
                "with a smaller learning rate."
            )
        return finish(color)

    def denoise(
        self, x: Tensor, t: Tensor, lightness: Tensor, previous: Tensor | None = None
    ) -> Tensor:
        """Return what the network predicts at a step of the sampling: one evaluation of it.

        x: the state, as `forward` takes it, (B, C, h, w). t: the time, (B,). lightness: L*
        (B, 1, H, W), sides multiples of `size_divisor`. previous: with `self_conditioning`, what
        the step before gives this one, of the shape of x, or None at the first step. It is what an
        exported network computes, so it has to be the same as `forward` in `predict`.
        """
        raise NotImplementedError

    @classmethod
    def has_steps(cls) -> bool:
        """Whether images are sampled step by step: `steps` is then an option of the sampling."""
        return "steps" in cls.sampling_class.model_fields

    def resolve_sampling(self, sampling: Any) -> Any:
        """Return the sampling with every value set, as it is used with these weights.

        Resolving twice changes nothing. Raises UserError for a value that the weights do not
        allow. Only a model whose defaults depend on its weights overrides this.
        """
        return sampling

    def sampling_changes(self, sampling: Sampling) -> list[str]:
        """Name the values of a resolved sampling that differ from the model's defaults."""
        defaults = self.resolve_sampling(self.sampling_class()).model_dump()
        return [key for key, value in sampling.model_dump().items() if value != defaults[key]]

    def calibrate(self, statistics: Statistics) -> None:
        """Store the statistics of the training split, by which colors are standardized."""
        if self.color_space == "lab":
            self.color_mean.copy_(torch.tensor(statistics.ab_mean).view(1, 2, 1, 1))
            self.color_std.copy_(torch.tensor(statistics.ab_std).view(1, 2, 1, 1))
            self.color_limit.fill_(statistics.ab_limit)

    def standardize(self, color: Tensor) -> Tensor:
        """Map ab to zero mean and unit deviation (or sRGB to [-1, 1]), (B, C, h, w), float32."""
        return (color.float() - self.color_mean) / self.color_std

    def unstandardize(self, standardized: Tensor) -> Tensor:
        """Invert `standardize`."""
        return standardized.float() * self.color_std + self.color_mean

    def target(self, rgb: Tensor) -> Tensor:
        """The standardized color (B, C, H, W) that the network is to predict, from sRGB."""
        return self.standardize(rgb_to_lab(rgb)[:, 1:] if self.color_space == "lab" else rgb)

    def to_ab(self, standardized: Tensor) -> Tensor:
        """Map standardized color of either color space to ab in Lab units, (B, 2, h, w)."""
        color = self.unstandardize(standardized)
        return color if self.color_space == "lab" else rgb_to_lab(color.clamp(0, 1))[:, 1:]

    def to_rgb(self, lightness: Tensor, standardized: Tensor) -> Tensor:
        """Map standardized color (B, C, H, W), with L* (B, 1, H, W), to sRGB for a loss.

        It is differentiable, so colors outside the gamut are left outside [0, 1].
        """
        color = self.unstandardize(standardized)
        if self.color_space == "rgb":
            return color
        return lab_to_rgb(torch.cat([lightness.float(), color], dim=1))

    @staticmethod
    def standardize_lightness(lightness: Tensor) -> Tensor:
        """Map L* in [0, 100] to [-1, 1]."""
        return lightness.float() / 50 - 1

    @classmethod
    @cache
    def architecture_schema(cls) -> type[BaseModel]:
        """The constructor arguments as a pydantic model: names, types, defaults, help."""
        hints = get_type_hints(cls.__init__, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], parameter.default)
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if name != "self"
        }
        config = ConfigDict(
            extra="forbid",
            validate_default=True,
            protected_namespaces=(),
            allow_inf_nan=False,
        )
        return create_model(f"{cls.__name__}Architecture", __config__=config, **fields)

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """Construct the model of an architecture. Raises pydantic.ValidationError if invalid."""
        arguments = cls.architecture_schema()(**architecture).model_dump()
        model = cls(**arguments)
        model.architecture = arguments
        return model


class Pretrained(nn.Module):
    """A part of a network that starts from published weights, which the harness loads.

    name, timm_name: of the encoder, as the settings and as timm have it. backbone: its feature
    pyramid, as `timm.create_model(timm_name, features_only=True)` builds it, with random weights at
    first. Before a training the harness loads its published weights and sets `is_loaded`; without
    them nothing is trained (`benchmark/training/pretrained.py`). In a file of weights it is whole,
    as all other parts are.
    """

    def __init__(self, name: str, timm_name: str, backbone: nn.Module) -> None:
        super().__init__()
        self.name, self.timm_name = name, timm_name
        self.backbone: Any = backbone
        self.is_loaded = False

    @staticmethod
    def gray(lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to gray images in sRGB in [0, 1], (B, 3, H, W)."""
        return lightness_to_rgb(lightness.float())


def pretrained_parts(network: nn.Module) -> list[Pretrained]:
    """Return the parts of a network that start from published weights."""
    return [part for part in network.modules() if isinstance(part, Pretrained)]


def _require_lightness(lightness: Tensor, seeds: Sequence[int]) -> None:
    if lightness.ndim != 4 or lightness.shape[1] != 1:
        raise ValueError(f"lightness has shape {tuple(lightness.shape)}; (B, 1, H, W) is needed")
    if min(lightness.shape[2:]) < SMALLEST_SIDE:
        raise ValueError(
            f"lightness has sides {tuple(lightness.shape[2:])}; at least 16 are needed"
        )
    if len(seeds) != len(lightness):
        raise ValueError(f"{len(seeds)} seeds for {len(lightness)} images")
    low, high = (float(value) for value in torch.aminmax(lightness))
    if not (low >= -TOLERANCE and high <= 100 + TOLERANCE):  # written so that NaN fails too
        raise ValueError(f"lightness spans [{low:.3g}, {high:.3g}]; L* in [0, 100] is needed")


def _resize(color: Tensor, size: torch.Size) -> Tensor:
    if color.shape[2:] == size:
        return color
    return F.interpolate(color, size, mode="bicubic", align_corners=False)
