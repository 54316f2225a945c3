"""`main.py colorize PHOTO --model NAME`: color one photo at its full resolution."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    context: typer.Context,
    photo: Annotated[Path, typer.Argument(help="Path of an image file, in color or gray.")],
    model: Annotated[str, typer.Option(help="Name of a trained model.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Path of the PNG file to write.  [default: <photo>-<model>.png, in this folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    run: options.RunName = None,
    seed: options.Seed = None,
    weights: options.Weights = "best",
    steps: options.Steps = None,
    sampler: options.Sampler = None,
    eta: options.Eta = None,
    guidance: options.Guidance = None,
    frames: options.Frames = False,
    set_: options.Assignments = None,
    device: options.Device = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Color one photo with a trained model.

    The result has the photo's resolution, and its lightness stays as it is.
    """
    from benchmark.jobs.colorize import colorize_photo
    from benchmark.jobs.job import DEFAULT_SEED
    from benchmark.results.folders import RunFolder

    sampling = options.sampling_values(context.params, set_)
    path = out or Path(f"{photo.stem}-{model}.png")
    folder = RunFolder(results, run or model, DEFAULT_SEED if seed is None else seed)
    colorize_photo(photo, path, model, folder, weights, sampling, device, frames)
    typer.echo(str(path))
