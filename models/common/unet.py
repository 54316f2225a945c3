"""The residual U-Net, and its encoder alone.

All models with skip connections share this network, so their architectures differ only in settings.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import GROUPS, Attention, ResidualBlock, Upsample, conv3


class UNetEncoder(nn.Module):
    """The first half of a U-Net: residual blocks, each level at half the size of the one before.

    It maps (B, inputs, h, w) to the features of every level, (B, widths[i], h / 2^i, w / 2^i), the
    finest first; h and w are multiples of 2^(levels - 1). Levels listed in `attention`, 0 the
    finest, end in self-attention. At each level a further feature map may be concatenated to the
    input of the first block; `extra_channels` holds the channels of these maps, or is empty.
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
        extra_channels: Sequence[int] = (),
    ) -> None:
        super().__init__()

        def block(before: int, after: int) -> ResidualBlock:
            return ResidualBlock(before, after, embedding=embedding, dropout=dropout)

        self.conv_in = conv3(inputs, widths[0])
        self.down_blocks = nn.ModuleList()
        self.downsamplers = nn.ModuleList()
        self.down_attention = nn.ModuleList()
        width = widths[0]
        for level, target in enumerate(widths):
            if level:
                self.downsamplers.append(conv3(width, target, stride=2))
                width = target
            first = block(target + (extra_channels[level] if extra_channels else 0), target)
            rest = (block(target, target) for _ in range(blocks - 1))
            self.down_blocks.append(nn.ModuleList([first, *rest]))
            self.down_attention.append(_attention_if(level in attention, target))

    def levels(
        self, x: Tensor, embedding: Tensor | None = None, extra: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """Return the features of every level; `extra` holds one map per level, or is empty."""
        x = self.conv_in(x)
        features = []
        for level, stage in enumerate(self.down_blocks):
            if level:
                x = self.downsamplers[level - 1](x)
            if extra:
                x = torch.cat([x, extra[level]], dim=1)
            for block in cast(nn.ModuleList, stage):
                x = block(x, embedding)
            x = self.down_attention[level](x)
            features.append(x)
        return features


class UNet(UNetEncoder):
    """Encoder and decoder of residual blocks with skips and attention at the coarsest level.

    It maps (B, inputs, h, w) to (B, widths[0], h, w); h and w are multiples of 2^(levels - 1).

    A vector (B, embedding) modulates every block, or, if `embed` is "decoder", only the middle
    blocks and those of the decoder except at the finest level. Levels listed in `attention` end in
    self-attention in the encoder and in the decoder.
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
        extra_channels: Sequence[int] = (),
    ) -> None:
        super().__init__(
            inputs,
            widths,
            blocks,
            embedding=embedding if embed == "all" else 0,
            dropout=dropout,
            attention=attention,
            extra_channels=extra_channels,
        )

        def block(before: int, after: int, *, embedded: bool) -> ResidualBlock:
            features = embedding if embedded or embed == "all" else 0
            return ResidualBlock(before, after, embedding=features, dropout=dropout)

        width = widths[-1]
        self.mid_block = nn.ModuleList(block(width, width, embedded=True) for _ in range(2))
        self.mid_attention = Attention(width)
        self.up_blocks = nn.ModuleList()
        self.upsamplers = nn.ModuleList()
        self.up_attention = nn.ModuleList()
        for level in reversed(range(len(widths))):
            target = widths[level]
            coarse = level > 0
            # Its input is the upsampled features and the skip, concatenated.
            first = block(2 * target, target, embedded=coarse)
            rest = (block(target, target, embedded=coarse) for _ in range(blocks - 1))
            self.up_blocks.append(nn.ModuleList([first, *rest]))
            if level:
                self.upsamplers.append(Upsample(target, widths[level - 1]))
            self.up_attention.append(_attention_if(level in attention, target))
        self.norm_out = nn.GroupNorm(GROUPS, widths[0])

    def forward(
        self, x: Tensor, embedding: Tensor | None = None, extra: Sequence[Tensor] = ()
    ) -> Tensor:
        return self.decode(self.levels(x, embedding, extra), embedding)

    def decode(self, levels: Sequence[Tensor], embedding: Tensor | None = None) -> Tensor:
        """Map the features of every level, as from `levels`, to features (B, widths[0], h, w)."""
        x = self.mid_block[0](levels[-1], embedding)
        x = self.mid_block[1](self.mid_attention(x), embedding)
        for level, (stage, skip) in enumerate(zip(self.up_blocks, reversed(levels), strict=True)):
            if level:
                x = self.upsamplers[level - 1](x)
            x = torch.cat([x, skip], dim=1)
            for block in cast(nn.ModuleList, stage):
                x = block(x, embedding)
            x = self.up_attention[level](x)
        features: Tensor = F.silu(self.norm_out(x))
        return features


def _attention_if(wanted: bool, channels: int) -> nn.Module:
    return Attention(channels) if wanted else nn.Identity()
