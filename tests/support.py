"""Small images, models and trainings that several test files use."""

from collections.abc import Callable
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
from benchmark.data.reading import read_whole
from benchmark.data.report import FileReport
from benchmark.device import make_fabric
from benchmark.recipe import Recipe
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingSet
from benchmark.settings import resolve
from benchmark.training.loop import Loop
from benchmark.training.pretrained import load_pretrained

RunCommand = Callable[..., tuple[int, str, str]]
"""The type of the fixture `run`: arguments of main.py → (exit code, stdout, stderr)."""
SMALL_RUN = ["--preset", "quick", "--epochs", "1", "--batch_size", "8", "--size", "32"]
SMALL_RUN += ["--set", "widths=16,32"]
"""Options of a training of some seconds."""


def blobs(count: int, size: int, seed: int = 0) -> Tensor:
    """Return uint8 (count, 3, size, size): soft blobs, each image in its own colors."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    fields = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    lightness = 20 + 60 * fields[:, :1]
    ab = 70 * (fields[:, 1:] - 0.5)
    return rgb_to_8bit(join(lightness, ab))


def images_of(rgb8: Tensor) -> ImageSet:
    """Return an ImageSet of uint8 (N, 3, S, S) in memory, as if it had been read from files."""
    files = [ImageFile(f"{row}.png", Path(f"{row}.png"), f"{row:064d}") for row in range(len(rgb8))]
    return ImageSet(files, rgb8, {})


def training_data(rgb8: Tensor) -> TrainingData:
    """Return training data in which the same images serve for training and validation."""
    images = images_of(rgb8)
    count, statistics = len(images), measure(images)
    training_set = TrainingSet(
        name="images",
        n_train=count,
        n_val=count,
        n_unusable=0,
        manifest="0",
        ab_mean=list(statistics.ab_mean),
    )
    return TrainingData(images, images, statistics, training_set, [], [], FileReport())


TINY: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "size": 32,
    "learning_rate": 3e-3,
    "widths": [16, 32],
    "blocks": 1,
    "dilations": [1],
    "discriminator_widths": [8, 16],
    "latent_dim": 16,
    "regions": 2,
    "free_bits": 0,
    "shift": 1.5,
    "condition_dropout": 0.0,  # guidance would go beyond the eight images that are overfitted
}
"""Settings with which a model overfits eight images in seconds; each model uses those it knows."""
TINY_SAMPLING: dict[str, Any] = {"steps": 20}
"""Few steps."""


def tiny_recipe(name: str, **typed: Any) -> Recipe[Any, Any]:
    """Return the recipe of a tiny, seeded model; the settings `typed` override those of TINY."""
    settings_class = registry.load_settings(name)
    known = settings_class.described()
    tiny = {key: value for key, value in TINY.items() if key in known}
    settings = resolve(settings_class, name, "standard", {**tiny, **typed}).settings
    torch.manual_seed(settings.seed)
    model = settings.model_class.build(settings.architecture)
    return registry.load_recipe(name)(model, settings)


def awaken(module: torch.nn.Module) -> None:
    """Draw new weights for layers that start at zero, so that the layers before them matter."""
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)


def tiny_sampling(model: Colorizer) -> Sampling:
    """Return the sampling that the tests use: few steps and neutral values."""
    options = model.sampling_class.model_fields
    return model.sampling_class(**{k: v for k, v in TINY_SAMPLING.items() if k in options})


def tiny_model(name: str, **typed: Any) -> Colorizer:
    """Return a tiny, untrained model in eval mode, with color statistics like those of photos."""
    model: Colorizer = tiny_recipe(name, **typed).model
    model.calibrate(Statistics((2.0, 8.0), (12.0, 18.0), 4.0))
    return model.eval()


def make_loop(folder: Path, name: str, data: TrainingData, **typed: Any) -> Loop:
    """Return the training of a tiny model, ready to run on the CPU."""
    recipe = tiny_recipe(name, precision="32", **typed)
    load_pretrained(recipe.model, None)
    recipe.model.calibrate(data.statistics)
    run = RunFolder(folder, name, recipe.settings.seed)
    return Loop(run, name, recipe.model, recipe, data, make_fabric("cpu", "32"))


def lightness_like(rgb8: Tensor) -> Tensor:
    """Return L* (B, 1, H, W) of uint8 images."""
    return rgb_to_lightness(rgb_from_8bit(rgb8))


def read_rgb(path: Path) -> Tensor:
    """Read an image file as sRGB in [0, 1], (3, H, W)."""
    return rgb_from_8bit(torch.from_numpy(read_whole(path)))
