"""Helpers of the metrics' tests: random pairs of images, and their scores."""

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.color import rgb_from_8bit
from benchmark.metrics.score import Scores, in_batches, score
from benchmark.metrics.table import MetricSuite


def random_pair(seed: int, n: int = 3, height: int = 24, width: int = 32) -> tuple[Tensor, Tensor]:
    """Return (prediction, truth), uint8 (N, 3, H, W): most different in the first image, least in
    the last."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 256, (n, 3, height, width))
    spread = np.geomspace(100, 2, n)[:, None, None, None]
    noisy = np.clip(truth + rng.normal(size=truth.shape) * spread, 0, 255).round()
    return torch.from_numpy(noisy).byte(), torch.from_numpy(truth).byte()


def float_pair(seed: int, **shape: int) -> tuple[Tensor, Tensor]:
    """Return the pair as sRGB in [0, 1]."""
    prediction, truth = random_pair(seed, **shape)
    return rgb_from_8bit(prediction), rgb_from_8bit(truth)


class Coarse(nn.Module):
    """A stand-in for Inception: features (B, 48) of uint8 images, their colors on a 4×4 grid."""

    def forward(self, rgb8: Tensor) -> Tensor:
        assert rgb8.dtype == torch.uint8
        return nn.functional.adaptive_avg_pool2d(rgb_from_8bit(rgb8), 4).flatten(1)


def scored(prediction8: Tensor, truth8: Tensor, batch_size: int | None = None) -> Scores:
    """Score uint8 (N, 3, H, W) with a stand-in for Inception and without LPIPS."""
    suite = MetricSuite(networks={"kid": Coarse()})
    pairs = zip(prediction8, truth8, strict=True)
    return score(in_batches(pairs, batch_size), suite)
