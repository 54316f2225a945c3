"""`main.py colorize PHOTO... --model NAME`: color photos at their full resolution."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options


def command(
    context: typer.Context,
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...",
            help="Image files, in color or gray, folders, whose image files are meant, and "
            "patterns such as 'scans/*.tif'.",
            show_default=False,
            readable=False,  # an unreadable photo is named, and the others go on
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME...]|all",
            help="Trained models; all are those with weights.  [default: that of the file of "
            "--weights]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, in the format of its suffix; for several photos, models or "
            "samples, or a folder, the folder to write into.  [default: <photo>-<model>.png, in "
            "this folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    format_: Annotated[
        Literal["png", "jpg", "webp", "tif", "avif"],
        typer.Option(
            "--format",
            help="Format of the files in a folder.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "png",
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
            help="Color again what exists and write over it, but never over a photo.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            metavar="<int>",
            help="Colorings of each photo by a model that draws them; their number, from 0, is in "
            "the file's name.",
        ),
    ] = 1,
    strength: Annotated[
        float,
        typer.Option(min=0, max=4, metavar="<float>", help="What chroma is multiplied by."),
    ] = 1.0,
    hint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Image of the photo's size with transparency: where it is opaque, its color is "
            "taken, and spread along the photo's lightness.",
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
    """Color photos with trained models.

    Each result has the photo's resolution, and its lightness stays as it is. Files that exist are
    kept, so that an interrupted folder goes on. Several colorings of a photo also give a sheet of
    them. Prints the files that were written.
    """
    from benchmark.console import output
    from benchmark.jobs.colorize import Output, colorize_photos, find_trained
    from benchmark.jobs.weights import model_in

    names = [model_in(weights)] if model is None else model.split(",")
    sampling = options.sampling_values(context.params, set_)
    folder = options.run_folder(results, run, names[0], seed)
    trained = find_trained(names, folder, weights, sampling, device, run=run)
    wanted = Output(out, format_, quality, overwrite, frames, samples, strength, hint)
    code = colorize_photos(photos, trained, wanted, lambda path: output(str(path)))
    if code:
        raise typer.Exit(code)
