"""`main.py colorize PHOTO... --model NAME`: color photos at their full resolution."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    context: typer.Context,
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...",
            help="Image files, in color or gray, and folders, whose image files are meant.",
            show_default=False,
            readable=False,  # an unreadable photo is named, and the others go on
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Name of a trained model.  [default: that of the file of --weights]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, in the format of its suffix; for several photos or a folder, the "
            "folder to write PNG files into.  [default: <photo>-<model>.png, in this folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="<int>",
            help="Quality of a JPEG, WebP or AVIF file, from 1 to 100.  [default: 95]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Write over files that exist, but never over a photo.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
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
    """Color photos with a trained model.

    Each result has the photo's resolution, and its lightness stays as it is. Prints the files
    that were written.
    """
    from benchmark.console import output
    from benchmark.jobs.colorize import Output, Trained, colorize_photos
    from benchmark.jobs.weights import model_in

    model = model_in(weights) if model is None else model
    sampling = options.sampling_values(context.params, set_)
    folder = options.run_folder(results, run, model, seed)
    trained = Trained(model, folder, weights, sampling, device)
    wanted = Output(out, quality, overwrite, frames)
    code = colorize_photos(photos, trained, wanted, lambda path: output(str(path)))
    if code:
        raise typer.Exit(code)
