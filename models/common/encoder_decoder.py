"""A residual encoder and a light decoder without skip connections between them.

All models without skip connections are built of these two. The coarsest feature map is the only
input of the decoder.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import GROUPS, ResidualBlock, Upsample, conv3


class Encoder(nn.Module):
    """Residual blocks (He et al. 2016), each level at half the size of the one before.

    The last blocks may be dilated, which widens their receptive field at the same resolution (Yu et
    al. 2017, "Dilated Residual Networks"). It maps (B, inputs, h, w) to
    (B, widths[-1], h / 2^(levels - 1), w / 2^(levels - 1)). At each level a further feature map may
    be concatenated to the input of the first block; `extra_channels` holds the channels of these
    maps, or is empty.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        blocks: int,
        dilations: Sequence[int] = (),
        *,
        extra_channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.first_blocks = []  # the index in layers of the first block of each level
        layers: list[nn.Module] = [conv3(inputs, widths[0])]
        for level, width in enumerate(widths):
            if level:
                layers.append(conv3(widths[level - 1], width, stride=2))
            self.first_blocks.append(len(layers))
            extra = extra_channels[level] if extra_channels else 0
            layers.append(ResidualBlock(width + extra, width))
            layers += [ResidualBlock(width, width) for _ in range(blocks - 1)]
        layers += [ResidualBlock(widths[-1], widths[-1], dilation=d) for d in dilations]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, extra: Sequence[Tensor] = ()) -> Tensor:
        """Return the coarsest features; `extra` holds one map per level, or is empty."""
        for index, layer in enumerate(self.layers):
            if extra and index in self.first_blocks:
                x = torch.cat([x, extra[self.first_blocks.index(index)]], dim=1)
            x = layer(x)
        return x


class Decoder(nn.Module):
    """A residual block at the coarsest level, then upsampling and a residual block per level.

    It maps (B, widths[-1], h, w) to (B, widths[0], h · 2^(levels - 1), w · 2^(levels - 1)). A
    vector (B, embedding) modulates every block except the finest.
    """

    def __init__(self, widths: Sequence[int], *, embedding: int = 0) -> None:
        super().__init__()
        coarsest = widths[-1]
        self.mid_block = ResidualBlock(coarsest, coarsest, embedding=embedding)
        self.upsamplers = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(widths) - 1)):
            self.upsamplers.append(Upsample(widths[level + 1], widths[level]))
            features = embedding if level else 0
            self.up_blocks.append(ResidualBlock(widths[level], widths[level], embedding=features))
        self.norm_out = nn.GroupNorm(GROUPS, widths[0])

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        x = self.mid_block(x, embedding)
        for upsample, block in zip(self.upsamplers, self.up_blocks, strict=True):
            x = block(upsample(x), embedding)
        features: Tensor = F.silu(self.norm_out(x))
        return features
