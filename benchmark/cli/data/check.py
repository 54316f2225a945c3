"""`main.py data check DIR`: what a folder of images holds, and what a training would do with it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options


def command(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DIR", help="Folder of images, or cartoon for the built-in sample."),
    ],
    test_images: Annotated[
        str | None,
        typer.Option(
            help="Folder of test images.  [default: TestImages, or if it is empty, images held "
            "out from the dataset]",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    size: Annotated[
        int, options.setting("size", options.DATA, show_default=False)
    ] = options.TEST_SIZE,
    truncated: Annotated[
        Literal["skip", "keep"], options.setting("truncated", options.DATA, show_default=False)
    ] = "skip",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for check.json and the figures.  [default: checks/NAME in the results]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Check a folder of images: what is there, and what a training would do with it.

    Writes check.json, a sheet of the images, a histogram of their colors, and the list of files
    that are left out. The exit code is 1 if a file would not be used.
    """
    from benchmark.data.check import DefaultRules
    from benchmark.jobs.check import check_dataset, show

    rules = DefaultRules(size=size, truncated=truncated)
    checked = check_dataset(dataset, test_images, rules, results, out)
    show(checked)
    raise typer.Exit(1 if checked.record.skipped or checked.lacking else 0)
