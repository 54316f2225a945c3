"""Regression with skips: a U-Net that answers with the likeliest average color.

The L channel, folded 4×4 into channels, goes through a residual U-Net at a quarter of the
resolution; its features give coarse color and the weights that bring it to full size along the
edges of L.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.unet import Blocks, Fold, UNet, Widths


class Model(Colorizer):
    """Ronneberger et al. 2015, with residual blocks, GroupNorm and attention at the bottom."""

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
