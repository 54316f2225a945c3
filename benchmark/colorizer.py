"""Contract 1: what `models/<name>/model.py` defines, `class Model(Colorizer)`.

A colorizer is given the lightness of images and returns them in color. Everything that must be
the same for every model is written here once: padding, bringing color to full size, keeping the
input's lightness, mapping into the gamut, drawing noise.
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

from benchmark.color import TOLERANCE, join, rgb_to_lab
from benchmark.randomness import Noise

SMALLEST_SIDE = 16


ColorSpace = Annotated[
    Literal["lab", "rgb"],
    Field(description="what is predicted: ab beside the kept L (lab), or all of sRGB (rgb)"),
]


OnStep = Callable[[int, int, Tensor, Tensor], None]
"""Called as on_step(step, steps, state, estimate) at each step of the way from noise to an image.

Steps count from 1. The state is what the step starts from, at the first one pure noise; the
estimate is where the way would end as seen from there, at the last step the image itself.
"""


@dataclass(frozen=True)
class Statistics:
    """What the harness measures on the training split, for `Colorizer.calibrate`.

    ab_mean, ab_std: mean and standard deviation of a* and b* over all pixels.
    ab_limit: 99.9th percentile of |ab - mean| / std over both channels.
    """

    ab_mean: tuple[float, float]
    ab_std: tuple[float, float]
    ab_limit: float


class Sampling(BaseModel):
    """What can be chosen at test time. A model with choices subclasses this; others have none.

    `presets` names what is chosen unless typed, where a model was trained with a preset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def preview(self) -> Self:
        """The same with less work, for the images that a training shows of itself."""
        return self

    def for_validation(self) -> Self:
        """As little work, and nothing that makes poor samples look better: by this, weights are
        chosen."""
        return self.preview()


class Colorizer(nn.Module, ABC):
    """A network that colors images, whole: its weights and its constructor's arguments suffice.

    A subclass writes `predict`, and states `size_divisor` (the sides it can work on) and, where two
    seeds give two images, `stochastic` and a `Sampling` of its own. The constructor's keyword
    arguments are the architecture: annotated, with defaults, saved beside the weights.
    """

    stochastic: ClassVar[bool] = False
    sampling_class: ClassVar[type[Sampling]] = Sampling
    weights_of: ClassVar[str | None] = None
    """The model whose training serves this one too, where both differ in the sampler alone: this
    one reads its weights and is trained only when that is asked for."""
    size_divisor: int = 1
    """Height and width given to `predict` are padded to a multiple of this many pixels."""
    architecture: dict[str, Any]
    """The constructor's arguments, as `build` was given them and the weights' file keeps them."""

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
        """Color for `lightness` (B, 1, H, W) in [0, 100], sides multiples of `size_divisor`.

        Returns ab in Lab units (B, 2, h, w), or sRGB (B, 3, h, w) if `color_space` is "rgb", at
        whatever resolution the model works in. `noise(*shape)` draws one sample an image;
        `sampling` is an instance of this model's `sampling_class`. A model that has steps calls
        `on_step`, unless it is None, at each of them, with color as it returns it.
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
        on_step: told of each step, the state and the estimate as sRGB (B, 3, H, W); never called
        unless `has_steps`.
        Raises ValueError for other shapes or ranges, UserError for a sampling that these weights
        cannot be sampled with.
        """
        _require_lightness(lightness, seeds)
        if self.training:
            raise RuntimeError("colorize() is for testing: call eval() first")
        height, width = lightness.shape[2:]
        # Replication invents no structure at the border; at most multiple - 1 pixels are added.
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
        return finish(self.predict(padded, noise=noise, sampling=chosen, on_step=watch))

    @classmethod
    def has_steps(cls) -> bool:
        """Whether images are made step by step: then `steps` is among what can be chosen."""
        return "steps" in cls.sampling_class.model_fields

    def resolve_sampling(self, sampling: Any) -> Any:
        """Return the sampling with every value set, as these weights are sampled with it.

        Raises UserError if they cannot be sampled so. A model whose defaults depend on its weights
        overrides this.
        """
        return sampling

    def sampling_changes(self, sampling: Sampling) -> list[str]:
        """The names of the values of a resolved sampling that differ from the model's defaults."""
        defaults = self.resolve_sampling(self.sampling_class()).model_dump()
        return [key for key, value in sampling.model_dump().items() if value != defaults[key]]

    def calibrate(self, statistics: Statistics) -> None:
        """Store what was measured on the training split, so that models work in standardized ab."""
        if self.color_space == "lab":
            self.color_mean.copy_(torch.tensor(statistics.ab_mean).view(1, 2, 1, 1))
            self.color_std.copy_(torch.tensor(statistics.ab_std).view(1, 2, 1, 1))
            self.color_limit.fill_(statistics.ab_limit)

    def standardize(self, color: Tensor) -> Tensor:
        """ab (or sRGB) → zero mean, unit deviation (or [-1, 1]), (B, C, h, w), float32."""
        return (color.float() - self.color_mean) / self.color_std

    def unstandardize(self, standardized: Tensor) -> Tensor:
        """The way back from `standardize`."""
        return standardized.float() * self.color_std + self.color_mean

    def target(self, rgb: Tensor) -> Tensor:
        """What the network is to predict for true images sRGB (B, 3, H, W), standardized."""
        return self.standardize(rgb_to_lab(rgb)[:, 1:] if self.color_space == "lab" else rgb)

    def to_ab(self, standardized: Tensor) -> Tensor:
        """What the network predicts → ab in Lab units, (B, 2, h, w), whatever the color space."""
        color = self.unstandardize(standardized)
        return color if self.color_space == "lab" else rgb_to_lab(color.clamp(0, 1))[:, 1:]

    @staticmethod
    def standardize_lightness(lightness: Tensor) -> Tensor:
        """L* in [0, 100] → [-1, 1]."""
        return lightness.float() / 50 - 1

    @classmethod
    @cache
    def architecture_schema(cls) -> type[BaseModel]:
        """The constructor's keyword arguments as a pydantic model: names, types, defaults, help."""
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
        """Construct with validated arguments (pydantic.ValidationError), and remember them."""
        arguments = cls.architecture_schema()(**architecture).model_dump()
        model = cls(**arguments)
        model.architecture = arguments
        return model


def _require_lightness(lightness: Tensor, seeds: Sequence[int]) -> None:
    if lightness.ndim != 4 or lightness.shape[1] != 1:
        raise ValueError(f"lightness has shape {tuple(lightness.shape)}; (B, 1, H, W) is needed")
    if min(lightness.shape[2:]) < SMALLEST_SIDE:
        raise ValueError(f"lightness has sides {tuple(lightness.shape[2:])}; 16 is the least")
    if len(seeds) != len(lightness):
        raise ValueError(f"{len(seeds)} seeds for {len(lightness)} images")
    low, high = (float(value) for value in torch.aminmax(lightness))
    if not (low >= -TOLERANCE and high <= 100 + TOLERANCE):  # so written that NaN fails too
        raise ValueError(f"lightness spans [{low:.3g}, {high:.3g}]; L* in [0, 100] is needed")


def _resize(color: Tensor, size: torch.Size) -> Tensor:
    if color.shape[2:] == size:
        return color
    return F.interpolate(color, size, mode="bicubic", align_corners=False)
