"""The one exception for what a user can mend: a sentence, and exit code 2."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake, told in one sentence that names the file or option and the remedy.

    `main.py` prints it without a traceback and exits with code 2. Anything else that is raised
    is a fault of ours and keeps its traceback.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'unet'`, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}" if found else ""
