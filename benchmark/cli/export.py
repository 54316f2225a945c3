"""`main.py export MODEL`: one file of weights that can be used without the folder of its run."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.errors import UserError


def command(
    model: Annotated[str, typer.Argument(help="Name of a trained model.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write.  [default: <run>.safetensors, in this folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option(
            "--license",
            metavar="TEXT",
            help="What others may do with the weights, for the file's header.  [default: a note "
            "that it is not known]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Write over a file that exists.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    run: options.RunName = None,
    seed: options.Seed = None,
    weights: options.Weights = "best",
    results: options.Results = options.RESULTS,
) -> None:
    """Export the weights of a trained model as one file.

    Its header has the settings, the training data in numbers, and the scores of the tests of these
    weights. Prints the file that was written.
    """
    from benchmark.console import output
    from benchmark.jobs.export import export_weights, load_to_export, require_free_file

    path = Path(f"{run or model}.safetensors") if out is None else out
    if path.suffix != ".safetensors":
        raise UserError(f"--out {path}: name a file that ends in .safetensors.")
    require_free_file(path, overwrite)
    folder = options.run_folder(results, run, model, seed)
    exported = load_to_export(model, folder, weights, license_)
    export_weights(exported, path, overwrite=overwrite)
    output(str(path))
