"""The figure of the README: scenes of the sample as each model colors them, and a second draw.

    bash script.sh
    python -m experiments.sample_figure

It reads the weights that the first command trained on the built-in sample, colors a few of its test
images with each of them, and those of one stochastic model with a second seed too. Nothing but the
paint of an object, which L* does not show, should differ between the two.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.color import lightness_to_rgb, rgb_from_8bit, rgb_to_lightness
from benchmark.data.cartoon.sample import COUNTS, SEED, draw
from benchmark.data.reading import Preprocessing, fit_square
from benchmark.figures.images import save_grid
from benchmark.results.folders import RunFolder
from benchmark.settings import SAMPLE_PRESET, Settings

CPU = torch.device("cpu")
IMAGES = (3, 4, 9, 13, 21, 26)
"""Test images, counted from 0."""
TWICE = "unetddim"
"""The model whose second draw is shown."""


def main(
    figure: Annotated[Path, typer.Option(help="The PNG to write.")] = Path(
        "docs/figures/cartoon.png"
    ),
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("Results"),
    seed: Annotated[int, typer.Option(help="Seed of the runs.")] = Settings.model_fields[
        "seed"
    ].default,
) -> None:
    """Color the images and write the figure."""
    truth = true_images(Settings.model_fields["size"].default)
    lightness = rgb_to_lightness(truth)
    columns = {"input": lightness_to_rgb(lightness)}
    for name in [entry.name for entry in registry.entries()]:
        columns[name] = colored(name, lightness, results, seed, first=0)
        if name == TWICE:
            columns["a second draw"] = colored(name, lightness, results, seed, first=1000)
    save_grid(figure, {**columns, "truth": truth})
    typer.echo(figure)


def true_images(size: int) -> Tensor:
    """Draw the test images of the sample: sRGB in [0, 1], (B, 3, size, size)."""
    first = COUNTS["train"] + COUNTS["val"]
    images = [
        np.asarray(fit_square(draw(SEED, first + i).image, Preprocessing(size))) for i in IMAGES
    ]
    return rgb_from_8bit(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))


def colored(name: str, lightness: Tensor, results: Path, seed: int, *, first: int) -> Tensor:
    """Color L* (B, 1, H, W) by the best weights of a run: sRGB in [0, 1], (B, 3, H, W).

    Image i has the noise of the seed first + i.
    """
    kind = registry.load_model(name)
    folder = RunFolder(results, kind.weights_of or name, seed)
    model = load_weights(folder.choose_weights("best"), name, CPU).model
    sampling = kind.sampling_class(**kind.sampling_class.presets.get(SAMPLE_PRESET, {}))
    seeds = range(first, first + len(lightness))
    return model.colorize(lightness, seeds=seeds, sampling=model.resolve_sampling(sampling))


if __name__ == "__main__":
    typer.run(main)
