"""Colorful Image Colorization (Zhang, Isola and Efros 2016): classification of 313 colors.

A network after VGG predicts the distribution of quantized ab for each pixel, with rare colors
weighted up in training. The network of the authors' PyTorch release, in which ab is the mean of
that distribution (its last convolution holds the 313 colors).
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import OnStep
from benchmark.outsider import Outsider, PublishedFile, Variant, resize, resize_lightness
from benchmark.randomness import Noise
from benchmark.results.outsider import OutsiderFacts

NEEDS = "weights (129 MB, downloaded)"

SIDE = 256
COLORS = 313
AB_SCALE = 110.0


class Model(Outsider):
    """L* alone goes in, at 256×256; the ab of 64×64 pixels is enlarged bilinearly, twice."""

    variants = {
        "release": Variant(
            OutsiderFacts(
                trained_on="ImageNet, 1.3 million images",
                pretrained_on="nothing",
                guidance="automatic",
                paper="https://arxiv.org/abs/1603.08511",
                code="https://github.com/richzhang/colorization",
                license="BSD-2-Clause",
                parameters=32_236_011,
            ),
            PublishedFile(
                "https://colorizers.s3.us-east-2.amazonaws.com/"
                "colorization_release_v2-9b330a0b.pth",
                "9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
                129,
            ),
        )
    }

    @staticmethod
    def build_network(variant: str) -> nn.Module:
        return Network()

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        ab = self.network(resize_lightness(lightness, SIDE))
        height, width = lightness.shape[2:]
        return resize(ab, (height, width), "bilinear")


class Network(nn.Module):
    """The network, L* (B, 1, H, W) → ab (B, 2, H, W); H and W are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.model1 = block(1, 64, 64, last_stride=2)
        self.model2 = block(64, 128, 128, last_stride=2)
        self.model3 = block(128, 256, 256, 256, last_stride=2)
        self.model4 = block(256, 512, 512, 512)
        self.model5 = block(512, 512, 512, 512, dilation=2)
        self.model6 = block(512, 512, 512, 512, dilation=2)
        self.model7 = block(512, 512, 512, 512)
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1),
            nn.ReLU(),
            *convolutions(256, 256, 256),
            nn.Conv2d(256, COLORS, 1),
        )
        self.model_out = nn.Conv2d(COLORS, 2, 1, bias=False)

    def forward(self, lightness: Tensor) -> Tensor:
        x = standardize(lightness)
        x = self.model4(self.model3(self.model2(self.model1(x))))
        x = self.model8(self.model7(self.model6(self.model5(x))))
        ab = self.model_out(x.softmax(dim=1))
        return F.interpolate(ab, scale_factor=4, mode="bilinear") * AB_SCALE


def standardize(lightness: Tensor) -> Tensor:
    """Map L* in [0, 100] to [-0.5, 0.5]."""
    return torch.div(lightness - 50, 100)


def convolutions(*channels: int, last_stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """3×3 convolutions from each number of channels to the next, each with its ReLU."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(channels), 2):
        stride = last_stride if number == len(channels) else 1
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation),
            nn.ReLU(),
        ]
    return layers


def block(*channels: int, last_stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolutions as `convolutions` makes them, then batch normalization."""
    layers = convolutions(*channels, last_stride=last_stride, dilation=dilation)
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))
