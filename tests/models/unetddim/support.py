"""Small diffusion models for the tests of unetddim."""

from typing import Any

import torch
from torch import Tensor

from benchmark.randomness import Noise
from models.unetddim.model import Model
from tests.support import awaken, tiny_model

CPU = torch.device("cpu")
SMALL = {"widths": [8, 8, 8], "blocks": 1}
CLASSIC = {
    "patch_size": 1,
    "shift": 1,
    "zero_terminal": False,
    "prediction": "epsilon",
    "condition": "concat",
}
"""The classic recipe: noise prediction at full size, without a regression."""


def small_model(**typed: Any) -> Model:
    """Return a small unetddim whose layers all have weights other than zero."""
    model = tiny_model("unetddim", **{**SMALL, **typed})
    awaken(model)
    assert isinstance(model, Model)
    return model


def predict_ab(model: Model, lightness: Tensor, seeds: list[int], **sampling: Any) -> Tensor:
    """Return the prediction of the model before color is joined to L: ab or sRGB, (B, C, H, W)."""
    resolved = model.resolve_sampling(model.sampling_class(**{"steps": 5, **sampling}))
    noise = Noise(seeds, CPU)
    return model.predict(lightness, noise=noise, sampling=resolved, on_step=None).detach()
