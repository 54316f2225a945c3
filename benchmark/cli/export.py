"""`main.py export MODEL`: one file of weights or an ONNX file, usable without a run's folder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.errors import UserError


def command(
    model: Annotated[str, typer.Argument(help="Name of a trained model.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write.  [default: <run>.safetensors or <run>.onnx, in this folder]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    to: Annotated[
        Literal["safetensors", "onnx"],
        typer.Option(
            help="Format of the file: safetensors for this program, onnx for others; of a model "
            "that samples step by step it holds the network of one step.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "safetensors",
    quantize: Annotated[
        Literal["none", "int8"],
        typer.Option(
            help="Weights of an ONNX file: none keeps them, int8 stores them in 8 bits, and the "
            "change of the scores is printed.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "none",
    license_: options.LicenseNote = None,
    overwrite: options.Overwrite = False,
    run: options.RunName = None,
    seed: options.Seed = None,
    weights: options.Weights = "best",
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
) -> None:
    """Export the weights of a trained model as one file.

    Its header has the settings, the training data in numbers, and the scores of the tests of these
    weights. Prints the file that was written.
    """
    from benchmark.console import output
    from benchmark.jobs.export import export_onnx, export_weights, load_to_export, require_free_file

    path = Path(f"{run or model}.{to}") if out is None else out
    if path.suffix != f".{to}":
        raise UserError(f"--out {path}: name a file that ends in .{to}.")
    if quantize != "none" and to != "onnx":
        raise UserError(f"--quantize {quantize} is of ONNX files: add --to onnx, or leave it out.")
    require_free_file(path, overwrite)
    folder = options.run_folder(results, run, model, seed)
    exported = load_to_export(model, folder, weights, license_)
    if to == "onnx":
        int8 = quantize == "int8"
        export_onnx(
            exported, path, quantized=int8, lpips_weights=lpips_weights, overwrite=overwrite
        )
    else:
        export_weights(exported, path, overwrite=overwrite)
    output(str(path))
