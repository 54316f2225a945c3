"""What a network that samples color sees beside the noisy color: everything computed from L."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor


class Condition(NamedTuple):
    """The inputs of a denoiser or a flow that are computed from L, once for a whole sampling.

    patches: those of L as channels, (B, patch_size², h, w). maps: the features of an encoder,
    pretrained or not, (B, widths[i], h / 2^i, w / 2^i), or empty. features and mean: a regression's
    features, (B, F, h, w), and its mean color, (B, C, h, w), or None.
    """

    patches: Tensor
    maps: Sequence[Tensor] = ()
    features: Tensor | None = None
    mean: Tensor | None = None

    def masked(self, kept: Tensor) -> "Condition":
        """Return the condition multiplied by `kept` (B, 1, 1, 1): 0 hides an image, 1 keeps it."""
        return self._map(lambda x: x * kept)

    def every_second(self) -> "Condition":
        """Return the condition of every second image, from the first on."""
        return self._map(lambda x: x[::2])

    def repeated(self, times: int) -> "Condition":
        """Return each image `times` times in succession, (B · times, …)."""
        return self._map(lambda x: x.repeat_interleave(times, 0)) if times > 1 else self

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        features = None if self.features is None else change(self.features)
        mean = None if self.mean is None else change(self.mean)
        return Condition(change(self.patches), [change(x) for x in self.maps], features, mean)
