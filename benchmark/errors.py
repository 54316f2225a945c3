"""Errors that end a command without a traceback, and parts of messages about errors."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake; its text is one sentence that names the file or option and the remedy.

    `main.py` prints the text without a traceback and exits with code 2. Every other exception is an
    error of the program and keeps its traceback.
    """


class Diverged(UserError):
    """Numbers of a training, or of its weights, are not finite or far beyond all bounds.

    step: the number of steps before the one that it happened in; None if that is not known.
    """

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class Interrupted(Exception):
    """The user stopped a training, whose state is saved. `main.py` exits with code 130."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name as the end of a sentence, or an empty string.

    With its question mark it is `; did you mean 'unet'?`.
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def first_line(error: BaseException) -> str:
    """Return the class of an error and the first line of its message: `ValueError: no image`."""
    # torch.compile wraps the error of a compiler in one that begins with the compiler's name.
    inner = getattr(error, "inner_exception", error)
    lines = str(inner).splitlines()
    return f"{type(inner).__name__}: {lines[0]}" if lines else type(inner).__name__
