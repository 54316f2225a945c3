"""Random draws as functions of seeds, in training and in sampling."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Randomness:
    """Random draws of one training step, a function of (seed, step) and the place in the batch.

    Whoever works on a part of a step's images draws for all of them and takes its share, (index,
    of how many). So the parts see what the whole would, and nothing has to be stored to resume.
    """

    def __init__(
        self, seed: int, step: int, device: torch.device, share: tuple[int, int] = (0, 1)
    ) -> None:
        self.generator = torch.Generator(device).manual_seed(derive_seed(seed, step))
        self.device = device
        self.index, self.parts = share

    def normal(self, count: int, *shape: int) -> Tensor:
        """Standard normal (count, *shape), float32, for `count` images of the part."""
        return self._share(torch.randn, count, shape)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Uniform on [0, 1), (count, *shape), float32, for `count` images of the part."""
        return self._share(torch.rand, count, shape)

    def _share(self, draw: Callable[..., Tensor], count: int, shape: tuple[int, ...]) -> Tensor:
        whole = (count * self.parts, *shape)
        drawn = draw(whole, generator=self.generator, device=self.device)
        return drawn[self.index * count :][:count]


def derive_seed(*parts: object) -> int:
    """A 63-bit integer that is a function of `parts`; near seeds give unlike streams."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


class Noise:
    """Standard normal draws in which each image follows its own seed alone.

    So an image does not depend on the batch it is in. Drawn on the CPU, so neither on the device.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.seeds = seeds
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def __call__(self, *shape: int) -> Tensor:
        """The next draw, (B, *shape), float32."""
        draws = [torch.randn(shape, generator=generator) for generator in self.generators]
        return torch.stack(draws).to(self.device)
