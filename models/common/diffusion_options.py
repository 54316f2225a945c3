"""Types of the arguments and sampling options of diffusion models, with their bounds and help."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .diffusion import MAX_TERMINAL_SIGNAL, Prediction, ScheduleName
from .options import OptionalWidths
from .samplers import SamplerName

Timesteps = Annotated[int, Field(ge=10, le=4000, description="Noise levels T of the training")]
Shift = Annotated[
    float,
    Field(
        gt=0,
        description="Shift of the noise schedule: above 1 more of the training is at high noise "
        "levels",
    ),
]
ScheduleOption = Annotated[
    ScheduleName, Field(description="Noise schedule: cosine, linear or sigmoid")
]
Offset = Annotated[
    float,
    Field(ge=0, le=1, description="Offset s of the cosine schedule; its paper uses 0.008"),
]
ZeroTerminal = Annotated[
    bool,
    Field(description="Rescale the schedule to end in pure noise; false keeps it as published"),
]
AllowSignal = Annotated[
    bool,
    Field(
        description="Allow schedules whose last step keeps a signal √ᾱ above "
        f"{MAX_TERMINAL_SIGNAL:g}"
    ),
]
PredictionOption = Annotated[
    Prediction, Field(description="Prediction target of the network: v, epsilon or x0")
]
TimeDim = Annotated[
    int,
    Field(
        ge=0,
        le=4096,
        description="Features of the time embedding; 0 means four times the first width",
    ),
]
Steps = Annotated[
    int,
    Field(
        ge=1,
        le=4000,
        description="Steps of the sampler, spread evenly over the noise levels of the training, "
        "and at most as many as those",
    ),
]
Sampler = Annotated[
    SamplerName, Field(description="Sampler: ddpm, ddim, or dpmpp for DPM-Solver++(2M)")
]
AbScale = Annotated[
    Literal["measured", "110"],
    BeforeValidator(str),
    Field(description="Divisor of ab: measured is its own standard deviation, 110 is fixed"),
]
ConditionKind = Annotated[
    Literal["regression", "encoder", "concat"],
    Field(
        description="Inputs of the network beside noisy color: concat is L; encoder is L and an "
        "encoder's features of it; regression is L and a regression's mean color, which is refined"
    ),
]
RegressionWidths = Annotated[
    OptionalWidths,
    Field(description="Channels at each level of the regression; empty means the same as widths"),
]
SelfConditioning = Annotated[
    bool,
    Field(
        description="Give the denoiser its previous estimate of the color as further channels "
        "(Chen et al. 2023, Analog Bits); half of a batch is trained with one"
    ),
]
ConditionDropout = Annotated[
    float,
    Field(
        ge=0,
        le=0.5,
        description="Share of the training images whose L is hidden, which guidance needs",
    ),
]
Draws = Annotated[
    int,
    Field(
        ge=1,
        description="Noise levels per image and step; L is encoded once for all of them",
    ),
]
