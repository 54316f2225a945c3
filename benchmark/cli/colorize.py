"""`main.py colorize PHOTO --model NAME`: one photo in color, at its full resolution."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def colorize(
    photo: Annotated[Path, typer.Argument(help="An image file, in color or gray.")],
    model: Annotated[str, typer.Option(help="A trained model.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write (default: <photo>-<model>.png, here).")
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
    """Color one photo with a trained model; its own lightness stays as it is."""
    from benchmark.jobs.colorize import colorize_photo
    from benchmark.jobs.job import DEFAULT_SEED
    from benchmark.results.folders import RunFolder

    typed = {"steps": steps, "sampler": sampler, "eta": eta, "guidance": guidance}
    chosen = {name: value for name, value in typed.items() if value is not None}
    sampling = {**options.parse_assignments(set_), **chosen}
    path = out or Path(f"{photo.stem}-{model}.png")
    folder = RunFolder(results, run or model, DEFAULT_SEED if seed is None else seed)
    colorize_photo(photo, path, model, folder, weights, sampling, device, frames)
    typer.echo(str(path))
