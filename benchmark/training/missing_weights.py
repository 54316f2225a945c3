"""Weights of a run that were deleted, written again from its state or from those of an epoch."""

from collections.abc import Callable

from benchmark.console import info
from benchmark.files import replacing
from benchmark.results.folders import RunFolder


def rewrite_missing(
    folder: RunFolder, epoch: int, best_epoch: int, *, finished: bool, save: Callable[[str], None]
) -> bool:
    """Write the weights `best` and, of a finished training, `last` where they are missing.

    epoch: that whose weights `save` writes, or 0 if the state lies within an epoch. Returns whether
    the best weights are there now; otherwise a message says that they are lost, and what helps.
    """
    for which, needed in {"best": best_epoch, "last": epoch if finished else 0}.items():
        path, kept = folder.weights_file(which), folder.weights_file(needed)
        if not needed or path.is_file():
            continue
        if needed == epoch:
            save(which)
            info(f"{path} was missing, and is written again from {folder.state}.")
        elif kept.is_file():
            with replacing(path) as part:
                part.write_bytes(kept.read_bytes())
            info(f"{path} was missing, and is written again from {kept}.")
        else:
            info(f"Warning: {path} is missing, and {_remedy(needed, finished=finished)}.")
    return not best_epoch or folder.weights_file("best").is_file()


def _remedy(epoch: int, *, finished: bool) -> str:
    lost = f"the weights of epoch {epoch} are lost"
    if finished:
        return f"{lost}: test with --weights last, or train from the beginning with --overwrite"
    return f"{lost}: the best ones of the epochs to come take their place"
