"""`main.py study TEST...`: write the page of a blind study with people, and its key."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options


def command(
    tests: Annotated[
        list[str],
        typer.Argument(
            metavar="TEST...",
            help="Tests of one protocol: name of a run, path of its folder, or path of a test's "
            "folder.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Page to write; its key is written beside it, with the suffix .json.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("study.html"),
    question: Annotated[
        Literal["real", "better"],
        typer.Option(
            help="Question of each pair: which of an output and its truth is the real photo, or "
            "which of the outputs of two models looks better."
        ),
    ] = "real",
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Number of test images in the study, chosen at random.  [default: 40, or all if "
            "there are fewer]",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Number of pairs that a participant sees, each of another image.  [default: one "
            "of each image]",
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="<int>",
            help="Number of pairs that are shown again at the end with their sides swapped, to "
            "see how consistent the answers are.",
        ),
    ] = 0,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.05,
            max=600,
            metavar="<float>",
            help="Seconds for which each pair is shown.  [default: until the answer]",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="<int>", help="Seed of the choice of images, pairs, sides and order."
        ),
    ] = 0,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the page and the key if they exist.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the page of a blind study with people, and its key.

    The page is one file that works offline; each participant saves a file of answers. A run that is
    called read is named by its path.
    """
    from benchmark.console import info, output
    from benchmark.jobs.study import Plan, write_study

    plan = Plan(question, images, trials, repeats, seconds, seed)
    page, key_path, key = write_study(tests, results, plan, out, overwrite=overwrite)
    output(str(page))
    output(str(key_path))
    info(
        f"Give {page} ({page.stat().st_size / 1e6:.1f} MB, {len(key.lists[0])} pairs for each "
        f"participant) to the participants, keep {key_path} to yourself, and read the files that "
        "they save with `main.py study read`."
    )
