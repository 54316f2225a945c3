"""Regression with skip connections: a U-Net that predicts the mean color of each pixel.

Patches of 4×4 pixels of L become channels, so the residual U-Net works at a quarter of the
resolution. Its features give coarse color and the weights that upsample it along the edges of L.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import EdgeUpsample
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.options import Blocks, Dropout, PatchSize, Widths
from ..common.unet import UNet


class Model(Colorizer):
    """Ronneberger et al. 2015, with residual blocks, GroupNorm and attention between the halves."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 256],
        blocks: Blocks = 2,
        patch_size: PatchSize = 4,
        dropout: Dropout = 0.0,
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths)
        extra = self.pretrained.channels[0]
        self.unet = UNet(patch_size**2, widths, blocks, dropout=dropout, extra_channels=extra)
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = EdgeUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def forward(self, lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to standardized color (B, C, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        (extra,) = self.pretrained(lightness)
        features = self.unet(patches, extra=extra)
        color: Tensor = self.upsampler(self.color(features), features, patches)
        return color

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        return self.unstandardize(self(lightness))
