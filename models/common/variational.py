"""The frame of a conditional VAE (Sohn et al. 2015): what its networks are, and how it samples."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from benchmark.colorizer import Colorizer, OnStep, Sampling
from benchmark.randomness import Noise

from .latent import Gaussian


class VariationalColorizer(Colorizer):
    """A decoder p(color | L, z), a prior p(z | L), and what the posterior of its training needs.

    latent_dim: dimensions of z. region_dim: those of one region. posterior_widths: widths of the
    posterior's encoder, whose coarsest level has the size of the regions.
    """

    stochastic = True
    latent_dim: int
    region_dim: int
    posterior_widths: Sequence[int]

    @abstractmethod
    def encode(self, lightness: Tensor) -> Any:
        """Map L* (B, 1, H, W) to what is computed from it once for any number of latents."""

    @abstractmethod
    def regions(self, encoded: Any) -> Tensor:
        """Return the shares of the regions of an encoded L, (B, K, h, w)."""

    @abstractmethod
    def prior_of(self, encoded: Any) -> Gaussian:
        """Return p(z | L) of an encoded L, (B, latent_dim)."""

    @abstractmethod
    def decode(self, encoded: Any, latent: Tensor) -> Tensor:
        """Return the standardized color (B, C, H, W) of an encoded L and z (B, latent_dim)."""

    def forward(
        self, lightness: Tensor, infer: Callable[[Tensor], Gaussian], noise: Tensor
    ) -> tuple[Tensor, Gaussian, Gaussian]:
        """Return the color decoded from a sample of the posterior, the posterior and the prior.

        lightness: L* (B, 1, H, W). infer: maps the regions' shares to the posterior. noise:
        (B, latent_dim). The color is standardized, (B, C, H, W).
        """
        encoded = self.encode(lightness)
        q = infer(self.regions(encoded))
        return self.decode(encoded, q.sample(noise)), q, self.prior_of(encoded)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        encoded = self.encode(lightness)
        latent = self.prior_of(encoded).sample(noise(self.latent_dim))
        return self.unstandardize(self.decode(encoded, latent))
