"""A generator without skips, trained against a discriminator: bolder than a regression.

In use it is a regression like any other, one pass from L to color; what sets it apart is how it
learned (train.py). The discriminator is not part of it.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.encoder_decoder import Decoder, Dilations, Encoder
from ..common.unet import Blocks, Fold, Widths


class Model(Colorizer):
    """The generator of a conditional GAN (Goodfellow et al. 2014; Mirza and Osindero 2014)."""

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
