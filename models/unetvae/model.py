"""A U-Net with a latent: skips carry L to every level, the latent chooses among colorings.

L, folded 4×4 into channels, goes through a residual U-Net at a quarter of the resolution. The
latent modulates its blocks from the bottom up to the last level but one, where hues are decided;
edges are left to L. What infers a latent from true colors is needed in training only, and lives
there (train.py).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.latent import Gaussian, GaussianHead, Injection, LatentDim, Prior
from ..common.unet import Blocks, Fold, UNet, Widths

Encoded = tuple[Tensor, list[Tensor], Tensor]
"""The coarsest features, the skips, and L folded."""


class Model(Colorizer):
    """The conditional VAE of Sohn et al. 2015 on a U-Net, as Kohl et al. 2018 (Probabilistic U-Net)
    did for segmentation; there the latent enters at the finest level."""

    stochastic = True

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [64, 128, 256],
        blocks: Blocks = 2,
        fold: Fold = 4,
        latent_dim: LatentDim = 256,
        prior: Prior = "learned",
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.size_divisor = fold * 2 ** (len(widths) - 1)
        self.latent_dim = latent_dim
        self.learned_prior = GaussianHead(widths[-1], latent_dim) if prior == "learned" else None
        self.injection = Injection(latent_dim, widths[-1])
        self.trunk = UNet(fold**2, widths, blocks, embedding=widths[-1], embed="decoder")
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsample = ConvexUpsample(widths[0], fold, color_space, skip=fold**2)

    def encode(self, lightness: Tensor) -> Encoded:
        """L* (B, 1, H, W) → what `prior` and `decode` need."""
        folded = F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)
        return *self.trunk.encode(folded), folded

    def prior(self, encoded: Encoded) -> Gaussian:
        """p(z | L), (B, latent_dim)."""
        coarsest = encoded[0]
        if self.learned_prior is not None:
            learned: Gaussian = self.learned_prior(coarsest)
            return learned
        return Gaussian.standard(len(coarsest), self.latent_dim, coarsest.device)

    def decode(self, encoded: Encoded, latent: Tensor) -> Tensor:
        """→ standardized color (B, C, H, W)."""
        coarsest, skips, folded = encoded
        features = self.trunk.decode(coarsest, skips, self.injection(latent))
        full: Tensor = self.upsample(self.color(features), features, folded)
        return full

    def forward(self, lightness: Tensor, latent: Tensor) -> tuple[Tensor, Gaussian]:
        """L* (B, 1, H, W), z (B, latent_dim) → standardized color (B, C, H, W), and p(z | L)."""
        encoded = self.encode(lightness)
        return self.decode(encoded, latent), self.prior(encoded)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        encoded = self.encode(lightness)
        latent = self.prior(encoded).sample(noise(self.latent_dim))
        return self.unstandardize(self.decode(encoded, latent))
