"""Whether a run that took long may be deleted: that is asked first."""

from contextlib import suppress

from benchmark.console import confirm
from benchmark.errors import UserError
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history

LONG = 600
"""Seconds of training above which a run is not deleted without a question."""


def require_consent(folder: RunFolder, *, given: bool) -> None:
    """Ask on a terminal whether a run that took longer than LONG may be deleted.

    given: whether the user has agreed already. Raises UserError if the user does not agree, or if
    nobody can be asked.
    """
    seconds = training_seconds(folder)
    if given or seconds <= LONG:
        return
    took = f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
    answer = confirm(f"{folder.path} took {took} to train. Delete it and start over? [y/N]")
    if answer is None:
        raise UserError(
            f"{folder.path} took {took} to train: add --yes to --overwrite to delete it, or give "
            "this training a name of its own with --run."
        )
    if not answer:
        raise UserError(f"{folder.path} is kept: leave --overwrite out to go on with it.")


def training_seconds(folder: RunFolder) -> float:
    """How long a run was trained, in seconds.

    Its history says so after the first epoch. Of one that is damaged, or that has no epoch yet, it
    is the time between its first and its last file.
    """
    with suppress(UserError):
        rows = read_history(folder.history)
        if rows:
            return float(rows[-1]["seconds"])
    files = [folder.settings, folder.state, folder.history, *folder.weights.glob("*.safetensors")]
    times = []
    for path in files:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times) - min(times) if times else 0.0
