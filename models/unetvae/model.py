"""A U-Net with a latent: skips carry L to every level, and each latent gives another coloring.

Patches of 4×4 pixels of L become channels, so the residual U-Net works at a quarter of the
resolution. The latent modulates the blocks from the coarsest level up to the last but one, where
hues are decided, so edges follow L only. The posterior, which infers a latent from true color, is
needed in training only (train.py).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.latent import Gaussian, LatentDim, LatentProjection, Prior, PriorKind
from ..common.options import Blocks, PatchSize, Widths
from ..common.unet import UNet

Encoded = tuple[list[Tensor], Tensor]
"""The features of every level, (B, widths[i], h / 2^i, w / 2^i), and the patches of L, which are
(B, patch_size², h, w)."""


class Model(Colorizer):
    """The conditional VAE of Sohn et al. 2015 on a U-Net, as Kohl et al. 2018 use it.

    Their Probabilistic U-Net segments images and injects the latent at the finest level.
    """

    stochastic = True

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 256],
        blocks: Blocks = 2,
        patch_size: PatchSize = 4,
        latent_dim: LatentDim = 256,
        prior: PriorKind = "learned",
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.latent_dim = latent_dim
        self.prior = Prior(widths[-1], latent_dim, prior)
        self.latent_projection = LatentProjection(latent_dim, widths[-1])
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths)
        self.unet = UNet(
            patch_size**2,
            widths,
            blocks,
            embedding=widths[-1],
            embed="decoder",
            extra_channels=self.pretrained.channels[0],
        )
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = ConvexUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def encode(self, lightness: Tensor) -> Encoded:
        """Map L* (B, 1, H, W) to what is computed from it once for any number of latents."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        (extra,) = self.pretrained(lightness)
        return self.unet.levels(patches, extra=extra), patches

    def decode(self, encoded: Encoded, latent: Tensor) -> Tensor:
        """Return the standardized color (B, C, H, W) of an encoded L and z (B, latent_dim)."""
        levels, patches = encoded
        features = self.unet.decode(levels, self.latent_projection(latent))
        color: Tensor = self.upsampler(self.color(features), features, patches)
        return color

    def forward(self, lightness: Tensor, latent: Tensor) -> tuple[Tensor, Gaussian]:
        """Map L* (B, 1, H, W) and z (B, latent_dim) to color (B, C, H, W) and p(z | L)."""
        levels, patches = self.encode(lightness)
        return self.decode((levels, patches), latent), self.prior(levels[-1])

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        levels, patches = self.encode(lightness)
        latent = self.prior(levels[-1]).sample(noise(self.latent_dim))
        return self.unstandardize(self.decode((levels, patches), latent))
