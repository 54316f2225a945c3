"""Layers that DDColor and DeOldify share, with the names of tensors that their weights have.

Both build their decoders of fastai's U-Net blocks. These layers compute what the published weights
need and are not trained here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralConv(nn.Module):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018).

    The weights hold the kernel W as it was learned and its first singular vectors u and v, from
    which the value is σ = uᵀWv. dimensions: 1 or 2. Borders are padded so that the size is kept.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, bias: bool, dimensions: int = 2
    ) -> None:
        super().__init__()
        shape = (outputs, inputs, *[kernel] * dimensions)
        self.weight_orig = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.weight_u: Tensor
        self.weight_v: Tensor
        self.register_buffer("weight_u", torch.empty(outputs))
        self.register_buffer("weight_v", torch.empty(inputs * kernel**dimensions))
        self.convolve = F.conv1d if dimensions == 1 else F.conv2d
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        sigma = self.weight_u @ self.weight_orig.flatten(1) @ self.weight_v
        return self.convolve(x, self.weight_orig / sigma, self.bias, padding=self.padding)


class WeightNormConv(nn.Module):
    """A 1×1 convolution whose kernel is g · v / ‖v‖ for each output (Salimans and Kingma 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.empty(outputs, 1, 1, 1))
        self.weight_v = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(self.weight_v, dim=1, keepdim=True)
        return F.conv2d(x, self.weight_g * self.weight_v / length, self.bias)


class SelfAttention(nn.Module):
    """Attention over all pixels (Zhang et al. 2019): x + γ · attention(x), (B, C, H, W) both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = SpectralConv(channels, channels // 8, 1, bias=False, dimensions=1)
        self.key = SpectralConv(channels, channels // 8, 1, bias=False, dimensions=1)
        self.value = SpectralConv(channels, channels, 1, bias=False, dimensions=1)
        self.gamma = nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2)
        # Row i, column j: how much pixel j takes from pixel i.
        weights = (self.query(pixels).transpose(1, 2) @ self.key(pixels)).softmax(dim=1)
        return x + self.gamma * (self.value(pixels) @ weights).view_as(x)


def convolution(
    inputs: int, outputs: int, *, normalized: bool = True, attention: bool = False
) -> nn.Sequential:
    """A 3×3 convolution and its ReLU, then batch normalization and self-attention where asked.

    A convolution without batch normalization has a bias.
    """
    layers: list[nn.Module] = [SpectralConv(inputs, outputs, 3, bias=not normalized), nn.ReLU()]
    layers += [nn.BatchNorm2d(outputs)] if normalized else []
    layers += [SelfAttention(outputs)] if attention else []
    return nn.Sequential(*layers)


class Upsample(nn.Module):
    """Upsampling by a 1×1 convolution, ReLU and pixel shuffle, then the mean of 2×2 pixels.

    The mean hides the checkerboard of the shuffle (Sugawara et al. 2018); the border above and to
    the left is replicated for it. convolution: maps to factor² times the channels of the output.
    """

    def __init__(self, convolution: nn.Module, factor: int, *, normalized: int = 0) -> None:
        super().__init__()
        layers = [convolution, *([nn.BatchNorm2d(normalized)] if normalized else [])]
        self.conv = nn.Sequential(*layers)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.conv(x).relu(), self.factor)
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


def upsample2(inputs: int, outputs: int) -> Upsample:
    """Upsampling by 2 with spectral and batch normalization."""
    convolved = SpectralConv(inputs, 4 * outputs, 1, bias=False)
    return Upsample(convolved, 2, normalized=4 * outputs)


class WideBlock(nn.Module):
    """A U-Net block: upsampled features and those of the encoder, joined by one convolution.

    inputs, skip, upsampled, outputs: channels of the block's input, of the encoder's features, of
    the upsampled input and of the block's output.
    """

    def __init__(
        self, inputs: int, skip: int, upsampled: int, outputs: int, *, attention: bool = False
    ) -> None:
        super().__init__()
        self.shuf = upsample2(inputs, upsampled)
        self.bn = nn.BatchNorm2d(skip)
        self.conv = convolution(upsampled + skip, outputs, attention=attention)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(join_skip(self.shuf(x), self.bn(skip)))


class DeepBlock(nn.Module):
    """A U-Net block with two convolutions; its arguments are those of `WideBlock`."""

    def __init__(
        self, inputs: int, skip: int, upsampled: int, outputs: int, *, attention: bool = False
    ) -> None:
        super().__init__()
        self.shuf = upsample2(inputs, upsampled)
        self.bn = nn.BatchNorm2d(skip)
        self.conv1 = convolution(upsampled + skip, outputs)
        self.conv2 = convolution(outputs, outputs, attention=attention)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv2(self.conv1(join_skip(self.shuf(x), self.bn(skip))))


def join_skip(x: Tensor, skip: Tensor) -> Tensor:
    """Join features with those of the encoder, at whose size they are needed, and apply ReLU."""
    if x.shape[2:] != skip.shape[2:]:  # the encoder rounded an odd size up
        x = F.interpolate(x, skip.shape[2:], mode="nearest")
    return torch.cat([x, skip], dim=1).relu()
