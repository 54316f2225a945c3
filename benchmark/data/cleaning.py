"""The caches of a results folder: what they take, and the removal of those that are not needed.

All that lies in a cache can be made again, so whatever is removed costs time alone.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Cached:
    """One entry of a cache. size: in bytes. used: when it was written or read last, in seconds
    since the epoch."""

    path: Path
    size: int
    used: float

    def days(self, now: float) -> float:
        """The days since it was used."""
        return max(0.0, now - self.used) / DAY


def list_cache(folder: Path) -> list[Cached]:
    """List the entries of a cache, the longest unused first. A missing folder has none."""
    entries = [_measure(path) for path in folder.glob("*") if not path.name.endswith(".lock")]
    return sorted(entries, key=lambda entry: (entry.used, entry.path))


def choose(
    entries: Sequence[Cached], older_than: float | None, keep_mb: float | None
) -> list[Cached]:
    """Choose the entries to remove: those unused for `older_than` days, and then, the longest
    unused first, as many as it takes until the others have at most `keep_mb` megabytes."""
    now = time.time()
    chosen = [e for e in entries if older_than is not None and e.days(now) > older_than]
    rest = [entry for entry in entries if entry not in chosen]
    total = sum(entry.size for entry in rest)
    for entry in rest:
        if keep_mb is None or total <= keep_mb * 1e6:
            break
        chosen.append(entry)
        total -= entry.size
    return chosen


def _measure(path: Path) -> Cached:
    stats = [*_stats(path)]
    size = sum(one.st_size for one in stats)
    return Cached(path, size, max((one.st_mtime for one in stats), default=0.0))


def _stats(path: Path) -> Iterator[os.stat_result]:
    """The status of each file of an entry; what is removed meanwhile has none."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    for file in files:
        try:
            if not file.is_dir() or file.is_symlink():
                yield file.lstat()
        except OSError:
            continue
