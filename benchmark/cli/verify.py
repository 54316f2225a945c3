"""`main.py verify RUN`: whether a run.json is true."""

from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.score import Dataset, Truth
from benchmark.errors import UserError


def verify(
    run: Annotated[str, typer.Argument(help="A run's name, its folder, or the folder of a test.")],
    truth: Truth = None,
    dataset: Dataset = None,
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
) -> None:
    """Score the written images anew and say whether run.json is true; exit code 1 if not."""
    from benchmark.jobs.verify import verify as verify_test
    from benchmark.results.folders import TestFolder

    wrong, unclear = 0, 0
    for folder in TestFolder.named(run, results):
        try:
            verdict = verify_test(folder, dataset, truth, lpips_weights)
        except UserError as error:
            typer.echo(f"{folder.path}: cannot be checked")
            typer.echo(f"  {error}")
            unclear += 1
            continue
        typer.echo(f"{folder.path}: {'not true' if verdict.faults else 'true'}")
        for fault in verdict.faults:
            typer.echo(f"  {fault}")
        for part in verdict.unchecked:
            typer.echo(f"  not checked: {part}")
        wrong += bool(verdict.faults)
    raise typer.Exit(1 if wrong else 2 if unclear else 0)
