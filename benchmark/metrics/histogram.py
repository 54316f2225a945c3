"""Which colors a set of images has, wherever they are: histograms of ab and their divergence."""

import torch
from torch import Tensor

BINS = 32
LIMIT = 110
"""What sRGB has of a* and b* lies within ±110."""


def ab_histogram(ab: Tensor, bins: int = BINS) -> Tensor:
    """Pixels in each of bins × bins squares that span ±110: ab (B, 2, H, W) → int64 (bins²,).

    Counts, so that the histogram of a set is the sum of those of its batches, exactly.
    """
    places = ((ab.float() + LIMIT) / (2 * LIMIT) * bins).long().clamp(0, bins - 1)
    return torch.bincount((places[:, 0] * bins + places[:, 1]).flatten(), minlength=bins**2)


def jensen_shannon(counts1: Tensor, counts2: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two histograms (Lin 1991), nats, in [0, ln 2]."""
    p, q = (counts.float() / counts.sum() for counts in (counts1, counts2))
    middle = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny).log()
    divergence = (torch.xlogy(p, p) - p * middle + torch.xlogy(q, q) - q * middle).sum() / 2
    return divergence.clamp(min=0)  # of equal histograms, rounding may leave -1e-8


def ab_divergence(ab1: Tensor, ab2: Tensor, bins: int = BINS) -> Tensor:
    """Jensen-Shannon divergence of the colors of two batches of ab in Lab units, (B, 2, H, W).

    Over all pixels of a batch: whether a set has the colors of another. Not differentiable.
    """
    return jensen_shannon(ab_histogram(ab1, bins), ab_histogram(ab2, bins))
