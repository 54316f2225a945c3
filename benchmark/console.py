"""Messages and progress bars for the user, on stderr, and lines of data on stdout.

What is written here may name files and arguments of the user, whose control characters must not
reach a terminal: they are escaped here, and by no caller.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")


JOINERS = "\u200c\u200d"
"""Characters without a glyph that Persian words, Indian scripts and emoji are written with."""


_silent = ContextVar("silent", default=False)


@contextmanager
def silenced() -> Iterator[None]:
    """Write no messages while the block runs: a library does not talk to its user."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def info(message: str) -> None:
    """Write one line for the user, above a progress bar if there is one."""
    if _silent.get():
        return
    from tqdm import tqdm  # here, for --help draws nothing

    tqdm.write(printable(message), file=sys.stderr)


def output(line: str) -> None:
    """Write one line of data on stdout. Documents, which escape what they hold, are printed."""
    print(printable(line))


def confirm(question: str) -> bool | None:
    """Ask a question on the terminal. Returns whether the answer is yes, None without one."""
    streams = (sys.stdin, sys.stderr)
    if any(stream is None or not stream.isatty() for stream in streams):
        return None
    info(question)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def printable(text: str) -> str:
    """Return text in which line breaks, control characters and lone surrogates are escaped.

    Spaces of every width stay, since they are usual in the names of files.
    """
    return "".join(c if _is_printable(c) else ascii(c)[1:-1] for c in text)


def _is_printable(character: str) -> bool:
    return (
        character.isprintable()
        or character in JOINERS
        or unicodedata.category(character) == "Zs"  # spaces
    )


def shorten(names: Sequence[str]) -> str:
    """Join the first five names and the number of all others: `a, b, c, d, e and 3 more`."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def progress(
    items: Iterable[Item] | None, total: int, label: str, unit: str = "images"
) -> "tqdm[Any]":
    """Return a progress bar over `items`, which is drawn on a terminal but not into a log file."""
    from tqdm import tqdm

    return tqdm(
        items,
        total=total,
        desc=printable(label),
        unit=f" {unit}",
        file=sys.stderr,
        disable=None,
        leave=False,
    )
