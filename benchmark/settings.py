"""The hyperparameters of a training: what can be set, the presets, and who decided each value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from benchmark.colorizer import Colorizer
from benchmark.errors import UserError, did_you_mean

Presets = Mapping[str, Mapping[str, Any]]


Size = Annotated[int, Field(ge=32, le=2048, description="side of the images, pixels")]


BatchSize = Annotated[int, Field(ge=1, description="images a step")]


class Settings(BaseModel):
    """Hyperparameters that every model has, with the general defaults.

    A model's `Settings` names its network as `model_class`, overrides defaults, adds fields of its
    own and may add to the presets, of which `tiny` is what the tests train. The constructor
    arguments of the network are not repeated: they live in `architecture`, checked against the
    constructor's signature.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    model_class: ClassVar[type[Colorizer]]
    presets: ClassVar[Presets] = {
        "tiny": {"epochs": 1, "batch_size": 8, "size": 32},
        "quick": {"batch_size": 16},
        "standard": {},
        "large": {"size": 256},
    }

    seed: int = Field(8000, ge=0, description="of weights, batches and noise")
    epochs: int = Field(100, ge=1, description="passes over the training images")
    max_steps: int = Field(0, ge=0, description="end after so many steps; 0: after the epochs")
    batch_size: BatchSize = 64
    size: Size = 64
    learning_rate: float = Field(5e-4, gt=0, description="AdamW's, after warm-up")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's")
    warmup: float = Field(0.03, ge=0, le=1, description="share of training until the full rate")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="of the averaged weights")
    precision: Annotated[Literal["auto", "32", "bf16", "16"], BeforeValidator(str)] = Field(
        "auto", description="auto is bf16 where the hardware has it, else 32"
    )
    accumulate: int = Field(
        1, ge=1, description="batches a step: their gradients are averaged before it is taken"
    )
    save_every: int = Field(
        0, ge=0, description="epochs between kept weights; 0 keeps best and last"
    )
    drop_grayscale: bool = Field(True, description="do not train on grayscale files")
    min_colorfulness: float = Field(0, ge=0, description="do not train on images below this")
    split_seed: int = Field(8000, ge=0, description="of the held-out images; not of the run")
    architecture: dict[str, Any] = Field({}, validate_default=True, description="of the network")

    @field_validator("architecture")
    @classmethod
    def _check_architecture(cls, value: dict[str, Any]) -> dict[str, Any]:
        return cls.model_class.architecture_schema()(**value).model_dump()

    @classmethod
    def described(cls) -> dict[str, tuple[Any, str]]:
        """Every setting's name → (default, help): the fields, then the architecture's."""
        own = {name: field for name, field in cls.model_fields.items() if name != "architecture"}
        nested = cls.model_class.architecture_schema().model_fields
        return {name: (f.default, f.description or "") for name, f in {**own, **nested}.items()}

    def flat(self) -> dict[str, Any]:
        """All settings in one mapping, the architecture's beside the others."""
        values = self.model_dump(mode="json")
        architecture = values.pop("architecture")
        return {**values, **architecture}


SettingsType = TypeVar("SettingsType", bound=Settings)


@dataclass(frozen=True)
class Resolved(Generic[SettingsType]):
    """Settings and, for each, who decided: what was typed, a preset, or whose default."""

    settings: SettingsType
    sources: dict[str, str]


def preset_of(settings_class: type[Settings], preset: str) -> dict[str, Any]:
    """The values of a preset: the general ones, the model's own over them."""
    general, own = Settings.presets, settings_class.presets
    if preset not in general and preset not in own:
        known = ", ".join(dict.fromkeys([*general, *own]))
        raise UserError(f"Preset {preset!r} is not known; there are {known}.")
    return {**general.get(preset, {}), **own.get(preset, {})}


def resolve(
    settings_class: type[SettingsType], model: str, preset: str, typed: Mapping[str, Any]
) -> Resolved[SettingsType]:
    """Settings in force: typed over preset over the model's default over the general default.

    Raises UserError for a name this model does not know or a value that is impossible.
    """
    described = settings_class.described()
    for name in typed:
        if name not in described:
            raise UserError(f"{model} has no setting {name!r}{did_you_mean(name, described)}.")
    chosen = {**preset_of(settings_class, preset), **typed}
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
    """The first fault of a validation as one sentence: what is wrong where."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"] if part != "architecture")
    message = fault["msg"].removeprefix("Value error, ")
    got = "" if isinstance(fault["input"], dict) else f" (got {fault['input']!r})"
    return f"{place}: {message}{got}." if place else f"{message}{got}."


def parse_value(text: str) -> Any:
    """What `--set key=value` means: JSON where it is JSON, a list where there are commas."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    if "," in text:
        return [parse_value(part) for part in text.split(",") if part]
    return text
