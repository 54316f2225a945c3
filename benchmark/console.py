"""Messages and progress bars for the user, on stderr, since stdout is for data."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")


def info(message: str) -> None:
    """Write one line for the user, above a progress bar if there is one."""
    from tqdm import tqdm  # here, for --help draws nothing

    with suppress(OSError):  # a terminal that was closed must not stop what has to be saved
        tqdm.write(message, file=sys.stderr)


def shorten(names: Sequence[str]) -> str:
    """Join the first five names and the number of all others: `a, b, c, d, e and 3 more`.

    Characters that cannot be printed are escaped.
    """
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(printable, names[:5])) + more


def printable(text: str) -> str:
    """Return text in which line breaks, control characters and lone surrogates are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def progress(
    items: Iterable[Item] | None, total: int, label: str, unit: str = "images"
) -> "tqdm[Any]":
    """Return a progress bar over `items`, which is drawn on a terminal but not into a log file."""
    from tqdm import tqdm

    return tqdm(
        items, total=total, desc=label, unit=f" {unit}", file=sys.stderr, disable=None, leave=False
    )
