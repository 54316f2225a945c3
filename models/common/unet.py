"""The residual U-Net that all models with skips are built on.

One network for all of them on purpose: then a comparison compares how they learn, not how wide
they are.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor, nn

from .blocks import GROUPS, Attention, ResidualBlock, Upsample, conv3


def as_list(value: object) -> object:
    """One number stands for a list of one."""
    return (
        list(value) if isinstance(value, tuple) else value if isinstance(value, list) else [value]
    )


def _check_widths(widths: list[int]) -> list[int]:
    if any(width < GROUPS or width % GROUPS for width in widths):
        raise ValueError(f"each width must be a multiple of {GROUPS}")
    return widths


def _check_some(widths: list[int]) -> list[int]:
    if not widths:
        raise ValueError("at least one width is needed")
    return widths


WidthsOrNone = Annotated[list[int], BeforeValidator(as_list), AfterValidator(_check_widths)]
Widths = Annotated[
    WidthsOrNone,
    AfterValidator(_check_some),
    Field(description="channels at each level, the finest first"),
]
Blocks = Annotated[int, Field(ge=1, le=8, description="residual blocks a level")]
AttentionLevels = Annotated[
    list[Annotated[int, Field(ge=0)]],
    BeforeValidator(as_list),
    Field(description="levels that end in self-attention, 0 the finest; the bottom has it anyway"),
]
Fold = Annotated[
    int, Field(ge=1, le=8, description="pixels of L folded into channels, along each side")
]


class UNetEncoder(nn.Module):
    """The first half of a U-Net: residual blocks, each level at half the size of the one before.

    (B, inputs, h, w) → features of every level, (B, widths[i], h / 2^i, w / 2^i), the finest first;
    h and w are multiples of 2^(levels - 1). The levels named in `attention`, 0 the finest, end in
    self-attention. `beside` are the channels at each level of maps that its blocks see too.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        blocks: int,
        *,
        embedding: int = 0,
        dropout: float = 0.0,
        attention: Sequence[int] = (),
        beside: Sequence[int] = (),
    ) -> None:
        super().__init__()

        def block(before: int, after: int) -> ResidualBlock:
            return ResidualBlock(before, after, embedding=embedding, dropout=dropout)

        self.enter = conv3(inputs, widths[0])
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        self.attention_down = nn.ModuleList()
        width = widths[0]
        for level, target in enumerate(widths):
            if level:
                self.shrink.append(conv3(width, target, stride=2))
                width = target
            first = block(target + (beside[level] if beside else 0), target)
            rest = (block(target, target) for _ in range(blocks - 1))
            self.down.append(nn.ModuleList([first, *rest]))
            self.attention_down.append(_attention_if(level in attention, target))

    def levels(
        self, x: Tensor, embedding: Tensor | None = None, beside: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """→ the features of every level. `beside` holds a map for each, where there are any."""
        x = self.enter(x)
        features = []
        for level, stage in enumerate(self.down):
            if level:
                x = self.shrink[level - 1](x)
            if beside:
                x = torch.cat([x, beside[level]], dim=1)
            for block in cast(nn.ModuleList, stage):
                x = block(x, embedding)
            x = self.attention_down[level](x)
            features.append(x)
        return features


class UNet(UNetEncoder):
    """Encoder and decoder of residual blocks with skips and attention at the coarsest level.

    (B, inputs, h, w) → (B, widths[0], h, w); h and w are multiples of 2^(levels - 1).

    A vector (B, embedding) modulates every block; or, if `embed` is "decoder", those from the
    bottom upwards except at the finest level. Levels named in `attention` have it on both ways.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        blocks: int,
        *,
        embedding: int = 0,
        embed: Literal["all", "decoder"] = "all",
        dropout: float = 0.0,
        attention: Sequence[int] = (),
        beside: Sequence[int] = (),
    ) -> None:
        super().__init__(
            inputs,
            widths,
            blocks,
            embedding=embedding if embed == "all" else 0,
            dropout=dropout,
            attention=attention,
            beside=beside,
        )

        def block(before: int, after: int, *, embedded: bool) -> ResidualBlock:
            features = embedding if embedded or embed == "all" else 0
            return ResidualBlock(before, after, embedding=features, dropout=dropout)

        width = widths[-1]
        self.middle = nn.ModuleList(block(width, width, embedded=True) for _ in range(2))
        self.attention = Attention(width)
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        self.attention_up = nn.ModuleList()
        for level in reversed(range(len(widths))):
            target = widths[level]
            coarse = level > 0
            first = block(2 * target, target, embedded=coarse)  # what came up, beside the skip
            rest = (block(target, target, embedded=coarse) for _ in range(blocks - 1))
            self.up.append(nn.ModuleList([first, *rest]))
            if level:
                self.grow.append(Upsample(target, widths[level - 1]))
            self.attention_up.append(_attention_if(level in attention, target))
        self.leave = nn.GroupNorm(GROUPS, widths[0])

    def forward(
        self, x: Tensor, embedding: Tensor | None = None, beside: Sequence[Tensor] = ()
    ) -> Tensor:
        levels = self.levels(x, embedding, beside)
        return self.decode(levels[-1], levels, embedding)

    def encode(self, x: Tensor, embedding: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """→ the coarsest features (B, widths[-1], …), and the skips, the finest first."""
        levels = self.levels(x, embedding)
        return levels[-1], levels

    def decode(self, x: Tensor, skips: list[Tensor], embedding: Tensor | None = None) -> Tensor:
        """The way up from what `encode` gave."""
        x = self.middle[0](x, embedding)
        x = self.middle[1](self.attention(x), embedding)
        for level, (stage, skip) in enumerate(zip(self.up, reversed(skips), strict=True)):
            if level:
                x = self.grow[level - 1](x)
            x = torch.cat([x, skip], dim=1)
            for block in cast(nn.ModuleList, stage):
                x = block(x, embedding)
            x = self.attention_up[level](x)
        features: Tensor = F.silu(self.leave(x))
        return features


def _attention_if(wanted: bool, channels: int) -> nn.Module:
    return Attention(channels) if wanted else nn.Identity()
