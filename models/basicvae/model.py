"""A variational autoencoder without skips: the latent chooses among colorings, L decides the rest.

L, folded 4×4 into channels, is encoded at a quarter and an eighth of the resolution. The latent
modulates the decoder's blocks, so another latent is another coloring of the whole image. What
infers a latent from true colors is needed in training only, and lives there (train.py).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, ColorSpace, OnStep, Sampling
from benchmark.randomness import Noise

from ..common.blocks import ConvexUpsample
from ..common.encoder_decoder import Decoder, Dilations, Encoder
from ..common.latent import Gaussian, GaussianHead, Injection, LatentDim, Prior
from ..common.unet import Blocks, Fold, Widths


class Model(Colorizer):
    """The conditional VAE of Sohn et al. 2015: decoder p(ab | L, z) and prior p(z | L)."""

    stochastic = True

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [96, 192],
        blocks: Blocks = 2,
        dilations: Dilations = [1, 2, 4],
        fold: Fold = 4,
        latent_dim: LatentDim = 256,
        prior: Prior = "learned",
    ) -> None:
        super().__init__(color_space=color_space)
        self.fold = fold
        self.size_divisor = fold * 2 ** (len(widths) - 1)
        self.latent_dim = latent_dim
        self.encoder = Encoder(fold**2, widths, blocks, dilations)
        self.learned_prior = GaussianHead(widths[-1], latent_dim) if prior == "learned" else None
        self.injection = Injection(latent_dim, widths[-1])
        self.decoder = Decoder(widths, embedding=widths[-1])
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsample = ConvexUpsample(widths[0], fold, color_space)

    def encode(self, lightness: Tensor) -> Tensor:
        """L* (B, 1, H, W) → the coarsest features, (B, widths[-1], h, w)."""
        encoded: Tensor = self.encoder(
            F.pixel_unshuffle(self.standardize_lightness(lightness), self.fold)
        )
        return encoded

    def prior(self, encoded: Tensor) -> Gaussian:
        """p(z | L), (B, latent_dim)."""
        if self.learned_prior is not None:
            learned: Gaussian = self.learned_prior(encoded)
            return learned
        return Gaussian.standard(len(encoded), self.latent_dim, encoded.device)

    def decode(self, encoded: Tensor, latent: Tensor) -> Tensor:
        """→ standardized color (B, C, H, W)."""
        features = self.decoder(encoded, self.injection(latent))
        full: Tensor = self.upsample(self.color(features), features)
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
