"""Which process holds the lock of a run: a small file beside the lock, for who finds it taken."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from benchmark.errors import UserError
from benchmark.results.environment import now
from benchmark.results.schema import Count, Strict, read_record, write_record


class Holder(Strict):
    """The process that trains a run. since: when it began, ISO 8601, UTC."""

    remedy: ClassVar[str] = "Delete this file."

    pid: Count
    host: str
    since: str


@contextmanager
def named_holder(path: Path) -> Iterator[None]:
    """Name this process as the holder of a lock in the file `path`, until the block ends.

    A process that was killed leaves its file, which says nothing without the lock.
    """
    write_record(path, Holder(pid=os.getpid(), host=socket.gethostname(), since=now()))
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def describe_holder(path: Path) -> str:
    """Describe the process that holds a lock: `process 123 on host, since 2026-01-31 …`."""
    try:
        holder = read_record(path, Holder)
    except UserError:  # it has the lock, but has not written its file yet
        return "another process"
    return f"process {holder.pid} on {holder.host}, since {holder.since}"
