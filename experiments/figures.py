"""What both figures of colored images share: options, the loading of weights, stacks of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from benchmark.checkpoints import load_weights
from benchmark.color import rgb_from_8bit
from benchmark.colorizer import Colorizer
from benchmark.results.folders import RunFolder
from benchmark.settings import Settings

CPU = torch.device("cpu")
DEFAULT_SEED: int = Settings.model_fields["seed"].default

Figure = Annotated[Path, typer.Option(help="The PNG to write.")]
Results = Annotated[Path, typer.Option(help="Folder of the runs.")]
Seed = Annotated[int, typer.Option(help="Seed of the runs.")]


def best_model(run: RunFolder, name: str) -> Colorizer:
    """Load the best weights of a run into model `name`, on the CPU; UserError if it has none."""
    return load_weights(run.choose_weights("best"), name, CPU).model


def stacked(images: Sequence[Image.Image]) -> Tensor:
    """Return images of one size as sRGB in [0, 1], (B, 3, H, W)."""
    arrays = [np.asarray(image) for image in images]
    return rgb_from_8bit(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))
