"""Types of the constructor arguments that several models have, with their bounds and their help."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from .blocks import GROUPS


def as_list(value: object) -> object:
    """Turn a tuple or a single value into a list, so that one number stands for a list of one."""
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, list) else [value]


def _check_widths(widths: list[int]) -> list[int]:
    if any(width < GROUPS or width % GROUPS for width in widths):
        raise ValueError(f"each width must be a multiple of {GROUPS}")
    return widths


def _check_not_empty(widths: list[int]) -> list[int]:
    if not widths:
        raise ValueError("at least one width is needed")
    return widths


def _check_dilations(dilations: list[int]) -> list[int]:
    if any(dilation < 1 for dilation in dilations):
        raise ValueError("each dilation must be at least 1")
    return dilations


OptionalWidths = Annotated[list[int], BeforeValidator(as_list), AfterValidator(_check_widths)]
Widths = Annotated[
    OptionalWidths,
    AfterValidator(_check_not_empty),
    Field(description="Channels at each level of the network, the finest level first"),
]
Dropout = Annotated[
    float, Field(ge=0, le=0.5, description="Dropout probability in residual blocks")
]
Blocks = Annotated[int, Field(ge=1, le=8, description="Residual blocks per level")]
PatchSize = Annotated[
    int,
    Field(
        ge=1,
        le=8,
        description="Side in pixels of the patches of L that become channels; the network works "
        "at 1/patch_size of the resolution",
    ),
]
Dilations = Annotated[
    list[int],
    BeforeValidator(as_list),
    AfterValidator(_check_dilations),
    Field(description="Dilations of the additional blocks at the coarsest level, in order"),
]
AttentionLevels = Annotated[
    list[Annotated[int, Field(ge=0)]],
    BeforeValidator(as_list),
    Field(
        description="Levels that end in self-attention, 0 the finest; the coarsest level always "
        "has one attention layer in its middle"
    ),
]


def require_levels(attention: Sequence[int], widths: Sequence[int]) -> None:
    """Raise ValueError if `attention` names a level that a network of these widths lacks."""
    if any(level >= len(widths) for level in attention):
        raise ValueError(
            f"attention names levels 0 to {len(widths) - 1}, one for each of the widths"
        )
