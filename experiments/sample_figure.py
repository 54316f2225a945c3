"""The figure of the README: scenes of the sample as each model colors them, and a second draw.

    bash script.sh
    python -m experiments.sample_figure

It reads the weights that the first command trained on the built-in sample, colors a few of its test
images with each of them, and those of one stochastic model with a second seed too. Nothing but the
paint of an object, which L* does not show, should differ between the two.
"""

from pathlib import Path

import typer
from torch import Tensor

from benchmark import registry
from benchmark.color import lightness_to_rgb, rgb_to_lightness
from benchmark.data.cartoon.sample import COUNTS, SEED, draw
from benchmark.data.preprocessing import Preprocessing, fit_square
from benchmark.figures.images import save_grid
from benchmark.results.folders import RunFolder
from benchmark.settings import SAMPLE_PRESET, Settings

from .figures import DEFAULT_SEED, Figure, Results, Seed, best_model, stacked

IMAGES = (3, 4, 9, 13, 21, 26)
"""Test images, counted from 0."""
TWICE = "unetddim"
"""The model whose second draw is shown."""


def main(
    figure: Figure = Path("docs/figures/cartoon.png"),
    results: Results = Path("Results"),
    seed: Seed = DEFAULT_SEED,
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
    return stacked([fit_square(draw(SEED, first + i).image, Preprocessing(size)) for i in IMAGES])


def colored(name: str, lightness: Tensor, results: Path, seed: int, *, first: int) -> Tensor:
    """Color L* (B, 1, H, W) by the best weights of a run: sRGB in [0, 1], (B, 3, H, W).

    Image i has the noise of the seed first + i.
    """
    kind = registry.load_model(name)
    model = best_model(RunFolder(results, kind.weights_of or name, seed), name)
    sampling = kind.sampling_class(**kind.sampling_class.presets.get(SAMPLE_PRESET, {}))
    seeds = range(first, first + len(lightness))
    return model.colorize(lightness, seeds=seeds, sampling=model.resolve_sampling(sampling))


if __name__ == "__main__":
    typer.run(main)
