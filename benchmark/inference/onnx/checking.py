"""The images of an ONNX file are compared with those of the model that it was written from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.color import rgb_to_8bit
from benchmark.colorizer import Colorizer
from benchmark.errors import UserError
from benchmark.inference.onnx.network import with_network
from benchmark.inference.onnx.writing import open_session

LEVELS = 1
"""The most by which a sample of 8 bits may differ: processors round differently."""
STEPS = 4
"""Steps of a sampling in a check, which is of the network and not of the sampler."""


def sizes_of(size: int, divisor: int, fixed: bool) -> list[tuple[int, int]]:
    """Return the sizes (height, width) at which images are compared: three unless it is fixed."""
    size = -(-size // divisor) * divisor
    if fixed:
        return [(size, size)]
    return [(size, size), (size, 2 * size), (max(16, size + divisor), max(16, size // 2))]


def require_same_images(path: Path, model: Colorizer, sizes: Sequence[tuple[int, int]]) -> int:
    """Return the largest difference of the images of an ONNX file, in levels of 8 bits.

    Raises UserError if it is more than LEVELS.
    """
    exported = with_network(model, open_session(path))
    model = model.cpu().eval()
    largest = 0
    for index, (height, width) in enumerate(sizes):
        generator = torch.Generator().manual_seed(index)
        coarse = 100 * torch.rand(1, 1, 5, 5, generator=generator)
        lightness = F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 100)
        images = [color(each, lightness, index) for each in (model, exported)]
        difference = int((images[0].int() - images[1].int()).abs().max())
        if difference > LEVELS:
            raise UserError(
                f"{path.name} is not right: at {height}×{width} its image differs by {difference} "
                "of 255 levels; install the newest torch, onnx, onnxscript and onnxruntime."
            )
        largest = max(largest, difference)
    return largest


def color(model: Colorizer, lightness: Tensor, seed: int) -> Tensor:
    """Color L* (1, 1, H, W) with few steps; returns an 8-bit image (1, 3, H, W)."""
    return rgb_to_8bit(model.colorize(lightness, seeds=[seed], sampling=few_steps(model)))


def few_steps(model: Colorizer) -> Any:
    """Return the default sampling of a model, in STEPS steps if it has any."""
    chosen: dict[str, Any] = {"steps": STEPS} if model.has_steps() else {}
    return model.resolve_sampling(model.sampling_class(**chosen))
