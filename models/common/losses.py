"""Losses and distances, in float32 whatever autocast is active, and the optimizer all share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def huber(prediction: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    """Mean Huber loss (Huber 1964): squared up to `delta`, linear beyond, so outliers pull less."""
    return F.huber_loss(prediction.float(), target.float(), delta=delta)


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(prediction.float(), target.float())


def adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over all of a module. Norms and biases are not decayed: there is nothing to shrink."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99))


def divergence(ab1: Tensor, ab2: Tensor, bins: int = 32) -> Tensor:
    """Jensen-Shannon divergence of the histograms of ab, nats, in [0, ln 2].

    Of ab in Lab units, (B, 2, H, W), over all pixels of a batch: whether a set has the colours of
    another, wherever they are. Not differentiable.
    """
    p, q = _histogram(ab1, bins), _histogram(ab2, bins)
    middle = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny).log()
    return (torch.xlogy(p, p) - p * middle + torch.xlogy(q, q) - q * middle).sum() / 2


def _histogram(ab: Tensor, bins: int) -> Tensor:
    """Shares of bins × bins squares that span ±110, what sRGB has of a* and b*."""
    places = ((ab.float() + 110) / 220 * bins).long().clamp(0, bins - 1)
    index = (places[:, 0] * bins + places[:, 1]).flatten()
    counts = torch.zeros(bins * bins, device=ab.device)
    counts.scatter_add_(0, index, torch.ones_like(index, dtype=counts.dtype))
    return counts / counts.sum()
