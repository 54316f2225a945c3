"""The parts of variational autoencoders: Gaussians, the KL divergence, prior and posterior.

Kingma and Welling 2014; with a condition, Sohn et al. 2015. Training samples the posterior
q(z | L, color), and colorizing samples the prior, p(z | L) or N(0, I). The latent z is one vector
per image, so it decides the colors of the whole image together. It modulates the coarse levels
equally at every position, so images may have any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from .encoder_decoder import Encoder

LatentDim = Annotated[int, Field(ge=1, le=4096, description="Dimensions of the latent vector")]
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
    """Independent normal variables, (B, D): mean and natural logarithm of the variance."""

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


class GaussianHead(nn.Module):
    """A layer that maps features (B, C, h, w) to a Gaussian (B, D), at first close to N(0, I)."""

    def __init__(self, features: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * dimensions)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Gaussian:
        pooled = F.silu(features.mean(dim=(2, 3)))
        mean, log_variance = self.linear(pooled).float().chunk(2, dim=1)
        # The limits keep the variance, e^±10 at most, far from overflow in the KL divergence.
        return Gaussian(mean, log_variance.clamp(-10, 10))


class Prior(nn.Module):
    """The prior of the latent: p(z | L), predicted from features of L, or N(0, I).

    features: channels of the features. dimensions: those of the latent.
    """

    def __init__(self, features: int, dimensions: int, kind: PriorKind) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.head = GaussianHead(features, dimensions) if kind == "learned" else None

    def forward(self, features: Tensor) -> Gaussian:
        """Return the prior (B, dimensions) for features (B, C, h, w) of L."""
        if self.head is None:
            return Gaussian.standard(len(features), self.dimensions, features.device)
        gaussian: Gaussian = self.head(features)
        return gaussian


class Posterior(nn.Module):
    """The posterior q(z | L, color), from an encoder of both that is pooled over the image.

    Patches of patch_size × patch_size pixels of L and of color become its input channels.
    channels: those of color. widths, blocks: levels of the encoder and residual blocks in each.
    dimensions: those of the latent.
    """

    def __init__(
        self, channels: int, patch_size: int, widths: Sequence[int], blocks: int, dimensions: int
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.encoder = Encoder((1 + channels) * patch_size**2, widths, blocks)
        self.head = GaussianHead(widths[-1], dimensions)

    def forward(self, lightness: Tensor, color: Tensor) -> Gaussian:
        """Return q of standardized lightness (B, 1, H, W) and standardized color (B, C, H, W)."""
        both = F.pixel_unshuffle(torch.cat([lightness, color], dim=1), self.patch_size)
        gaussian: Gaussian = self.head(self.encoder(both))
        return gaussian


class LatentProjection(nn.Module):
    """A small network that maps the latent (B, D) to the vector (B, features) of modulation."""

    def __init__(self, dimensions: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimensions, features), nn.SiLU(), nn.Linear(features, features)
        )

    def forward(self, latent: Tensor) -> Tensor:
        vector: Tensor = self.layers(latent)
        return vector


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
