"""From the tests of a results folder to ranked tables, plots and a page.

rows.py is a test as a table needs it, ranking.py reads and ranks the tests, studies.py reads the
studies with people, pairs.py finds the rows that a pretrained encoder tells apart, tables.py makes
the columns, notes.py says how to read them, and formats.py, plots.py and page.py write what is
shown.
"""

from collections.abc import Callable
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import locked, write_text
from benchmark.leaderboard.formats import csv, latex, markdown
from benchmark.leaderboard.page import html
from benchmark.leaderboard.ranking import Leaderboard, read
from benchmark.metrics.options import DEFAULT_SORT
from benchmark.statistics import Correction

FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "md": markdown,
    "csv": csv,
    "tex": latex,
    "html": html,
}
"""The writer of each format, by the suffix of its file."""


def paths(results: Path) -> list[Path]:
    """The files of a results folder's leaderboard, one for each format."""
    return [results / f"leaderboard.{suffix}" for suffix in FORMATS]


def write(
    results: Path,
    sort: str = DEFAULT_SORT,
    *,
    together: bool = False,
    correct: Correction = "none",
) -> Leaderboard:
    """Write the leaderboard of all tests in every format.

    together: whether rows from scratch, with a pretrained encoder, and outsiders share their ranks.
    correct: how the ranks allow for the number of pairs of rows.

    Raises UserError if there is no test, or for a metric that does not exist.
    """
    if not results.is_dir():
        raise UserError(f"There is no folder {results}.")
    # Reading and writing are one step, so that the last of several programs to write has read all.
    with locked(results / ".leaderboard.lock"):
        found = read(results, sort, together=together, correct=correct)
        # Every text is made before any is written, so that the files belong together.
        texts = [write_format(found) for write_format in FORMATS.values()]
        for path, text in zip(paths(results), texts, strict=True):
            write_text(path, text)
    return found
