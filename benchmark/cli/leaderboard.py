"""`main.py leaderboard`: write the leaderboard again from the records of all tests."""

from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.metrics.options import DEFAULT_SORT


def command(
    sort: Annotated[
        str,
        typer.Option(
            help="Metric that orders and ranks the rows: lpips, ssim, delta_e2000 or another "
            "metric as run.json names it."
        ),
    ] = DEFAULT_SORT,
    format_: Annotated[
        Literal["md", "csv", "tex", "html"], typer.Option("--format", help="Format to print.")
    ] = "md",
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Rank rows with a pretrained encoder, and outsiders, together with those from "
            "scratch.",
        ),
    ] = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the leaderboard again from all tests, and print it.

    The files are leaderboard.md, .csv, .tex and .html in the folder of results.
    """
    from benchmark import leaderboard
    from benchmark.console import info

    found = leaderboard.write(results, sort, together=together)
    typer.echo(leaderboard.FORMATS[format_](found))
    info(f"Written: {', '.join(map(str, leaderboard.paths(results)))}")
