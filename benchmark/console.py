"""What is said to the person at the terminal: on stderr, since stdout is for data."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def info(message: str) -> None:
    """One line to the user; a progress bar that is drawn moves down for it."""
    tqdm.write(message, file=sys.stderr)


def shorten(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def progress(
    items: Iterable[Item] | None, total: int, label: str, unit: str = "images"
) -> "tqdm[Any]":
    """A bar over `items`, drawn only on a terminal: in a log it would be noise."""
    return tqdm(
        items, total=total, desc=label, unit=f" {unit}", file=sys.stderr, disable=None, leave=False
    )
