"""What ends a command early and is no fault of ours: a user's mistake, a user's stop."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake, told in one sentence that names the file or option and the remedy.

    `main.py` prints it without a traceback and exits with code 2. Anything else that is raised
    is a fault of ours and keeps its traceback.
    """


class Interrupted(Exception):
    """The user stopped a training; its state is saved. Exit code 130."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'unet'`, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}" if found else ""


def first_line(error: BaseException) -> str:
    """What kind of error, and the first line of what it says: `ValueError: no such thing`."""
    # torch.compile wraps what a compiler raised in an error that begins with the compiler's name.
    inner = getattr(error, "inner_exception", error)
    lines = str(inner).splitlines()
    return f"{type(inner).__name__}: {lines[0]}" if lines else type(inner).__name__
