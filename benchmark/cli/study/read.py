"""`main.py study read ANSWERS...`: read the answers of a study, and put its table in place."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    answers: Annotated[
        list[Path],
        typer.Argument(
            metavar="ANSWERS...",
            help="Files that the page of a study saved, one of each participant.",
            show_default=False,
            readable=False,  # a file that cannot be read is named
        ),
    ],
    study: Annotated[
        Path, typer.Option(help="Key of the study, which was written beside its page.")
    ] = Path("study.json"),
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a result that has further participants.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Read the answers of a study's participants.

    The result is written into the folder of results, and gets a table in the leaderboard, which is
    written again. Prints the tables of the study's protocol.
    """
    from benchmark.console import info
    from benchmark.jobs.study import read_study
    from benchmark.leaderboard import FORMATS

    if Path("read").is_dir():
        info("`study read` reads answers; for a study of the folder read, write ./read.")
    path, found = read_study(answers, study, results, overwrite=overwrite)
    typer.echo(FORMATS["md"](found))
    info(f"Written: {path}, and the leaderboard in {results}.")
