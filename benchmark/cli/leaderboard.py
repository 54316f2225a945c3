"""`main.py leaderboard`: the tables again, from the files of the tests."""

from typing import Annotated, Literal

import typer

from benchmark.cli import options


def leaderboard(
    sort: Annotated[str, typer.Option(help="The metric that orders and ranks the rows.")] = "lpips",
    format_: Annotated[
        Literal["md", "csv", "tex", "html"], typer.Option("--format", help="What is printed.")
    ] = "md",
    results: options.Results = options.RESULTS,
) -> None:
    """Write leaderboard.md, .csv, .tex and .html from all tests, and print one of them."""
    from benchmark import leaderboard
    from benchmark.console import info

    found = leaderboard.write(results, sort)
    typer.echo(leaderboard.FORMATS[format_](found))
    info(f"Written: {', '.join(map(str, leaderboard.paths(results)))}")
