"""A U-Net with a latent for each region of an image: each draw gives another coloring.

Patches of 4×4 pixels of L become channels, so the residual U-Net works at a quarter of the
resolution. Soft regions are found in L; each has a latent vector, which is added to the features of
its positions at every level of the encoder. So an object has one color, and its neighbor another.
The posterior, which infers the latents from true color, is needed in training only
(basicvae/train.py).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import ColorSpace

from ..common.blocks import EdgeUpsample
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.latent import (
    Gaussian,
    LatentDim,
    LatentProjection,
    Prior,
    PriorKind,
    RegionCount,
    Regions,
    region_dim_of,
    spread,
)
from ..common.options import Blocks, PatchSize, Widths
from ..common.unet import UNet
from ..common.variational import VariationalColorizer


class Encoded(NamedTuple):
    """What is computed from L once for any number of latents.

    levels: the features of every level, (B, widths[i], h / 2^i, w / 2^i). patches: those of L,
    (B, patch_size², h, w). shares: those of the regions, (B, K, h, w). features: those that the
    regions were found in, (B, F, h, w).
    """

    levels: Sequence[Tensor]
    patches: Tensor
    shares: Tensor
    features: Tensor


class Model(VariationalColorizer):
    """The conditional VAE of Sohn et al. 2015 on a U-Net, as Kohl et al. 2018 use it.

    Their Probabilistic U-Net has one latent vector for an image; here every region has one.
    """

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 256],
        blocks: Blocks = 2,
        patch_size: PatchSize = 4,
        latent_dim: LatentDim = 256,
        regions: RegionCount = 16,
        prior: PriorKind = "learned",
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.latent_dim = latent_dim
        self.region_dim = region_dim_of(latent_dim, regions)
        self.posterior_widths = [2 * widths[0]]
        self.find_regions = Regions(widths, regions)
        self.prior = Prior(self.find_regions.width, self.region_dim, prior)
        self.latent_projections = nn.ModuleList(
            LatentProjection(self.region_dim, width) for width in widths
        )
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths)
        self.unet = UNet(
            patch_size**2,
            widths,
            blocks,
            extra_channels=self.pretrained.channels[0],
        )
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = EdgeUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def encode(self, lightness: Tensor) -> Encoded:
        """Map L* (B, 1, H, W) to what is computed from it once for any number of latents."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        (extra,) = self.pretrained(lightness)
        levels = self.unet.levels(patches, extra=extra)
        return Encoded(levels, patches, *self.find_regions(levels))

    def decode(self, encoded: Encoded, latent: Tensor) -> Tensor:
        """Return the standardized color (B, C, H, W) of an encoded L and z (B, latent_dim)."""
        at_position = spread(latent, encoded.shares)
        levels = [
            x + project(F.adaptive_avg_pool2d(at_position, (x.shape[2], x.shape[3])))
            for x, project in zip(encoded.levels, self.latent_projections, strict=True)
        ]
        features = self.unet.decode(levels)
        color: Tensor = self.upsampler(self.color(features), features, encoded.patches)
        return color

    def regions(self, encoded: Encoded) -> Tensor:
        """Return the shares of the regions of an encoded L, (B, K, h, w)."""
        return encoded.shares

    def prior_of(self, encoded: Encoded) -> Gaussian:
        """Return p(z | L), (B, latent_dim)."""
        gaussian: Gaussian = self.prior(encoded.features, encoded.shares)
        return gaussian
