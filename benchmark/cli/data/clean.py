"""`main.py data clean`: list the caches of a results folder, and remove what is not needed."""

from typing import Annotated

import typer

from benchmark.cli import options


def command(
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Remove what was not used for so many days."),
    ] = None,
    keep_mb: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MB",
            help="Remove what was not used for longest, until so many megabytes are left; 0 "
            "removes all.",
        ),
    ] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """List the caches of decoded images, and remove some by age and size.

    Without an option nothing is removed. What is removed is made again when it is needed; no run
    should be in progress meanwhile.
    """
    import time

    from benchmark.console import info, output
    from benchmark.data.cleaning import choose, list_cache
    from benchmark.data.sources import cache_of
    from benchmark.files import remove

    entries = list_cache(cache_of(results))
    removed = choose(entries, older_than, keep_mb)
    now = time.time()
    for entry in entries:
        state = "removed" if entry in removed else "kept"
        if entry in removed:
            remove(entry.path)
        days = f"{entry.days(now):.1f} days unused"
        output(f"{entry.path}: {entry.size / 1e6:,.1f} MB, {days}, {state}")
    total, freed = (sum(entry.size for entry in part) / 1e6 for part in (entries, removed))
    info(f"{len(entries)} caches take {total:,.1f} MB; {freed:,.1f} MB were removed.")
