"""`main.py push MODEL --to OWNER/NAME`: weights and card on the Hugging Face Hub."""

from typing import Annotated

import typer

from benchmark.cli import options


def command(
    model: Annotated[str, typer.Argument(help="Name of a trained model.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="OWNER/NAME", help="Repository of the Hub, which is made if there is none."
        ),
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone see a repository that is made.")
    ] = False,
    license_: options.LicenseNote = None,
    run: options.RunName = None,
    seed: options.Seed = None,
    weights: options.Weights = "best",
    results: options.Results = options.RESULTS,
) -> None:
    """Upload the weights of a trained model and its card to the Hugging Face Hub.

    You have to be logged in (`hf auth login`). A new repository is private unless --public is
    given. Prints its address.
    """
    from benchmark.console import output
    from benchmark.jobs.card import push
    from benchmark.jobs.export import load_to_export

    folder = options.run_folder(results, run, model, seed)
    exported = load_to_export(model, folder, weights, license_)
    output(push(exported, to, private=not public))
