"""Losses, in float32 whatever autocast is active, and the optimizer all share."""

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
    """AdamW over all of a module. Norms and biases are not decayed: there is nothing to shrink.

    Fused where it is on a CPU: a third of the time. (On a GPU that would do the unscaling of fp16
    itself, and gradients could not be clipped before.)
    """
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    fused = all(p.device.type == "cpu" for p in matrices + vectors)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=fused or None)
