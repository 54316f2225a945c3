"""The distribution of the colors of images: histograms of ab and their divergence."""

import torch
from torch import Tensor

BINS = 32
LIMIT = 110
"""The a* and b* of all sRGB colors lie within ±110."""


def ab_histogram(ab: Tensor, bins: int = BINS) -> Tensor:
    """Count the pixels in bins × bins squares that span ±110: ab (B, 2, H, W) → int64 (bins²,).

    These are counts, so that the histogram of a set is exactly the sum of those of its batches.
    """
    indices = ((ab.float() + LIMIT) / (2 * LIMIT) * bins).long().clamp(0, bins - 1)
    return torch.bincount((indices[:, 0] * bins + indices[:, 1]).flatten(), minlength=bins**2)


def jensen_shannon(counts1: Tensor, counts2: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two histograms (Lin 1991), nats, in [0, ln 2]."""
    p, q = (counts.float() / counts.sum() for counts in (counts1, counts2))
    middle = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny).log()
    divergence = (torch.xlogy(p, p) - p * middle + torch.xlogy(q, q) - q * middle).sum() / 2
    return divergence.clamp(min=0)  # rounding may leave -1e-8 for equal histograms


def ab_divergence(ab1: Tensor, ab2: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the colors of two batches of ab in Lab units, (B, 2, H, W).

    It is taken over all pixels of a batch, wherever they are, and is not differentiable.
    """
    return jensen_shannon(ab_histogram(ab1), ab_histogram(ab2))
