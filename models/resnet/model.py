"""Regression without skip connections: residual blocks, dilations and a light decoder.

Patches of 4×4 pixels of L become channels; the encoder works at a quarter and an eighth of the
resolution. The decoder has only the coarsest features as its input. It gives coarse color and the
weights that upsample it to full size.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import EdgeUpsample
from ..common.encoder_decoder import Decoder, Encoder
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.options import Blocks, Dilations, PatchSize, Widths


class Model(Colorizer):
    """He et al. 2016, with the dilated blocks of Yu et al. 2017 and GroupNorm."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [96, 192],
        blocks: Blocks = 2,
        dilations: Dilations = [1, 2, 4],
        patch_size: PatchSize = 4,
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths)
        extra = self.pretrained.channels[0]
        self.encoder = Encoder(patch_size**2, widths, blocks, dilations, extra_channels=extra)
        self.decoder = Decoder(widths)
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = EdgeUpsample(widths[0], patch_size, color_space)

    def forward(self, lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to standardized color (B, C, H, W)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        (extra,) = self.pretrained(lightness)
        features = self.decoder(self.encoder(patches, extra))
        color: Tensor = self.upsampler(self.color(features), features)
        return color

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        return self.unstandardize(self(lightness))
