"""Random draws as functions of seeds, in training and in sampling."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Randomness:
    """Random draws of one training step, a function of (seed, step, index in the whole batch).

    A part of a step's batch draws for the whole batch and takes its own share, (index, number of
    parts). So all parts together draw what one large batch would, and resuming needs no state.
    """

    def __init__(
        self, seed: int, step: int, device: torch.device, share: tuple[int, int] = (0, 1)
    ) -> None:
        self.generator = torch.Generator(device).manual_seed(derive_seed(seed, step))
        self.device = device
        self.index, self.parts = share

    def normal(self, count: int, *shape: int) -> Tensor:
        """Draw standard normal (count, *shape), float32, for `count` images of the part."""
        return self._share(torch.randn, count, shape)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Draw uniformly from [0, 1), (count, *shape), float32, for `count` images of the part."""
        return self._share(torch.rand, count, shape)

    def _share(self, draw: Callable[..., Tensor], count: int, shape: tuple[int, ...]) -> Tensor:
        whole = (count * self.parts, *shape)
        drawn = draw(whole, generator=self.generator, device=self.device)
        return drawn[self.index * count :][:count]


def derive_seed(*parts: object) -> int:
    """Derive a 63-bit seed from `parts`, by SHA-256: similar parts give unrelated streams."""
    # File names that are no UTF-8 hold lone surrogates, which would be refused otherwise.
    text = "/".join(map(str, parts)).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


class Noise:
    """Standard normal draws, of which each image's depend on its own seed alone.

    So an image does not depend on its batch. The draws are made on the CPU, so it does not depend
    on the device either.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.seeds = seeds
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def __call__(self, *shape: int) -> Tensor:
        """Return the next draw, (B, *shape), float32."""
        draws = [torch.randn(shape, generator=generator) for generator in self.generators]
        return torch.stack(draws).to(self.device)
