"""From run.json files to ranked tables: rows.py reads and ranks, the other files show."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.leaderboard import formats, page
from benchmark.leaderboard.ranking import DEFAULT_SORT, Leaderboard, read

FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "md": formats.markdown,
    "csv": formats.csv,
    "tex": formats.latex,
    "html": page.html,
}


def paths(results: Path) -> list[Path]:
    """The files of a results folder's leaderboard."""
    return [results / f"leaderboard.{suffix}" for suffix in FORMATS]


def write(results: Path, sort: str = DEFAULT_SORT) -> Leaderboard:
    """Write the leaderboard of all tests in every format. UserError if there is no test."""
    if not results.is_dir():
        raise UserError(f"There is no folder {results}.")
    # What is written last was read last, however many programs write.
    with FileLock(results / ".leaderboard.lock"):
        found = read(results, sort)
        texts = [show(found) for show in FORMATS.values()]  # all of them, or none
        for path, text in zip(paths(results), texts, strict=True):
            write_text(path, text)
    return found
