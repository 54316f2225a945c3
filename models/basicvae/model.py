"""A variational autoencoder without skip connections: each latent gives another coloring.

Patches of 4×4 pixels of L become channels; the encoder works at a quarter and an eighth of the
resolution. The latent modulates the decoder's blocks, so it changes the colors of the whole image.
The posterior, which infers a latent from true color, is needed in training only (train.py).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.colorizer import ColorSpace

from ..common.blocks import EdgeUpsample
from ..common.encoder_decoder import Decoder, Encoder
from ..common.encoders import EncoderName, EncoderScale, PretrainedFeatures
from ..common.latent import Gaussian, LatentDim, LatentProjection, Prior, PriorKind, whole_image
from ..common.options import Blocks, Dilations, PatchSize, Widths
from ..common.variational import VariationalColorizer


class Model(VariationalColorizer):
    """The conditional VAE of Sohn et al. 2015: decoder p(ab | L, z) and prior p(z | L)."""

    def __init__(
        self,
        *,
        color_space: ColorSpace = "lab",
        widths: Widths = [96, 192],
        blocks: Blocks = 2,
        dilations: Dilations = [1, 2, 4],
        patch_size: PatchSize = 4,
        latent_dim: LatentDim = 256,
        prior: PriorKind = "learned",
        encoder: EncoderName = "none",
        encoder_scale: EncoderScale = 2.0,
    ) -> None:
        super().__init__(color_space=color_space)
        self.patch_size = patch_size
        self.size_divisor = patch_size * 2 ** (len(widths) - 1)
        self.latent_dim = self.region_dim = latent_dim
        self.posterior_widths = widths
        self.pretrained = PretrainedFeatures(encoder, encoder_scale, patch_size, widths)
        extra = self.pretrained.channels[0]
        self.encoder = Encoder(patch_size**2, widths, blocks, dilations, extra_channels=extra)
        self.prior = Prior(widths[-1], latent_dim, prior)
        self.latent_projection = LatentProjection(latent_dim, widths[-1])
        self.decoder = Decoder(widths, embedding=widths[-1])
        self.color = nn.Conv2d(widths[0], self.channels, 1)
        self.upsampler = EdgeUpsample(widths[0], patch_size, color_space)

    def encode(self, lightness: Tensor) -> Tensor:
        """Map L* (B, 1, H, W) to the coarsest features, (B, widths[-1], h, w)."""
        patches = F.pixel_unshuffle(self.standardize_lightness(lightness), self.patch_size)
        (extra,) = self.pretrained(lightness)
        encoded: Tensor = self.encoder(patches, extra)
        return encoded

    def decode(self, encoded: Tensor, latent: Tensor) -> Tensor:
        """Return the standardized color (B, C, H, W) of an encoded L and z (B, latent_dim)."""
        modulation = self.latent_projection(latent[:, :, None, None])[:, :, 0, 0]
        features = self.decoder(encoded, modulation)
        color: Tensor = self.upsampler(self.color(features), features)
        return color

    def regions(self, encoded: Tensor) -> Tensor:
        """Return the regions of an encoded L, (B, 1, h, w): the whole image is the only one."""
        return whole_image(encoded)

    def prior_of(self, encoded: Tensor) -> Gaussian:
        """Return p(z | L), (B, latent_dim)."""
        gaussian: Gaussian = self.prior(encoded, self.regions(encoded))
        return gaussian
