"""The figure of photos in docs/results.md: those of scikit-image, as trained models color them.

    python main.py --model unet --preset small --dataset scenes
    python main.py --model unet --preset small-pretrained --dataset scenes    # and the other models
    python -m experiments.photo_figure

The photos are free to be shown (public domain or CC0), and none of the set that the models learned
from is needed. Each is a square of its middle; the models see it at the size of their training, and
only its color is enlarged. A model that was not trained has no column.
"""

from pathlib import Path
from typing import NamedTuple

import typer
from PIL import Image
from skimage import data
from torch import Tensor

from benchmark.color import lightness_to_rgb, rgb_to_lightness
from benchmark.data.preprocessing import Preprocessing, fit_square
from benchmark.figures.images import save_grid
from benchmark.inference.photo import PhotoColorizer
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingRecord
from benchmark.results.schema import read_record

from .figures import CPU, DEFAULT_SEED, Figure, Results, Seed, best_model, stacked

PHOTOS = ("rocket", "astronaut", "coffee", "chelsea")
SIDE = 128
"""Side in pixels of the photos in the figure."""
ENCODER = "efficientnet_lite0"


class Column(NamedTuple):
    """A title, the run whose best weights color, its model, and what is added to its seed."""

    title: str
    run: str
    model: str
    draw: int = 0


COLUMNS = (
    Column("unet, scratch", "unet", "unet"),
    *(
        Column(name, f"{name}-{ENCODER}", name)
        for name in ("resnet", "unet", "unetgan", "unetvae", "unetflow", "unetddim")
    ),
    Column("a second draw", f"unetddim-{ENCODER}", "unetddim", 1000),
)


def main(
    figure: Figure = Path("docs/figures/photos.png"),
    results: Results = Path("Results"),
    seed: Seed = DEFAULT_SEED,
) -> None:
    """Color the photos and write the figure."""
    truths = [fit_square(Image.fromarray(getattr(data, p)()), Preprocessing(SIDE)) for p in PHOTOS]
    truth = stacked(truths)
    trained = [c for c in COLUMNS if RunFolder(results, c.run, seed).available_weights()]
    if not trained:
        raise SystemExit(
            f"There are no weights of {COLUMNS[0].run} or of another run in {results}."
        )
    columns = {"input": lightness_to_rgb(rgb_to_lightness(truth))}
    for column in trained:
        columns[column.title] = colored(truths, column, results, seed)
    save_grid(figure, {**columns, "truth": truth})
    typer.echo(figure)


def colored(truths: list[Image.Image], column: Column, results: Path, seed: int) -> Tensor:
    """Color photos by the best weights of a run: sRGB in [0, 1], (B, 3, SIDE, SIDE)."""
    folder = RunFolder(results, column.run, seed)
    model = best_model(folder, column.model)
    sampling = model.resolve_sampling(model.sampling_class())
    size = read_record(folder.settings, TrainingRecord).settings["size"]
    colorizer = PhotoColorizer(model, size, seed + column.draw, sampling, CPU)
    images = [image.copy() for image in truths]
    for image, name in zip(images, PHOTOS, strict=True):
        colorizer.color(image, name)
    return stacked(images)


if __name__ == "__main__":
    typer.run(main)
