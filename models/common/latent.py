"""The parts of variational autoencoders: Gaussians, the KL divergence, prior and posterior.

Kingma and Welling 2014; with a condition, Sohn et al. 2015. Training samples the posterior
q(z | L, color), and colorizing samples the prior, p(z | L) or N(0, I). The latent z has one vector
for each of K soft regions of the image, which are found in L alone. A region's vector is inferred
from the features of its pixels and decides their colors together; with one region, the whole image
has one vector. Regions have any shape, so images may have any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from .blocks import conv3
from .encoder_decoder import Encoder

LatentDim = Annotated[
    int, Field(ge=1, le=4096, description="Dimensions of the latent of an image, in all regions")
]
RegionCount = Annotated[
    int,
    Field(ge=1, le=256, description="Soft regions of an image, each with a latent of its own"),
]
PriorKind = Annotated[
    Literal["learned", "standard"],
    Field(
        description="Prior of the latent: learned is a Gaussian predicted from L, standard is "
        "N(0, I)"
    ),
]

ACTIVE_NATS = 0.1
"""KL in nats above which a dimension of the latent counts as carrying information."""
MIN_ACTIVE = 4
"""Active dimensions below which the latent counts as collapsed."""


@dataclass(frozen=True)
class Gaussian:
    """Independent normal variables, (B, K·D): mean and natural logarithm of the variance."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def standard(cls, count: int, dimensions: int, device: torch.device) -> "Gaussian":
        """Return N(0, I) for `count` images."""
        zeros = torch.zeros(count, dimensions, device=device)
        return cls(zeros, zeros)

    def sample(self, noise: Tensor) -> Tensor:
        """Return mean + deviation · noise, which passes gradients to both.

        Kingma and Welling, section 2.4.
        """
        return self.mean + (self.log_variance / 2).exp() * noise


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """Return KL(q ‖ p) per dimension in nats, (B, D).

    For p = N(0, I) see Kingma and Welling, appendix B.
    """
    squared = (q.mean - p.mean).square() + q.log_variance.exp()
    return 0.5 * (p.log_variance - q.log_variance + squared / p.log_variance.exp() - 1)


def free_bits(kl: Tensor, nats: float) -> Tensor:
    """Return KL (B, D) summed over dimensions and averaged over the batch, but at least `nats`.

    Below that value there is no gradient, so the KL divergence is not penalized. These are the free
    bits of Kingma et al. 2016, eq. 15, with all dimensions as one group. With a free amount for
    each dimension, the latent would spread its information thinly over all of them.
    """
    return kl.sum(1).mean().clamp(min=nats)


class Regions(nn.Module):
    """K soft regions of an image: each position of the finest features belongs to them in shares.

    features: channels of the maps of a U-Net's levels, the finest first. Positions are told apart
    by these features and by their coordinates, so two objects that look alike are two regions. The
    shares assign features to regions and a region's latent to positions, as in Chen et al. 2019
    ("Graph-based global reasoning networks", GloRe).
    """

    def __init__(self, features: Sequence[int], count: int) -> None:
        super().__init__()
        self.width = 2 * features[0]
        self.layers = nn.Sequential(
            conv3(sum(features) + 2, self.width),
            nn.SiLU(),
            conv3(self.width, self.width),
            nn.SiLU(),
        )
        self.shares = nn.Conv2d(self.width, count, 1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Map the features of every level to shares (B, K, h, w) and features (B, width, h, w).

        The shares of a position add up to 1. h and w are the size of the finest level.
        """
        finest = levels[0]
        size = finest.shape[2:]
        axes = [_coordinates(n, finest) for n in size]
        position = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(finest), -1, -1, -1)
        resized = [F.interpolate(x, size, mode="bilinear") for x in levels[1:]]
        features = self.layers(torch.cat([finest, *resized, position], dim=1))
        return self.shares(features).float().softmax(dim=1), features.float()


def _coordinates(count: int, like: Tensor) -> Tensor:
    """Return `count` positions from -1 to 1, (count,), with the type and device of `like`."""
    if not torch.compiler.is_exporting():
        return torch.linspace(-1, 1, count, device=like.device, dtype=like.dtype)
    # torch's exporter to ONNX takes the number of values of linspace for a constant.
    index = torch.arange(count, device=like.device, dtype=like.dtype)
    return 2 * index / index[-1:].clamp(min=1) - 1


def region_dim_of(latent_dim: int, regions: int) -> int:
    """Return the dimensions of the latent of one region. ValueError if they are not whole."""
    if latent_dim % regions:
        raise ValueError(f"latent_dim {latent_dim} is not a multiple of the {regions} regions")
    return latent_dim // regions


def whole_image(features: Tensor) -> Tensor:
    """Return the shares (B, 1, h, w) of the one region that is the whole image."""
    return torch.ones_like(features[:, :1], dtype=torch.float32)


def pool(features: Tensor, shares: Tensor) -> Tensor:
    """Average features (B, C, h, w) over each region: shares (B, K, h, w) → (B, K, C).

    A region that has hardly any pixels gets features close to 0.
    """
    weights = shares / (shares.sum(dim=(2, 3), keepdim=True) + 1e-3)
    return torch.einsum("bkhw,bchw->bkc", weights, features.float())


def spread(latent: Tensor, shares: Tensor) -> Tensor:
    """Map the latents of the regions, (B, K·D), to their positions: (B, D, h, w)."""
    of_region = latent.reshape(len(latent), shares.shape[1], -1)
    return torch.einsum("bkhw,bkd->bdhw", shares, of_region)


class GaussianHead(nn.Module):
    """A layer that maps features of regions, (B, K, C), to a Gaussian (B, K·D).

    At first the Gaussian is close to N(0, I).
    """

    def __init__(self, features: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * dimensions)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Gaussian:
        mean, log_variance = self.linear(F.silu(features)).float().chunk(2, dim=2)
        # The limits keep the variance, e^±10 at most, far from overflow in the KL divergence.
        return Gaussian(mean.flatten(1), log_variance.clamp(-10, 10).flatten(1))


class Prior(nn.Module):
    """The prior of the latent: p(z | L), predicted from features of L, or N(0, I).

    features: channels of the features. dimensions: those of the latent of one region.
    """

    def __init__(self, features: int, dimensions: int, kind: PriorKind) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.head = GaussianHead(features, dimensions) if kind == "learned" else None

    def forward(self, features: Tensor, shares: Tensor) -> Gaussian:
        """Return the prior (B, K·D) for features of L (B, C, h, w) and regions (B, K, h, w)."""
        if self.head is None:
            dimensions = shares.shape[1] * self.dimensions
            return Gaussian.standard(len(features), dimensions, features.device)
        gaussian: Gaussian = self.head(pool(features, shares))
        return gaussian


class Posterior(nn.Module):
    """The posterior q(z | L, color), from an encoder of both that is pooled over each region.

    Patches of patch_size × patch_size pixels of L and of color become its input channels.
    channels: those of color. widths, blocks: levels of the encoder and residual blocks in each.
    dimensions: those of the latent of one region.
    """

    def __init__(
        self, channels: int, patch_size: int, widths: Sequence[int], blocks: int, dimensions: int
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.encoder = Encoder((1 + channels) * patch_size**2, widths, blocks)
        self.head = GaussianHead(widths[-1], dimensions)

    def forward(self, lightness: Tensor, color: Tensor, shares: Tensor) -> Gaussian:
        """Return q of standardized lightness (B, 1, H, W) and standardized color (B, C, H, W).

        shares: those of the regions, (B, K, h, w), at the size of the encoder's coarsest level.
        """
        both = F.pixel_unshuffle(torch.cat([lightness, color], dim=1), self.patch_size)
        gaussian: Gaussian = self.head(pool(self.encoder(both), shares))
        return gaussian


class LatentProjection(nn.Sequential):
    """A small network that maps a latent to features at each position: (B, D, …) → (B, F, …)."""

    def __init__(self, dimensions: int, features: int) -> None:
        super().__init__(
            nn.Conv2d(dimensions, features, 1), nn.SiLU(), nn.Conv2d(features, features, 1)
        )


def posterior_collapse(kl_per_dimension: Sequence[float]) -> str | None:
    """Return a warning with the remedy if the decoder has learned to ignore the latent, or None."""
    active = sum(nats > ACTIVE_NATS for nats in kl_per_dimension)
    if active >= min(MIN_ACTIVE, len(kl_per_dimension)):
        return None
    return (
        f"the latent has collapsed: {active} of {len(kl_per_dimension)} dimensions carry more than "
        f"{ACTIVE_NATS} nat ({sum(kl_per_dimension):.1f} nats in all), so samples may hardly "
        "differ. Lower kl_weight, or raise free_bits or kl_warmup."
    )
