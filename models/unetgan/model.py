"""A U-Net trained against a discriminator: bolder than the U-Net of a regression.

In use it is a regression like any other, one pass from L to color; what sets it apart is how it
learned (train.py). The discriminator is not part of it.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.unet import Blocks, Fold, UNet, Widths


class Model(Colorizer):
    """The generator of pix2pix (Isola et al. 2017), with residual blocks and GroupNorm."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 256],
        blocks: Blocks = 2,
        fold: Fold = 4,
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.size_divisor = fold * 2 ** (len(widths) - 1)
        self.trunk = UNet(fold**2, widths, blocks)
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsample = ConvexUpsample(widths[0], fold, color_space, skip=fold**2)

    def forward(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → standardized color (B, C, H, W)."""
        folded = F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)
        features = self.trunk(folded)
        full: Tensor = self.upsample(self.color(features), features, folded)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        return self.unstandardize(self(lightness))
