"""`main.py verify RUN`: check the run.json of a run's tests against the written images."""

from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.errors import UserError

RECORDED = "the images that settings.json or submission.json of the run names"


def command(
    run: Annotated[
        str, typer.Argument(help="Name of a run, path of its folder, or path of a test's folder.")
    ],
    truth: Annotated[
        str | None,
        typer.Option(
            callback=options.explain_sample,
            help=f"Folder or .npz file of the true images.  [default: {RECORDED}]",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            callback=options.explain_sample,
            help=f"{options.HELD_OUT}  [default: {RECORDED}]",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
) -> None:
    """Verify that run.json agrees with the written images.

    The images are scored again. The exit code is 1 if a test is not true, and otherwise 2 if a test
    cannot be checked.
    """
    from benchmark.console import output
    from benchmark.jobs.verify import verify
    from benchmark.results.folders import TestFolder

    wrong, unclear = 0, 0
    for test in TestFolder.named(run, results):
        try:
            verification = verify(test, dataset, truth, lpips_weights)
        except UserError as error:
            output(f"{test.path}: cannot be checked")
            output(f"  {error}")
            unclear += 1
            continue
        output(f"{test.path}: {'not true' if verification.faults else 'true'}")
        for fault in verification.faults:
            output(f"  {fault}")
        for part in verification.unchecked:
            output(f"  not checked: {part}")
        wrong += bool(verification.faults)
    raise typer.Exit(1 if wrong else 2 if unclear else 0)
