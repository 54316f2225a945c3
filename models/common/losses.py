"""Losses, computed in float32 under any autocast, and the optimizer that all recipes use."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark.colorizer import pretrained_parts

ChromaWeight = Annotated[
    float,
    Field(
        ge=0,
        description="Share by which the color loss of a pixel counts more for each standard "
        "deviation of its true chroma, since vivid pixels are rare; 0 weights all equally",
    ),
]


def huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean Huber loss (Huber 1964): squared for errors up to 1 and linear beyond.

    The linear part limits the gradient of outliers.
    """
    return F.huber_loss(prediction.float(), target.float())


def weighted_huber(prediction: Tensor, target: Tensor, chroma_weight: float) -> Tensor:
    """Return the mean Huber loss of standardized color (B, C, H, W), weighted by true chroma.

    A pixel's weight is 1 + chroma_weight · |target|, divided by the mean weight of the batch. It
    rebalances rare vivid and frequent grayish colors as the class weights of Zhang et al. 2016 do
    in a classification.
    """
    if not chroma_weight:
        return huber(prediction, target)
    target = target.float()
    weight = 1 + chroma_weight * target.norm(dim=1, keepdim=True)
    loss = F.huber_loss(prediction.float(), target, reduction="none")
    return (weight / weight.mean() * loss).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(prediction.float(), target.float())


def adamw(
    module: nn.Module, learning_rate: float, weight_decay: float, encoder_rate: float = 0.0
) -> torch.optim.AdamW:
    """Return AdamW over all parameters of a module; norms and biases have no weight decay.

    The parameters of pretrained encoders stay as they are, or learn at `encoder_rate` times the
    learning rate if it is not 0.

    It is fused where all parameters are on a CPU, where an update then takes a third of the time.
    On a GPU the fused optimizer would unscale fp16 gradients itself, so they could not be clipped
    first.
    """
    encoders = [p for part in pretrained_parts(module) for p in part.parameters()]
    known = set(encoders)
    own = [p for p in module.parameters() if p not in known]
    groups = _by_decay(own, weight_decay, lr=learning_rate)
    if encoders and encoder_rate:
        for parameter in encoders:
            parameter.requires_grad_(True)
        groups += _by_decay(encoders, weight_decay, lr=encoder_rate * learning_rate)
    fused = all(p.device.type == "cpu" for p in own)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=fused or None)


def _by_decay(
    parameters: Sequence[nn.Parameter], weight_decay: float, **options: float
) -> list[dict[str, Any]]:
    """Return two groups of parameters for an optimizer: matrices, and vectors without decay."""
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay, **options},
        {"params": vectors, "weight_decay": 0.0, **options},
    ]
