"""From run.json files to ranked tables: rows.py reads and ranks, the other files show."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from ..files import write_text
from . import page, tables
from .rows import DEFAULT_SORT, Leaderboard, read

FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "md": tables.markdown,
    "csv": tables.csv,
    "tex": tables.latex,
    "html": page.html,
}


def paths(results: Path) -> list[Path]:
    """The files of a results folder's leaderboard."""
    return [results / f"leaderboard.{suffix}" for suffix in FORMATS]


def write(results: Path, sort: str = DEFAULT_SORT) -> Leaderboard:
    """Write the leaderboard of all tests in every format. UserError if there is no test."""
    results.mkdir(parents=True, exist_ok=True)
    # What is written last was read last, however many programs write.
    with FileLock(results / ".leaderboard.lock"):
        found = read(results, sort)
        for path, show in zip(paths(results), FORMATS.values(), strict=True):
            write_text(path, show(found))
    return found
