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
    correct: Annotated[
        Literal["none", "holm"],
        typer.Option(
            help="Correction of the ranks for the number of pairs of rows; holm keeps the "
            "probability of any wrong difference at 5 %."
        ),
    ] = "none",
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print the tables of one named protocol only."),
    ] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the leaderboard again from all tests, and print it.

    The files are leaderboard.md, .csv, .tex and .html in the folder of results.
    """
    from benchmark import leaderboard
    from benchmark.console import info
    from benchmark.evaluation import named

    if protocol is not None:
        named.load(protocol)  # a wrong name fails before anything is written
    found = leaderboard.write(results, sort, together=together, correct=correct)
    shown = found if protocol is None else found.for_named(protocol)
    if protocol is not None and not shown.boards:
        info(f"No test in {results} is under the protocol {protocol}.")
    else:
        typer.echo(leaderboard.FORMATS[format_](shown))
    info(f"Written: {', '.join(map(str, leaderboard.paths(results)))}")
