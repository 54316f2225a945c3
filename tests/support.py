"""What several test files need: small images and small trainings."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark import registry
from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling, Statistics
from benchmark.data.cache import ImageSet
from benchmark.data.loading import TrainingData, measure
from benchmark.data.manifest import ImageFile
from benchmark.device import make_fabric
from benchmark.recipe import Recipe
from benchmark.results.folders import RunFolder
from benchmark.settings import resolve
from benchmark.training.loop import Loop


def blobs(count: int, size: int, seed: int = 0) -> Tensor:
    """uint8 (count, 3, size, size): soft blobs of lightness, each in a color of its own."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    fields = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    lightness = 20 + 60 * fields[:, :1]
    ab = 70 * (fields[:, 1:] - 0.5)
    return rgb_to_8bit(join(lightness, ab))


def images_of(rgb8: Tensor) -> ImageSet:
    """Images in memory, as if they had been read from files."""
    files = [ImageFile(f"{row}.png", Path(f"{row}.png"), f"{row:064d}") for row in range(len(rgb8))]
    return ImageSet(files, rgb8, {})


def training_data(rgb8: Tensor) -> TrainingData:
    """The same images to train and to validate on."""
    images = images_of(rgb8)
    return TrainingData(images, images, measure(images), {"manifest": "0"})


def tiny_recipe(name: str, **typed: Any) -> Recipe[Any, Any]:
    """A model and its recipe in the preset `tiny`, seeded."""
    settings = resolve(registry.load_settings(name), name, "tiny", typed).settings
    torch.manual_seed(settings.seed)
    model = settings.model_class.build(settings.architecture)
    return registry.load_recipe(name)(model, settings)


def awaken(module: torch.nn.Module) -> None:
    """Layers that start at zero hide what is before them: let them start at something."""
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)


def tiny_sampling(model: Colorizer) -> Sampling:
    """What the preset `tiny` chooses for testing: few steps."""
    return model.sampling_class(**model.sampling_class.presets.get("tiny", {}))


def tiny_model(name: str, **typed: Any) -> Colorizer:
    """A model in the preset `tiny`, untrained, in eval mode, with the statistics of any photos."""
    model: Colorizer = tiny_recipe(name, **typed).model
    model.calibrate(Statistics((2.0, 8.0), (12.0, 18.0), 4.0))
    return model.eval()


def make_loop(folder: Path, name: str, data: TrainingData, **typed: Any) -> Loop:
    """A training in the preset `tiny`, ready to run on the CPU."""
    recipe = tiny_recipe(name, precision="32", **typed)
    recipe.model.calibrate(data.statistics)
    run = RunFolder(folder, name, recipe.settings.seed)
    return Loop(run, name, recipe.model, recipe, data, make_fabric("cpu", "32"))


def lightness_like(rgb8: Tensor) -> Tensor:
    """L* of uint8 images, (B, 1, H, W)."""
    return rgb_to_lightness(rgb_from_8bit(rgb8))
