"""The hyperparameters of a training: their defaults, the presets, and who decided each value.

Nothing here imports torch. `main.py --help` shows the defaults and descriptions of `Settings`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from benchmark.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from benchmark.colorizer import Colorizer

DEFAULT_PRESET, SAMPLE_PRESET = "standard", "quick"
"""The presets of a training for which none is named; the second is that of all models together on
the built-in sample."""
CPU_PRESET, CPU_PRESET_FROM_SCRATCH = "small-pretrained", "small"
"""The presets of all models together on other images where there is no GPU; the second one if
`--encoder none` was typed."""
FIGURE_IMAGES = 4
"""The default number of images in the figure of a test."""

NO_ENCODER = "none"
"""The value of the setting `encoder` of a model without a pretrained encoder."""

Presets = Mapping[str, Mapping[str, Any]]
Size = Annotated[int, Field(ge=32, le=2048, description="Side of the square images in pixels")]
Augmentation = Literal["crop", "resized_crop"]
Degradation = Literal["none", "old"]
Truncated = Literal["skip", "keep"]
BatchSize = Annotated[int, Field(ge=1, description="Images per batch")]


class Settings(BaseModel):
    """Hyperparameters that every model has, with the general defaults.

    A model's `Settings` names its network as `model_class`, overrides defaults, and may add fields
    and presets of its own. The constructor arguments of the network are not repeated: they are
    nested in `architecture`, validated against the constructor's signature.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    model_class: ClassVar["type[Colorizer]"]
    presets: ClassVar[Presets] = {
        "quick": {"batch_size": 16},
        "small": {"batch_size": 32, "augmentation": "resized_crop"},
        "small-pretrained": {"batch_size": 32, "augmentation": "resized_crop"},
        "standard": {},
        "large": {"size": 256},
    }

    seed: int = Field(
        8000, ge=0, lt=2**63, description="Seed of the first weights, the batches and the noise"
    )
    epochs: int = Field(100, ge=1, description="Passes over the training images")
    max_steps: int = Field(
        0, ge=0, description="Optimizer steps after which training ends; 0 trains all epochs"
    )
    batch_size: BatchSize = 64
    size: Size = 64
    learning_rate: float = Field(
        1e-3, gt=0, description="Peak learning rate of AdamW, reached after the warm-up"
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW")
    warmup: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Share of training in which the learning rate rises to its peak",
    )
    clip: float = Field(
        1.0, gt=0, description="Largest norm of the gradients; larger ones are scaled down to it"
    )
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="Decay of the exponential moving average of the weights"
    )
    precision: Annotated[Literal["auto", "32", "bf16", "16"], BeforeValidator(str)] = Field(
        "auto",
        description="Floating-point format of training; auto is bf16 where the hardware "
        "multiplies it, otherwise 32",
    )
    accumulate: int = Field(
        1, ge=1, description="Batches whose gradients are averaged for one optimizer step"
    )
    augmentation: Augmentation = Field(
        "crop",
        description="Random windows of training images: crop, of 8/9 of the side, or resized_crop, "
        "of 2/3 to all of it, resized to one size, which helps where images are few",
    )
    degrade: Degradation = Field(
        "none",
        description="Degradation of the L* of training images: none, or old for blur, film grain, "
        "fading, scratches and JPEG artifacts, each in half of the images",
    )
    save_every: int = Field(
        0, ge=0, description="Epochs between kept weights; 0 keeps the best and the last only"
    )
    keep: int = Field(
        0,
        ge=0,
        description="Number of the weights of save_every that are kept, the latest ones; 0 keeps "
        "all",
    )
    patience: int = Field(
        0,
        ge=0,
        description="Epochs without a better validation after which training stops; 0 trains to "
        "the end",
    )
    drop_grayscale: bool = Field(
        True, description="Whether grayscale files are left out of training"
    )
    min_colorfulness: float = Field(
        0, ge=0, description="Least colorfulness of a training image; 0 keeps all images"
    )
    drop_near_copies: bool = Field(
        True,
        description="Whether images that look like one of the test are left out of training and "
        "validation",
    )
    truncated: Truncated = Field(
        "skip",
        description="JPEG files whose end is missing: skip, or keep for training on the part that "
        "is there",
    )
    split_seed: int = Field(
        8000,
        ge=0,
        description="Seed that chooses the held-out images; independent of the seed of the run",
    )
    architecture: dict[str, Any] = Field(
        {}, validate_default=True, description="Arguments of the network's constructor"
    )

    @field_validator("architecture")
    @classmethod
    def _check_architecture(cls, value: dict[str, Any]) -> dict[str, Any]:
        return cls.model_class.architecture_schema()(**value).model_dump()

    @classmethod
    def described(cls) -> dict[str, tuple[Any, str]]:
        """Return each setting's name → (default, help): the fields, then the architecture's."""
        own = {name: field for name, field in cls.model_fields.items() if name != "architecture"}
        nested = cls.model_class.architecture_schema().model_fields
        return {name: (f.default, f.description or "") for name, f in {**own, **nested}.items()}

    def flat(self) -> dict[str, Any]:
        """Return all settings in one mapping, the architecture's beside the others."""
        values = self.model_dump(mode="json")
        architecture = values.pop("architecture")
        return {**values, **architecture}


SettingsType = TypeVar("SettingsType", bound=Settings)


@dataclass(frozen=True)
class Resolved(Generic[SettingsType]):
    """Settings, and the source of each value: typed, a preset, or a default and whose.

    sources: by the setting's name, as settings.json stores it.
    """

    settings: SettingsType
    sources: dict[str, str]


def preset_of(settings_class: type[Settings], preset: str) -> dict[str, Any]:
    """Return the values of a preset: the general ones, overridden by the model's own.

    Raises UserError for a name that is no preset.
    """
    general, own = Settings.presets, settings_class.presets
    if preset not in general and preset not in own:
        known = ", ".join(dict.fromkeys([*general, *own]))
        raise UserError(f"Preset {preset!r} does not exist; the presets are {known}.")
    return {**general.get(preset, {}), **own.get(preset, {})}


def resolve(
    settings_class: type[SettingsType], model: str, preset: str, typed: Mapping[str, Any]
) -> Resolved[SettingsType]:
    """Resolve the settings: typed over preset over the model's default over the general default.

    Raises UserError for a name that the model does not have or a value that is not allowed.
    """
    described = settings_class.described()
    for name in typed:
        if name not in described:
            end = did_you_mean(name, described) or "."
            raise UserError(f"{model} has no setting {name!r}{end}")
    chosen = {**preset_of(settings_class, preset), **typed}
    for name in chosen:
        if name not in described:
            raise UserError(f"The preset {preset} of models/{model} sets {name!r}, which it lacks.")
    nested = settings_class.model_class.architecture_schema().model_fields
    fields: dict[str, Any] = {k: v for k, v in chosen.items() if k not in nested}
    fields["architecture"] = {k: v for k, v in chosen.items() if k in nested}
    try:
        settings = settings_class(**fields)
    except ValidationError as error:
        raise UserError(f"{model}: {sentence_of(error)}") from error

    def source(name: str) -> str:
        if name in typed:
            return "typed"
        if name in chosen:
            return f"preset {preset}"
        general = Settings.model_fields.get(name)
        own = not general or general.default != described[name][0]
        return f"{model}'s default" if own else "general default"

    return Resolved(settings, {name: source(name) for name in described})


def sentence_of(error: ValidationError) -> str:
    """Return the first error of a validation as one sentence that names the value and the fault."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"] if part != "architecture")
    message = fault["msg"].removeprefix("Value error, ")
    got = "" if isinstance(fault["input"], dict) else f" (got {fault['input']!r})"
    return f"{place}: {message}{got}." if place else f"{message}{got}."


def parse_value(text: str) -> Any:
    """Parse the value of `--set KEY=VALUE`: JSON, else a list if it has commas, else text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    if "," in text:
        return [parse_value(part) for part in text.split(",") if part]
    return text
