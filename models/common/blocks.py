"""Layers that several models share.

Layers that map feature maps keep height and width unless stated otherwise.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import ColorSpace

GROUPS = 8
"""Groups of every GroupNorm, so widths are multiples of it.

BatchNorm would make an image depend on the others in its batch.
"""
HEAD_CHANNELS = 32
"""Channels of an attention head, if the channels of the feature map are a multiple of it."""


def conv3(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a 3×3 convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Set weights and bias of the layer to 0, so that it outputs 0 before training."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """A pre-activation residual block: norm, SiLU, convolution, twice (He et al. 2016).

    With `embedding` features, a vector (B, embedding) scales and shifts the second norm, as in
    Dhariwal and Nichol 2021, appendix A ("adaptive group normalization"). With `embedding` 0, a
    vector has no effect. `dilation` is that of the first convolution (Yu and Koltun 2016).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        embedding: int = 0,
        dropout: float = 0.0,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.conv1 = conv3(inputs, outputs, dilation=dilation)
        self.modulation = nn.Linear(embedding, 2 * outputs) if embedding else None
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(conv3(outputs, outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.modulation is not None and embedding is not None:
            scale, shift = self.modulation(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        residual: Tensor = self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))
        return residual


class Attention(nn.Module):
    """Residual self-attention over all positions of a feature map (Vaswani et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The number of heads must divide the channels.
        self.heads = math.gcd(max(1, channels // HEAD_CHANNELS), channels)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # each (B, heads, H·W, channels of a head)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return x + self.out(mixed.reshape(b, c, h, w))


class TimeEmbedding(nn.Module):
    """The embedding of time t (B,) in [0, total] as (B, features): sinusoids, then two layers.

    Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, features: int, total: int) -> None:
        super().__init__()
        half = features // 2
        # Wavelengths from 2π to 2π · 10⁴ of t, after it is scaled to [0, 1000].
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half) * (1000 / total)
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * half, features), nn.SiLU(), nn.Linear(features, features)
        )

    def forward(self, t: Tensor) -> Tensor:
        angles = t.float()[:, None] * self.frequencies
        embedded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return embedded


class Upsample(nn.Module):
    """Double height and width by nearest-neighbor interpolation and a convolution.

    A transposed convolution would leave checkerboard patterns (Odena et al. 2016).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        upsampled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return upsampled


def edge_features(patch: int, width: int) -> nn.Sequential:
    """Return a small network from the patches of L to the features that `EdgeUpsample` needs."""
    return nn.Sequential(conv3(patch, width), nn.SiLU(), conv3(width, width), nn.SiLU())


class EdgeUpsample(nn.Module):
    """Upsample coarse color by `factor` along the edges that the features encode.

    Each fine pixel is a convex combination of the 3×3 coarse neighbors, with weights predicted
    from features at the coarse size (Teed and Deng 2020, RAFT, section 3.3), so color can follow an
    edge of L. A coarse pixel across an edge mixes the colors of both sides; to separate them again,
    the difference of the combination from the mean of the neighbors is multiplied by a predicted
    gain between 0 and 2. That is enough for ab, which is joined to the input's L.

    With `color_space="rgb"` the output must contain all detail of the image, so each fine pixel
    also gets an offset (Shi et al. 2016, sub-pixel convolution). It is predicted from the features.
    In networks with skip connections it is predicted from the patches of L too, which are `skip` =
    factor² channels; before training, the offset is then the detail of L within each patch.
    """

    def __init__(
        self, features: int, factor: int, color_space: ColorSpace, *, skip: int = 0
    ) -> None:
        super().__init__()
        self.factor = factor
        self.weights = zeroed(nn.Conv2d(features, 10 * factor**2, 1))
        rgb = color_space == "rgb"
        self.detail = zeroed(nn.Conv2d(features + skip, 3 * factor**2, 1)) if rgb else None
        if self.detail is not None and skip:
            minus_mean = torch.eye(skip) - 1 / skip  # each pixel minus the mean of its patch
            self.detail.weight.data[:, features:, 0, 0] = minus_mean.repeat(3, 1)

    def forward(self, coarse: Tensor, features: Tensor, skip: Tensor | None = None) -> Tensor:
        """Upsample coarse (B, C, h, w) to (B, C, h·factor, w·factor).

        features: (B, features, h, w). skip: (B, factor², h, w).
        """
        b, c, h, w = coarse.shape
        f = self.factor
        predicted = self.weights(features).float().reshape(b, 10, f * f, h, w)
        logits, gain = predicted.split((9, 1), dim=1)
        weights = 1 / 9 + 2 * gain.sigmoid() * (logits.softmax(dim=1) - 1 / 9)
        # Without contiguous(), torch.compile gets the strides of this pad's gradient wrong.
        around = F.pad(coarse.float().contiguous(), (1, 1, 1, 1), mode="replicate")
        # The sum over the 3×3 neighbors, each for all factor² positions in a coarse pixel.
        fine = torch.zeros(b, c, f * f, h, w, device=coarse.device)
        # Unbound at once: the gradient of an index would be a tensor of the size of all weights.
        for position, weight in enumerate(weights.unbind(1)):
            y, x = divmod(position, 3)
            neighbor = around[:, :, y : y + h, x : x + w]
            fine = fine + weight[:, None] * neighbor[:, :, None]
        fine = fine.reshape(b, c * f * f, h, w)
        if self.detail is not None:
            inputs = features if skip is None else torch.cat([features, skip], dim=1)
            fine = fine + self.detail(inputs)
        return F.pixel_shuffle(fine, f)
