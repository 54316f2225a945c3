"""The rows every table has, run through the very same path as a model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.color import rgb_to_lab
from benchmark.colorizer import Colorizer, OnStep
from benchmark.randomness import Noise

GRAY, MEAN_AB, GROUND_TRUTH = "gray", "mean ab", "ground truth"


class Gray(Colorizer):
    """The input as it is: what copying scores."""

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        return torch.zeros_like(lightness).expand(-1, 2, -1, -1)


class MeanAb(Colorizer):
    """One color for all, the mean of a training set's: what can be had without looking.

    ab_mean: in Lab units.
    """

    def __init__(self, ab_mean: tuple[float, float]) -> None:
        super().__init__()
        self.ab_mean = ab_mean

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        ab = torch.tensor(self.ab_mean, device=lightness.device).view(1, 2, 1, 1)
        return ab.expand(len(lightness), 2, *lightness.shape[2:])


class GroundTruth(Colorizer):
    """The true color: what nothing can beat, and a check of the whole path.

    truths: sRGB (3, H, W) of each image by its seed, which is all a colorizer is told of it.
    """

    def __init__(self, truths: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.truths = truths

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        rgb = torch.stack([self.truths[seed] for seed in noise.seeds])
        return rgb_to_lab(rgb.to(lightness.device))[:, 1:]
