"""The perceptual loss: how differently the pretrained encoder sees the output and the true image.

The mean color is as far from every likely color as it can be in the features of a classifier, so
this loss prefers one that exists (Johnson et al. 2016, "Perceptual losses for real-time style
transfer and super-resolution"). Features are compared as LPIPS compares them (Zhang et al. 2018),
but through another network than LPIPS measures with, and without its learned weights.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from benchmark.colorizer import Colorizer, pretrained_parts
from benchmark.recipe import Batch
from benchmark.settings import NO_ENCODER

from .encoders import PretrainedEncoder

LEVELS = 4
"""The number of maps that are compared, from the finest on; the coarsest has hardly any pixels."""

PRETRAINED: Mapping[str, Any] = {
    "encoder": "efficientnet_lite0",
    "encoder_scale": 3.0,
    "perceptual_weight": 0.5,
}
"""What the presets `small-pretrained` of regressions, GANs and VAEs share."""
PRETRAINED_WEIGHTED: Mapping[str, Any] = {**PRETRAINED, "chroma_weight": 0.5}
"""That of regressions and GANs, whose color loss can be weighted by chroma."""

PerceptualWeight = Annotated[
    float,
    Field(
        ge=0,
        description="Weight of the perceptual loss, the distance from the true image in the "
        "features of the pretrained encoder; the color loss has weight 1; 0 turns it off",
    ),
]


def require_frozen_encoder(settings: Any) -> None:
    """Raise ValueError if a perceptual loss has no encoder, or one that changes in training."""
    if not settings.perceptual_weight:
        return
    if settings.architecture["encoder"] == NO_ENCODER:
        raise ValueError("perceptual_weight needs a pretrained encoder: name one with --encoder")
    if settings.encoder_rate:
        raise ValueError(
            "perceptual_weight needs an encoder that stays as it is: leave encoder_rate at 0"
        )


def perceptual_losses(
    model: Colorizer, output: Tensor, batch: Batch, weight: float
) -> dict[str, Tensor]:
    """Return the weighted perceptual loss of standardized color (B, C, H, W), or nothing for 0."""
    if not weight:
        return {}
    (encoder,) = pretrained_parts(model)
    assert isinstance(encoder, PretrainedEncoder)
    generated = encoder.maps(model.to_rgb(batch.lightness, output))[:LEVELS]
    with torch.no_grad():
        expected = encoder.maps(batch.rgb)[:LEVELS]
    distances = [
        (_normalized(x) - _normalized(y)).square().sum(1).mean()
        for x, y in zip(generated, expected, strict=True)
    ]
    return {"perceptual": weight * torch.stack(distances).sum()}


def _normalized(features: Tensor) -> Tensor:
    """Scale the features of each position to norm 1, in float32."""
    features = features.float()
    return features / (features.square().sum(1, keepdim=True) + 1e-6).sqrt()
