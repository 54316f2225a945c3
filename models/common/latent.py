"""What the variational autoencoders share: Gaussians, the posterior that sees color, the KL.

Kingma and Welling 2014; with a condition, Sohn et al. 2015: q(z | L, ab) in training, p(z | L) or
N(0, I) in use. The latent is a vector for the whole image, so that an image is colored as one;
it modulates the coarse levels wherever they are, so the size of images is free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from benchmark.settings import Settings

from .encoder_decoder import Encoder
from .losses import huber

LatentDim = Annotated[int, Field(ge=1, le=4096, description="dimensions of the latent")]
Prior = Annotated[
    Literal["learned", "standard"],
    Field(description="of the latent: a Gaussian learned from L, or N(0, I)"),
]

ACTIVE = 0.1
"""Nats of KL above which a dimension says something."""
FEWEST_ACTIVE = 4


class VariationalSettings(Settings):
    """What can be set of a variational training."""

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, after warm-up")
    kl_weight: float = Field(1e-3, ge=0, description="of a nat of KL beside the colors' distance")
    kl_warmup: float = Field(0.2, ge=0, le=1, description="share of training until its full weight")
    free_bits: float = Field(4.0, ge=0, description="nats that the latent may say for nothing")


@dataclass(frozen=True)
class Gaussian:
    """Independent normal variables, (B, D): mean and natural logarithm of the variance."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def standard(cls, count: int, dimensions: int, device: torch.device) -> "Gaussian":
        zeros = torch.zeros(count, dimensions, device=device)
        return cls(zeros, zeros)

    def sample(self, noise: Tensor) -> Tensor:
        """Mean + deviation · noise, so that gradients reach both (Kingma and Welling, 2.4)."""
        return self.mean + (self.log_variance / 2).exp() * noise


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q ‖ p) of each dimension, nats, (B, D); over p = N(0, I), Kingma and Welling, app. B."""
    squared = (q.mean - p.mean).square() + q.log_variance.exp()
    return 0.5 * (p.log_variance - q.log_variance + squared / p.log_variance.exp() - 1)


class Variational(Protocol):
    """What a VAE's model offers to its training.

    A call with L* (B, 1, H, W) and a latent (B, D) gives the color (B, C, H, W) that it decodes to
    and the prior p(z | L).
    """

    def target(self, rgb: Tensor) -> Tensor: ...
    def standardize_lightness(self, lightness: Tensor) -> Tensor: ...
    def __call__(self, lightness: Tensor, latent: Tensor) -> tuple[Tensor, Gaussian]: ...


def color_and_kl(
    model: Variational, posterior: "Posterior", batch: Batch, rng: Randomness
) -> tuple[Tensor, Tensor]:
    """The two sides of the bound: how far the color decoded from a draw of the posterior is from
    the truth (Huber), and KL(posterior ‖ prior) of each image and dimension, nats, (B, D)."""
    real = model.target(batch.rgb)
    q = posterior(model.standardize_lightness(batch.lightness), real)
    latent = q.sample(rng.normal(*q.mean.shape))
    color, p = model(batch.lightness, latent)
    return huber(color, real), kl_divergence(q, p)


def kl_price(kl: Tensor, settings: VariationalSettings, progress: float) -> Tensor:
    """What KL (B, D) costs at this share of training: warm-up (Bowman et al. 2016), free bits."""
    warm = min(1.0, progress / settings.kl_warmup) if settings.kl_warmup else 1.0
    return warm * settings.kl_weight * free(kl, settings.free_bits)


def bound(color: Tensor, kl: Tensor, settings: VariationalSettings) -> dict[str, Tensor]:
    """For validation: the whole price, no dimension free; and what each dimension says."""
    price = settings.kl_weight * kl.sum(1).mean()
    return {
        "bound": color + price,
        "color": color,
        "kl": price,
        "kl_per_dimension": kl.mean(0),
    }


def free(kl: Tensor, bits: float) -> Tensor:
    """KL (B, D) → its sum over dimensions, mean over the batch, free up to `bits` nats.

    Free bits (Kingma et al. 2016, eq. 15) with all dimensions as one group: were each one free by
    itself, the latent would spread what it says thinly over all of them.
    """
    return kl.sum(1).mean().clamp(min=bits)


class GaussianHead(nn.Module):
    """Features (B, C, h, w) → a Gaussian of (B, D); it starts as nearly N(0, I)."""

    def __init__(self, features: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * dimensions)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Gaussian:
        pooled = F.silu(features.mean(dim=(2, 3)))
        mean, log_variance = self.linear(pooled).float().chunk(2, dim=1)
        # e^±10: what a float can still be squared and divided by.
        return Gaussian(mean, log_variance.clamp(-10, 10))


class Posterior(nn.Module):
    """q(z | L, color): an encoder that sees both, folded, and pools over the image."""

    def __init__(
        self, channels: int, fold: int, widths: Sequence[int], blocks: int, dimensions: int
    ) -> None:
        super().__init__()
        self.fold = fold
        self.encoder = Encoder((1 + channels) * fold**2, widths, blocks)
        self.head = GaussianHead(widths[-1], dimensions)

    def forward(self, lightness: Tensor, color: Tensor) -> Gaussian:
        """Both standardized, (B, 1, H, W) and (B, C, H, W)."""
        seen = F.pixel_unshuffle(torch.cat([lightness, color], dim=1), self.fold)
        gaussian: Gaussian = self.head(self.encoder(seen))
        return gaussian


class Injection(nn.Module):
    """The latent (B, D) → the vector (B, features) that modulates residual blocks."""

    def __init__(self, dimensions: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimensions, features), nn.SiLU(), nn.Linear(features, features)
        )

    def forward(self, latent: Tensor) -> Tensor:
        vector: Tensor = self.layers(latent)
        return vector


def collapse(kl_per_dimension: Sequence[float]) -> str | None:
    """What to change if the latent says nothing: the decoder has then learned to ignore it."""
    active = sum(nats > ACTIVE for nats in kl_per_dimension)
    if active >= min(FEWEST_ACTIVE, len(kl_per_dimension)):
        return None
    return (
        f"the latent has collapsed: {active} of {len(kl_per_dimension)} dimensions hold more than "
        f"{ACTIVE} nat ({sum(kl_per_dimension):.1f} in all), so samples may hardly differ. Lower "
        "kl_weight, or raise free_bits or kl_warmup."
    )
