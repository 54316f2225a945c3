"""`main.py inputs` and `main.py score`: for images that another program colored."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options

Truth = Annotated[
    str | None, typer.Option(help="Folder of the true images (default: the test's of --dataset).")
]
Dataset = Annotated[
    str | None, typer.Option(help="The folder whose test images are meant (default: Dataset).")
]
Size = Annotated[int, typer.Option(min=16, help="Side of the test's images in pixels.")]


def inputs(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    truth: Truth = None,
    dataset: Dataset = None,
    size: Size = 64,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the test's inputs, gray PNGs, for another program to color."""
    from benchmark.console import info
    from benchmark.data.loading import locate_test
    from benchmark.jobs.submit import export_inputs

    count = export_inputs(out, locate_test(dataset, truth, results), size)
    info(f"{count} images in {out}: color them, keep their names, then `main.py score`.")


def score(
    folder: Annotated[Path, typer.Argument(help="Images that another program colored.")],
    name: Annotated[str, typer.Option(help="Of the row in the leaderboard.")],
    truth: Truth = None,
    dataset: Dataset = None,
    size: Size = 64,
    resize: Annotated[
        bool, typer.Option("--resize", help="Bring images of another size to the test's.")
    ] = False,
    lightness: Annotated[
        Literal["own", "input"],
        typer.Option(help="Score the images as they are, or with the input's L* put back."),
    ] = "own",
    seed: Annotated[int, typer.Option(min=0, help="Of the program's run; several are a row.")] = 0,
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
    lpips_backbone: options.LpipsBackbone = "alex",
    colorfulness: options.Colorfulness = "signed",
) -> None:
    """Score images of another program like a model's, and give them a row."""
    from benchmark.data.loading import locate_test
    from benchmark.jobs.submit import Entry, submit
    from benchmark.metrics.table import MetricOptions, load_metric_suite

    suite = load_metric_suite(MetricOptions(lpips_backbone, colorfulness), lpips_weights)
    entry = Entry(folder, name, seed, resize, lightness)
    submit(entry, locate_test(dataset, truth, results), size, results, suite)
