"""Regression without skips: residual blocks down to an eighth, dilations there, a light way up.

The L channel, folded 4×4 into channels, is encoded at a quarter and an eighth of the resolution.
The decoder sees nothing but the coarsest features; it gives coarse color and the weights that
bring it to full size.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.encoder_decoder import Decoder, Dilations, Encoder
from ..common.unet import Blocks, Fold, Widths


class Model(Colorizer):
    """He et al. 2016, with the dilated trunk of Yu et al. 2017 and GroupNorm."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [96, 192],
        blocks: Blocks = 2,
        dilations: Dilations = [1, 2, 4],
        fold: Fold = 4,
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.size_divisor = fold * 2 ** (len(widths) - 1)
        self.encoder = Encoder(fold**2, widths, blocks, dilations)
        self.decoder = Decoder(widths)
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsample = ConvexUpsample(widths[0], fold, color_space)

    def forward(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → standardized color (B, C, H, W)."""
        folded = F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)
        features = self.decoder(self.encoder(folded))
        full: Tensor = self.upsample(self.color(features), features)
        return full

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        return self.unstandardize(self(lightness))
