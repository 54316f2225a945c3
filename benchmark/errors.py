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


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'unet'`, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}" if found else ""
