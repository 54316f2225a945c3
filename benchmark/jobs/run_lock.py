"""One process at a time in a run's folder: its lock, and its deletion."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import locked, remove_temporary, write_error
from benchmark.jobs.holder import describe_holder, named_holder
from benchmark.results.folders import RunFolder


@contextmanager
def lock_run(folder: RunFolder) -> Iterator[None]:
    """Keep a run for this process, and remove what an interrupted one left half-written.

    Raises UserError at once if another process trains the run, and names that process.
    """
    in_use = (
        f"{folder.path} is in use by {describe_holder(folder.holder)}, which trains this run: wait "
        "until that has ended or stop it, or give this training a name of its own with --run."
    )
    with locked(folder.lock, in_use), named_holder(folder.holder):
        for place in (folder.path, folder.weights, folder.previews):
            remove_temporary(place)
        yield


def delete_run(folder: RunFolder) -> None:
    """Delete whatever is in the place of a run's folder; of a link, the link alone.

    Raises UserError if another process tests the run, or if it cannot be deleted.
    """
    if not os.path.lexists(folder.path):
        return
    in_use = (
        f"{folder.path} cannot be deleted, since another process tests this run: wait until that "
        "has ended, or stop it."
    )
    with ExitStack() as stack:
        for lock in folder.test_locks():
            stack.enter_context(locked(lock, in_use))
        if os.name == "nt":  # Windows deletes no open file
            stack.close()
        try:
            if folder.path.is_symlink():
                info(f"{folder.path} is a link: what it leads to is not deleted.")
            if folder.path.is_symlink() or not folder.path.is_dir():
                folder.path.unlink()
            else:
                shutil.rmtree(folder.path)
        except OSError as error:
            raise write_error(folder.path, error, "deleted") from error


def require_places(folder: RunFolder) -> None:
    """Raise UserError if a file is in the place of one of the run's folders, or a folder in that
    of a file."""
    for path, is_folder in folder.places().items():
        if os.path.lexists(path) and path.is_dir() != is_folder:
            what = "not a folder" if is_folder else "a folder"
            raise UserError(
                f"{path} is {what}, and in the way of this run: rename or delete it, or start "
                "from the beginning with --overwrite."
            )
