"""Features of L from a pretrained encoder, concatenated at each level of a network.

The encoder is a backbone of the library timm that was trained to classify photos. It sees L as a
gray sRGB image; its feature maps say what is where, which a network that is trained on few images
can hardly learn. The harness loads its weights (`benchmark.colorizer.Pretrained`).
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from benchmark.colorizer import Pretrained
from benchmark.errors import did_you_mean
from benchmark.settings import NO_ENCODER

from .blocks import GROUPS
from .folding import Folded

COARSEST = 32
"""Side in pixels of a cell of a backbone's coarsest feature map; inputs are multiples of it."""
TIMM_NAMES = {"efficientnet_lite0": "tf_efficientnet_lite0"}
"""Name → timm's name, where the network of the published weights has another name there.

timm's own `efficientnet_lite0` pads otherwise than the network that the weights were trained for.
"""
REFUSED = ("alexnet", "squeezenet", "vgg16")
"""The networks of LPIPS: what a model learned through one, LPIPS would find in its images."""


def _check_encoder(name: str) -> str:
    if name != NO_ENCODER:
        _require_usable(name)
    return name


EncoderName = Annotated[
    str,
    AfterValidator(_check_encoder),
    Field(
        description="Pretrained encoder of L whose features the network also sees: none, "
        "efficientnet_lite0, or another backbone of timm, such as resnet18 or convnext_small"
    ),
]
EncoderScale = Annotated[
    float,
    Field(
        ge=0.5,
        le=8,
        description="Factor by which L is enlarged for the pretrained encoder, which was trained "
        "on larger images",
    ),
]
EncoderRate = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Learning rate of the pretrained encoder as a share of learning_rate; 0 keeps "
        "its weights as they are",
    ),
]


class PretrainedEncoder(Pretrained):
    """A backbone of timm that maps L* (B, 1, H, W) to its feature maps, the finest first.

    channels: those of each map. cells: the side in pixels of L of a cell of each map. Normalization
    layers always use the statistics of the published weights, and dropout is always off. Unless
    `requires_grad_` is called, the weights are constant and no gradient is computed.
    """

    def __init__(self, name: str, scale: float) -> None:
        super().__init__(name, TIMM_NAMES.get(name, name), _build(name))
        self.scale = scale
        self.folded = Folded(self.backbone)
        information = self.backbone.feature_info
        self.channels: list[int] = information.channels()
        self.cells: list[float] = [reduction / scale for reduction in information.reduction()]
        statistics = self.backbone.pretrained_cfg
        self.mean: Tensor
        self.std: Tensor
        for key in ("mean", "std"):
            values = torch.tensor(statistics[key]).view(1, 3, 1, 1)
            self.register_buffer(key, values, persistent=False)
        self.requires_grad_(False)
        self.backbone.eval()

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        """Set the mode of this module; the backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, lightness: Tensor) -> list[Tensor]:
        inputs = self.inputs(lightness)
        if any(p.requires_grad for p in self.parameters()):
            maps: list[Tensor] = self.backbone(inputs)
            return maps
        with torch.no_grad():
            return self._frozen(inputs)

    def maps(self, rgb: Tensor) -> list[Tensor]:
        """Map color images in sRGB (B, 3, H, W) to their feature maps at their own size.

        A gradient is passed to the images and not to the weights. An image may leave [0, 1].
        """
        return self._frozen(self._normalized(rgb))

    def inputs(self, lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to the backbone's inputs, enlarged by `scale`, (B, 3, H', W')."""
        # Sides are enlarged to the next multiple, so that a map spans just the image.
        sides = [COARSEST * math.ceil(self.scale * side / COARSEST) for side in lightness.shape[2:]]
        gray = F.interpolate(self.gray(lightness)[:, :1], sides, mode="bilinear")
        return self._normalized(gray.expand(-1, 3, -1, -1))

    def _normalized(self, rgb: Tensor) -> Tensor:
        return ((rgb - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _frozen(self, inputs: Tensor) -> list[Tensor]:
        # A compiler would trace the folding too, and fuses these operations itself.
        network = self.backbone if torch.compiler.is_compiling() else self.folded.network()
        maps: list[Tensor] = network(inputs)
        return maps


class _Levels(nn.Module):
    """Maps of an encoder for the levels of one network: the map of the nearest resolution each.

    The coarsest level also gets all maps that are coarser still, which know best what is in the
    image. Maps are resized to the level, normalized, and projected to its width; several are added.
    """

    def __init__(self, encoder: PretrainedEncoder, patch_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.patch_size = patch_size
        nearest = [_nearest(encoder.cells, patch_size * 2**i) for i in range(len(widths))]
        self.sources = [[index] for index in nearest]
        self.sources[-1] = [*range(nearest[-1], len(encoder.cells))]
        self.projections = nn.ModuleList(
            nn.ModuleList(_projection(encoder.channels[index], width) for index in indices)
            for indices, width in zip(self.sources, widths, strict=True)
        )

    def forward(self, maps: Sequence[Tensor], height: int, width: int) -> list[Tensor]:
        levels = []
        for i, (indices, projections) in enumerate(
            zip(self.sources, self.projections, strict=True)
        ):
            size = (height // (self.patch_size * 2**i), width // (self.patch_size * 2**i))
            parts = [
                project(_resize(maps[index], size))
                for index, project in zip(indices, cast(nn.ModuleList, projections), strict=True)
            ]
            levels.append(torch.stack(parts).sum(0) if len(parts) > 1 else parts[0])
        return levels


class PretrainedFeatures(nn.Module):
    """The features of L from a pretrained encoder, for each level of one or several networks.

    name, scale: as `EncoderName` and `EncoderScale`; with the name "none" there are no features.
    patch_size: of the networks, whose level i works at 1/(patch_size · 2^i) of the resolution.
    networks: the widths of each network. channels: for each network, the channels of its features
    at each level, which are its widths; empty without an encoder.
    """

    def __init__(self, name: str, scale: float, patch_size: int, *networks: Sequence[int]) -> None:
        super().__init__()
        self.encoder = PretrainedEncoder(name, scale) if name != NO_ENCODER else None
        self.channels = [widths if self.encoder is not None else () for widths in networks]
        self.levels = nn.ModuleList()
        if self.encoder is not None:
            self.levels.extend(_Levels(self.encoder, patch_size, widths) for widths in networks)

    def forward(self, lightness: Tensor) -> list[Sequence[Tensor]]:
        """Map L* (B, 1, H, W) to a feature map for each level of each network.

        That of level i is (B, widths[i], H / (patch_size · 2^i), W / (patch_size · 2^i)).
        """
        if self.encoder is None:
            return [()] * len(self.channels)
        maps = self.encoder(lightness)
        return [levels(maps, *lightness.shape[2:]) for levels in self.levels]


def _nearest(cells: Sequence[float], cell: float) -> int:
    """Return the index of the map whose cells differ least from `cell` by their ratio."""
    return min(range(len(cells)), key=lambda index: abs(math.log2(cells[index] / cell)))


def _projection(channels: int, width: int) -> nn.Sequential:
    norm = nn.GroupNorm(math.gcd(GROUPS, channels), channels)
    return nn.Sequential(norm, nn.Conv2d(channels, width, 1))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[2:] == size:
        return x
    if x.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size, mode="bilinear")


# ---- backbones of timm ---------------------------------------------------------------------------


def _build(name: str) -> Any:
    """Build the feature pyramid of a backbone, with random weights. No file is opened."""
    import timm  # here, since its import takes two seconds

    return timm.create_model(TIMM_NAMES.get(name, name), features_only=True)


@cache
def _require_usable(name: str) -> None:
    """Raise ValueError unless the name is that of a backbone with maps at several resolutions."""
    import timm

    if any(word in name.lower() for word in REFUSED):
        raise ValueError(
            "AlexNet, SqueezeNet and VGG16 are the networks that LPIPS measures with, so no "
            "training may see through them; choose another encoder, such as efficientnet_lite0"
        )
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        end = (
            did_you_mean(name, [NO_ENCODER, *TIMM_NAMES, *timm.list_models()])
            or "; see timm's list"
        )
        raise ValueError(f"timm has no such backbone{end}")
    try:
        with torch.device("meta"):
            backbone = _build(name).eval()
            maps = backbone(torch.zeros(1, 3, 2 * COARSEST, 3 * COARSEST))
        expected = backbone.feature_info.channels()
        if [x.shape[1] for x in maps] != expected or any(x.ndim != 4 for x in maps):
            raise ValueError("its maps have another layout")
    except Exception as error:  # timm's networks raise many kinds of errors
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"this network of timm gives no feature maps for images of any size ({reason}); "
            "choose a convolutional one, such as resnet18"
        ) from error
