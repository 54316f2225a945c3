"""Color one photo at its full resolution."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.console import info
from benchmark.data.reading import open_photo
from benchmark.device import make_fabric
from benchmark.figures.frames import Frames
from benchmark.figures.images import save_png
from benchmark.jobs.job import choose_sampling, require_frames
from benchmark.jobs.weights import find_weights
from benchmark.randomness import derive_seed
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingRecord, read_record


def colorize_photo(
    photo: Path,
    out: Path,
    model: str,
    folder: RunFolder,
    weights: str,
    sampling: dict[str, Any],
    device: str | None,
    with_frames: bool,
) -> None:
    """Color one image file at its full resolution and write it as PNG.

    The model works at the size it was trained for; its color is brought to the photo's size and
    joined to the photo's own lightness. with_frames: also write the sampling from noise to color
    beside it, at the size that the model works at.
    """
    image = open_photo(photo)
    registry.require(model)
    if with_frames:
        require_frames(model)
    frames = Frames() if with_frames else None
    fabric = make_fabric(device, "32")
    path = find_weights(model, folder, weights)
    loaded = load_weights(path, model, fabric.device)
    begun = read_record(RunFolder.of_weights(path).settings, TrainingRecord)
    chosen = choose_sampling(model, type(loaded.model), begun.preset, sampling)
    size = begun.settings["size"]
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
    lightness = rgb_to_lightness(rgb_from_8bit(pixels))
    scale = size / min(lightness.shape[2:])
    small = [max(size, round(side * scale)) for side in lightness.shape[2:]]
    reduced = F.interpolate(lightness, small, mode="bicubic", antialias=True).clamp(0, 100)
    seeds = [derive_seed(folder.seed, photo.name, 0)]
    rgb = loaded.model.colorize(
        reduced.to(fabric.device), seeds=seeds, sampling=chosen, on_step=frames
    )
    ab = rgb_to_lab(rgb)[:, 1:].cpu()
    full = F.interpolate(ab, lightness.shape[2:], mode="bicubic", antialias=True)
    save_png(out, join(lightness, full)[0])
    if frames is not None:
        strip, animation = (out.with_name(f"{out.stem}-frames{end}") for end in (".png", ".webp"))
        frames.save(0, rgb[0], strip, animation)
        info(f"The sampling from noise to color: {strip}, {animation}")
