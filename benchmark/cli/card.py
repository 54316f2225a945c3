"""`main.py card MODEL`: the model card of a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    model: Annotated[str, typer.Argument(help="Name of a trained model.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write README.md and figure.png into.",
            rich_help_panel=options.OUTPUT,
            file_okay=False,
        ),
    ] = Path("card"),
    license_: options.LicenseNote = None,
    overwrite: options.Overwrite = False,
    run: options.RunName = None,
    seed: options.Seed = None,
    weights: options.Weights = "best",
    results: options.Results = options.RESULTS,
) -> None:
    """Write the model card of a trained model, as the Hugging Face Hub shows it.

    It has the row of the leaderboard, the figure of the test, what the model was trained on, its
    intended use and its limits. Prints the files that were written.
    """
    from benchmark.console import output
    from benchmark.jobs.card import write_card
    from benchmark.jobs.export import load_to_export

    folder = options.run_folder(results, run, model, seed)
    exported = load_to_export(model, folder, weights, license_)
    for path in write_card(exported, out, overwrite=overwrite):
        output(str(path))
