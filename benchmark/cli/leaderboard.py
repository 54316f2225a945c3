"""`main.py leaderboard`: the tables again, from the files of the tests."""

import typer

from . import options


def leaderboard(results: options.Results = options.RESULTS) -> None:
    """Write leaderboard.md and leaderboard.csv from all tests in the results folder."""
    import metrics

    from ..console import say

    written = metrics.write_leaderboard(results)
    typer.echo(written[0].read_text(encoding="utf-8"))
    say(f"Written: {', '.join(map(str, written))}")
