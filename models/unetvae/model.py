"""A U-Net with a latent: skips carry L to every level, and each latent gives another coloring.

Patches of 4×4 pixels of L become channels, so the residual U-Net works at a quarter of the
resolution. The latent modulates the blocks from the middle up to the last level but one, where hues
are decided; edges follow L only. The posterior, which infers a latent from true color, is needed in
training only (train.py).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.latent import Gaussian, GaussianHead, LatentDim, LatentProjection, Prior
from ..common.unet import Blocks, PatchSize, UNet, Widths

Encoded = tuple[Tensor, list[Tensor], Tensor]
"""The coarsest features, the skips, and the patches of L."""


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
        prior: Prior = "learned",
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.latent_dim = latent_dim
        self.learned_prior = GaussianHead(widths[-1], latent_dim) if prior == "learned" else None
        self.latent_projection = LatentProjection(latent_dim, widths[-1])
        self.unet = UNet(patch_size**2, widths, blocks, embedding=widths[-1], embed="decoder")
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = ConvexUpsample(widths[0], patch_size, color_space, skip=patch_size**2)

    def encode(self, lightness: Tensor) -> Encoded:
        """Map L* (B, 1, H, W) to the input of `prior` and `decode`."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        return *self.unet.encode(patches), patches

    def prior(self, encoded: Encoded) -> Gaussian:
        """Return p(z | L), (B, latent_dim)."""
        coarsest = encoded[0]
        if self.learned_prior is not None:
            learned: Gaussian = self.learned_prior(coarsest)
            return learned
        return Gaussian.standard(len(coarsest), self.latent_dim, coarsest.device)

    def decode(self, encoded: Encoded, latent: Tensor) -> Tensor:
        """Return the standardized color (B, C, H, W) of latents (B, latent_dim)."""
        coarsest, skips, patches = encoded
        features = self.unet.decode(coarsest, skips, self.latent_projection(latent))
        color: Tensor = self.upsampler(self.color(features), features, patches)
        return color

    def forward(self, lightness: Tensor, latent: Tensor) -> tuple[Tensor, Gaussian]:
        """Map L* (B, 1, H, W) and z (B, latent_dim) to color (B, C, H, W) and p(z | L)."""
        encoded = self.encode(lightness)
        return self.decode(encoded, latent), self.prior(encoded)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        encoded = self.encode(lightness)
        latent = self.prior(encoded).sample(noise(self.latent_dim))
        return self.unstandardize(self.decode(encoded, latent))
