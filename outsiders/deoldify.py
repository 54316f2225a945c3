"""DeOldify (Antic 2019): fastai's dynamic U-Net on a ResNet, trained with NoGAN.

NoGAN trains the generator by a perceptual loss, its critic alone, and both together only briefly.
Artistic has a ResNet-34 and two convolutions in each block of its decoder; stable has a ResNet-101
and wider blocks of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torchvision
from torch import Tensor, nn

from benchmark.color import rgb_to_lab
from benchmark.colorizer import OnStep
from benchmark.outsider import Outsider, PublishedFile, Variant, resize, resize_gray
from benchmark.randomness import Noise
from benchmark.results.outsider import OutsiderFacts
from outsiders.common.layers import (
    DeepBlock,
    SpectralConv,
    Upsample,
    WeightNormConv,
    WideBlock,
    convolution,
)

NEEDS = "weights (255 MB, stable 874 MB, downloaded)"

SIDE = 35 * 16
"""The side of the network's input: the authors' default render factor, 35, times 16 pixels."""
LIMIT = 3.0
"""The output is a sigmoid from -LIMIT to LIMIT, in units of ImageNet's standard deviation."""
SKIPS = (6, 5, 4, 2)
"""The stages of the encoder whose features the blocks of the decoder take, in their order."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _facts(encoder: str, parameters: int) -> OutsiderFacts:
    return OutsiderFacts(
        trained_on="ImageNet",
        pretrained_on=f"ImageNet (the encoder, {encoder})",
        guidance="automatic",
        code="https://github.com/jantic/DeOldify",
        license="MIT",
        parameters=parameters,
    )


class Model(Outsider):
    """The gray image goes in as sRGB, at 560×560; its RGB is resized bilinearly, then its ab kept.

    DeOldify itself keeps the luma Y of the input, and this suite the L* of every input.
    """

    variants = {
        "artistic": Variant(
            _facts("ResNet-34", 63_646_881),
            PublishedFile(
                "https://data.deepai.org/deoldify/ColorizeArtistic_gen.pth",
                "3f750246fa220529323b85a8905f9b49c0e5d427099185334d048fb5b5e22477",
                255,
            ),
        ),
        "stable": Variant(
            _facts("ResNet-101", 218_222_197),
            PublishedFile(
                "https://huggingface.co/spensercai/DeOldify/resolve/main/ColorizeStable_gen.pth",
                "ca9cd7f43fb8b222c9a70f7b292e305a000694b0ff9d2ae4a6747b1a2e1ee5af",
                874,
            ),
        ),
    }
    safe_types = (slice,)  # of the optimizer's state

    @staticmethod
    def build_network(variant: str) -> nn.Module:
        return Network(PLANS[variant])

    @staticmethod
    def tensors_of(contents: Any) -> Mapping[str, Tensor]:
        tensors: Mapping[str, Tensor] = contents.get("model", contents)
        return tensors

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        rgb = self.network(resize_gray(lightness, SIDE, "bilinear", antialias=True))
        height, width = lightness.shape[2:]
        return rgb_to_lab(resize(rgb, (height, width), "bilinear", antialias=True))[:, 1:]


@dataclass(frozen=True)
class Plan:
    """The layers of a variant: its encoder of torchvision, and the channels of its decoder.

    encoded: channels of the encoder's last stage. skips: of the stages SKIPS. upsampled, outputs:
    of the blocks of the decoder.
    """

    encoder: Literal["resnet34", "resnet101"]
    block: type[DeepBlock] | type[WideBlock]
    encoded: int
    skips: tuple[int, ...]
    upsampled: tuple[int, ...]
    outputs: tuple[int, ...]


PLANS = {
    "artistic": Plan(
        "resnet34",
        DeepBlock,
        512,
        (256, 128, 64, 64),
        (256, 384, 384, 336),  # half of the block's input
        (768, 768, 672, 300),  # 1.5 times upsampled and skip together, in the last block half of it
    ),
    "stable": Plan(
        "resnet101",
        WideBlock,
        2048,
        (1024, 512, 256, 64),
        (512, 512, 512, 256),
        (512, 512, 512, 256),
    ),
}


class Network(nn.Module):
    """The network, gray sRGB (B, 3, H, W) → sRGB in [0, 1] of that size, a multiple of 16."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        resnet = getattr(torchvision.models, plan.encoder)(weights=None)
        encoder = nn.Sequential(*list(resnet.children())[:-2])
        inputs = (plan.encoded, *plan.outputs)
        blocks = [
            plan.block(*channels, attention=number == 1)
            for number, channels in enumerate(
                zip(inputs[:-1], plan.skips, plan.upsampled, plan.outputs, strict=True)
            )
        ]
        last = plan.outputs[-1]
        self.layers = nn.ModuleList(
            [
                encoder,
                nn.BatchNorm2d(plan.encoded),
                nn.ReLU(),
                nn.Sequential(
                    convolution(plan.encoded, 2 * plan.encoded),
                    convolution(2 * plan.encoded, plan.encoded),
                ),
                *blocks,
                Upsample(WeightNormConv(last, 4 * last), 2),
                nn.Identity(),  # where the input is joined
                Residual(last + 3),
                nn.Sequential(SpectralConv(last + 3, 3, 1, bias=True)),
            ]
        )

    def forward(self, gray: Tensor) -> Tensor:
        mean, std = (gray.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        standardized = (gray - mean) / std
        encoder, norm, relu, middle, *blocks, enlarge, _, refine, out = self.layers
        stages, x = [], standardized
        for stage in encoder:  # type: ignore[attr-defined]
            x = stage(x)
            stages.append(x)
        x = middle(relu(norm(x)))
        for block, skip in zip(blocks, SKIPS, strict=True):
            x = block(x, stages[skip])
        x = refine(torch.cat([enlarge(x), standardized], dim=1))
        color = 2 * LIMIT * out(x).sigmoid() - LIMIT
        return (color * std + mean).clamp(0, 1)


class Residual(nn.Module):
    """Two convolutions with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [convolution(channels, channels, normalized=False) for _ in range(2)]
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.layers
        return x + second(first(x))
