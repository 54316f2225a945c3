"""DDColor (Kang et al. 2023): a ConvNeXt encoder, a pixel decoder, and learned color queries.

The pixel decoder brings the encoder's features back to full size. The color decoder refines 100
learned queries by attention to the pixel decoder's features at three scales. The product of each
query with the features of each pixel is a map, and a 1×1 convolution makes ab of all maps.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from timm.layers import LayerNorm2d  # type: ignore[attr-defined]
from torch import Tensor, nn

from benchmark.colorizer import OnStep
from benchmark.outsider import Outsider, PublishedFile, Variant, resize, resize_gray
from benchmark.randomness import Noise
from benchmark.results.outsider import OutsiderFacts
from outsiders.common.layers import SpectralConv, Upsample, WideBlock

NEEDS = "weights (912 MB, tiny 220 MB, downloaded)"

SIDE = 512
QUERIES = 100
FEATURES = 256
DEPTHS = {"large": (3, 3, 27, 3), "tiny": (3, 3, 9, 3)}
WIDTHS = {"large": (192, 384, 768, 1536), "tiny": (96, 192, 384, 768)}
CLASSIFIER = ("encoder.arch.norm.", "encoder.arch.head_cls.")
"""The names of tensors for classifying images, which color nothing and may be in a file."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _facts(parameters: int) -> OutsiderFacts:
    return OutsiderFacts(
        trained_on="ImageNet",
        pretrained_on="ImageNet-22k (the encoder)",
        guidance="automatic",
        paper="https://arxiv.org/abs/2212.11613",
        code="https://github.com/piddnad/DDColor",
        license="Apache-2.0",
        parameters=parameters,
    )


class Model(Outsider):
    """The gray image goes in as sRGB, at 512×512; the nearest pixel of its ab is taken."""

    variants = {
        "large": Variant(
            _facts(227_866_256),
            PublishedFile(
                "https://huggingface.co/piddnad/DDColor-models/resolve/main/ddcolor_paper.pth",
                "789781789db1bafc2165e1cf9658580f871cce64a81901ec49127877813f10b9",
                912,
            ),
        ),
        "tiny": Variant(
            _facts(55_005_104),
            PublishedFile(
                "https://huggingface.co/piddnad/DDColor-models/resolve/main/ddcolor_paper_tiny.pth",
                "81dd643904f4664c3718513e3320ae3db0c567f0d3e18398606659adee7bfc17",
                220,
            ),
        ),
    }

    @staticmethod
    def build_network(variant: str) -> nn.Module:
        return Network(DEPTHS[variant], WIDTHS[variant])

    @staticmethod
    def tensors_of(contents: Any) -> Mapping[str, Tensor]:
        tensors: Mapping[str, Tensor] = contents.get("params", contents)
        return {key: value for key, value in tensors.items() if not key.startswith(CLASSIFIER)}

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        ab = self.network(resize_gray(lightness, SIDE, "bilinear", antialias=False))
        height, width = lightness.shape[2:]
        return resize(ab, (height, width), "nearest")


class Network(nn.Module):
    """The network, gray sRGB (B, 3, H, W) → ab (B, 2, H, W); H and W are multiples of 32."""

    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"arch": ConvNeXt(depths, widths)})
        self.decoder = Decoder(widths)
        self.refine_net = nn.Sequential(nn.Sequential(SpectralConv(QUERIES + 3, 2, 1, bias=True)))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, gray: Tensor) -> Tensor:
        x = (gray - self.mean) / self.std
        maps = self.decoder(self.encoder["arch"](x))
        return self.refine_net(torch.cat([maps, x], dim=1))


# ---- the encoder ---------------------------------------------------------------------------------


class ConvNeXt(nn.Module):
    """The encoder (Liu et al. 2022), (B, 3, H, W) → features at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), LayerNorm2d(widths[0], eps=1e-6))
        halved = (
            nn.Sequential(LayerNorm2d(width, eps=1e-6), nn.Conv2d(width, wider, 2, stride=2))
            for width, wider in pairwise(widths)
        )
        self.downsample_layers = nn.ModuleList([stem, *halved])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        for number, width in enumerate(widths):
            self.add_module(f"norm{number}", LayerNorm2d(width, eps=1e-6))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for number, (halve, stage) in enumerate(
            zip(self.downsample_layers, self.stages, strict=True)
        ):
            x = stage(halve(x))
            features.append(getattr(self, f"norm{number}")(x))
        return features


class Block(nn.Module):
    """A residual block: a 7×7 convolution of each channel, then two layers in every pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        channels_last = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        hidden = nn.functional.gelu(self.pwconv1(channels_last))
        return x + (self.gamma * self.pwconv2(hidden)).permute(0, 3, 1, 2)


# ---- the two decoders ----------------------------------------------------------------------------


class Decoder(nn.Module):
    """Features of the encoder → a map for each query, (B, QUERIES, H, W)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.layers = nn.ModuleList(
            [
                WideBlock(fourth, third, 512, 512),
                WideBlock(512, second, 512, 512),
                WideBlock(512, first, FEATURES, FEATURES),
            ]
        )
        self.last_shuf = Upsample(SpectralConv(FEATURES, 16 * FEATURES, 1, bias=True), 4)
        self.color_decoder = ColorDecoder((512, 512, FEATURES))

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        scales = []
        for layer, skip in zip(self.layers, reversed(skips), strict=True):
            x = layer(x, skip)
            scales.append(x)
        queries = self.color_decoder(scales)
        return torch.einsum("bqc,bchw->bqhw", queries, self.last_shuf(x))


class ColorDecoder(nn.Module):
    """Refine the queries by the features of three scales in turn, nine times: (B, QUERIES, 256)."""

    def __init__(self, channels: tuple[int, ...], layers: int = 9) -> None:
        super().__init__()
        self.query_feat = nn.Embedding(QUERIES, FEATURES)
        self.query_embed = nn.Embedding(QUERIES, FEATURES)
        self.level_embed = nn.Embedding(len(channels), FEATURES)
        self.input_proj = nn.ModuleList(nn.Conv2d(c, FEATURES, 1) for c in channels)
        self.transformer_cross_attention_layers = nn.ModuleList(
            Attention("multihead_attn") for _ in range(layers)
        )
        self.transformer_self_attention_layers = nn.ModuleList(
            Attention("self_attn") for _ in range(layers)
        )
        self.transformer_ffn_layers = nn.ModuleList(FeedForward() for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(FEATURES)
        self.color_embed = Perceptron()

    def forward(self, scales: list[Tensor]) -> Tensor:
        places = [position_encoding(scale) for scale in scales]
        memories = [
            (project(scale).flatten(2) + level[:, None]).transpose(1, 2)
            for project, scale, level in zip(
                self.input_proj, scales, self.level_embed.weight, strict=True
            )
        ]
        x = self.query_feat.weight.expand(len(scales[0]), -1, -1)
        query_place = self.query_embed.weight
        for number, (attend, compare, transform) in enumerate(
            zip(
                self.transformer_cross_attention_layers,
                self.transformer_self_attention_layers,
                self.transformer_ffn_layers,
                strict=True,
            )
        ):
            memory, place = memories[number % len(memories)], places[number % len(places)]
            x = attend(x, query_place, memory, place)
            x = transform(compare(x, query_place, x, query_place))
        return self.color_embed(self.decoder_norm(x))


class Attention(nn.Module):
    """Attention of the queries to a memory, or to themselves, with a residual and its norm.

    name: of the attention in the weights.
    """

    def __init__(self, name: str, heads: int = 8) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, nn.MultiheadAttention(FEATURES, heads, batch_first=True))
        self.norm = nn.LayerNorm(FEATURES)

    def forward(self, x: Tensor, place: Tensor, memory: Tensor, memory_place: Tensor) -> Tensor:
        attention = getattr(self, self.name)
        found, _ = attention(x + place, memory + memory_place, memory, need_weights=False)
        return self.norm(x + found)


class FeedForward(nn.Module):
    """Two layers for each query, with a residual and its norm."""

    def __init__(self, hidden: int = 2048) -> None:
        super().__init__()
        self.linear1 = nn.Linear(FEATURES, hidden)
        self.linear2 = nn.Linear(hidden, FEATURES)
        self.norm = nn.LayerNorm(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(self.linear1(x).relu()))


class Perceptron(nn.Module):
    """Three layers for each query."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(FEATURES, FEATURES) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.layers
        return third(second(first(x).relu()).relu())


def position_encoding(scale: Tensor) -> Tensor:
    """Sines and cosines of the position of each pixel of (B, C, H, W), (H · W, FEATURES).

    The first half of the channels is of y, the second of x, both from 0 to 2π (Carion et al. 2020).
    """
    half, (height, width) = FEATURES // 2, scale.shape[2:]
    exponents = torch.arange(0, half, 2, device=scale.device) / half
    frequencies = 10000.0**-exponents

    def encode(count: int) -> Tensor:
        steps = torch.arange(1, count + 1, device=scale.device) * (2 * math.pi / (count + 1e-6))
        angles = steps[:, None] * frequencies
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)

    y = encode(height)[:, None].expand(height, width, half)
    x = encode(width)[None].expand(height, width, half)
    return torch.cat([y, x], dim=-1).flatten(0, 1)
