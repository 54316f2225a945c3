"""The validation losses of a training, and the figure of validation images that it colors."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer
from benchmark.device import memory_format
from benchmark.figures.images import save_results
from benchmark.randomness import Randomness, derive_seed
from benchmark.recipe import Batch, Recipe
from benchmark.training.sample_validation import spread

PREVIEW_IMAGES = 4


@torch.no_grad()
def validation_losses(
    recipe: Recipe[Any, Any], model: Colorizer, pixels: Tensor, fabric: Fabric
) -> dict[str, Any]:
    """The losses of `model` by name, averaged over the validation images, uint8 (N, 3, S, S)."""
    sums: dict[str, Tensor] = {}
    settings = recipe.settings
    for index, part in enumerate(torch.split(pixels, settings.batch_size)):
        rgb = rgb_from_8bit(part.to(fabric.device))
        batch = Batch(rgb.contiguous(memory_format=memory_format(fabric.device)), 1.0)
        # The same draws in every epoch, different from all draws of training.
        rng = Randomness(derive_seed(settings.seed, "validation"), index, fabric.device)
        with fabric.autocast():
            losses = recipe.validate(model, batch, rng)
        for key, value in losses.items():
            weighted = value.detach().cpu().double() * len(part)
            sums[key] = sums[key] + weighted if key in sums else weighted
    return {f"val/{key}": (total / len(pixels)).tolist() for key, total in sums.items()}


def save_preview(path: Path, model: Colorizer, pixels: Tensor, device: torch.device) -> None:
    """Write a figure of a few validation images, uint8 (N, 3, S, S), as `model` colors them."""
    truth8 = spread(pixels, PREVIEW_IMAGES)
    lightness = rgb_to_lightness(rgb_from_8bit(truth8)).to(device)
    sampling = model.sampling_class().preview()
    output = model.colorize(lightness, seeds=range(len(lightness)), sampling=sampling)
    save_results(path, lightness, output, truth8)
