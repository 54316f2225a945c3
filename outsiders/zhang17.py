"""Real-Time User-Guided Image Colorization (Zhang et al. 2017), in automatic mode: a U-Net.

The network takes L*, a user's ab hints and a mask of where they are. Without hints, with both all
zero, it colors automatically, which a part of its training was made for.
"""

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.colorizer import OnStep
from benchmark.outsider import Outsider, PublishedFile, Variant, resize, resize_lightness
from benchmark.randomness import Noise
from benchmark.results.outsider import OutsiderFacts
from outsiders.zhang16 import AB_SCALE, SIDE, block, convolutions, standardize

NEEDS = "weights (137 MB, downloaded)"

CLASSES = 529
"""Quantized colors of a second output, which was a loss in training and is not computed here."""


class Model(Outsider):
    """L* and no hints go in, at 256×256; the ab of the same size is resized bilinearly."""

    variants = {
        "release": Variant(
            OutsiderFacts(
                trained_on="ImageNet, 1.3 million images",
                pretrained_on="ImageNet (most layers, as zhang16)",
                guidance="automatic",
                paper="https://arxiv.org/abs/1705.02999",
                code="https://github.com/richzhang/colorization",
                license="BSD-2-Clause",
                parameters=34_187_027,
            ),
            PublishedFile(
                "https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
                "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
                137,
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
    """The network without hints, L* (B, 1, H, W) → ab (B, 2, H, W); H, W are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.model1 = block(4, 64, 64)
        self.model2 = block(64, 128, 128)
        self.model3 = block(128, 256, 256, 256)
        self.model4 = block(256, 512, 512, 512)
        self.model5 = block(512, 512, 512, 512, dilation=2)
        self.model6 = block(512, 512, 512, 512, dilation=2)
        self.model7 = block(512, 512, 512, 512)
        self.model8up = _upsample(512, 256)
        self.model3short8 = _skip(256, 256)
        self.model8 = nn.Sequential(nn.ReLU(), *block(256, 256, 256))
        self.model9up = _upsample(256, 128)
        self.model2short9 = _skip(128, 128)
        self.model9 = nn.Sequential(nn.ReLU(), *block(128, 128))
        self.model10up = _upsample(128, 128)
        self.model1short10 = _skip(64, 128)
        self.model10 = nn.Sequential(nn.ReLU(), convolutions(128, 128)[0], nn.LeakyReLU(0.2))
        self.model_class = nn.Sequential(nn.Conv2d(256, CLASSES, 1))
        self.model_out = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor) -> Tensor:
        no_hints = lightness.new_zeros(len(lightness), 3, *lightness.shape[2:])  # ab and mask
        full = self.model1(torch.cat([standardize(lightness), no_hints], dim=1))
        half = self.model2(full[:, :, ::2, ::2])
        quarter = self.model3(half[:, :, ::2, ::2])
        x = self.model4(quarter[:, :, ::2, ::2])
        x = self.model7(self.model6(self.model5(x)))
        x = self.model8(self.model8up(x) + self.model3short8(quarter))
        x = self.model9(self.model9up(x) + self.model2short9(half))
        x = self.model10(self.model10up(x) + self.model1short10(full))
        return self.model_out(x) * AB_SCALE


def _upsample(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))


def _skip(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))
