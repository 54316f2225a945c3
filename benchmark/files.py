"""Writing of files as a whole or not at all, locks between programs, and SHA-256 hashes."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.console import info
from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the project, which holds main.py, models/ and, by default, all data."""
PART = ".part-"
"""How the names of temporary files begin."""
LONGEST_SUFFIX = 20
"""In bytes; a temporary file has the suffix of its target, by which libraries choose a format."""
STALE_AFTER = 3600
"""Seconds after which a temporary file belongs to no program that still runs."""

REMEDIES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "check the permissions of its folder, or choose another place",
    errno.EPERM: "check the permissions of its folder, or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "a folder is in its place: rename or delete it",
}
"""What helps against an error of the operating system, by its number."""


def write_error(path: Path, error: OSError, what: str = "written") -> UserError:
    """Return the error that says in one sentence why `path` cannot be written, and the remedy."""
    remedy = REMEDIES.get(error.errno or 0, "check the disk and the permissions of its folder")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        blocked = (p for p in path.parents if os.path.lexists(p) and not p.is_dir())
        obstacle = next(blocked, path.parent)
        remedy = f"{obstacle} is not a folder: rename or delete it, or choose another place"
    return UserError(f"{path} cannot be {what} ({error.strerror or error}): {remedy}.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces `path` when the block has ended.

    The content is on the disk before it gets its name. If the block raises, the temporary file is
    removed and an old `path` stays as it was. UserError if the file cannot be written, for example
    because the disk is full.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_once(path.parent)
        suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
        handle, name = tempfile.mkstemp(prefix=PART, suffix=suffix, dir=path.parent)
        os.close(handle)
        part = Path(name)
        yield part
        # mkstemp makes private files; this sets the permissions of any other new file.
        part.chmod(0o666 & ~_umask())
        _flush(part, os.O_RDWR)
        os.replace(part, path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _flush(path.parent, os.O_RDONLY)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _flush(path: Path, flags: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no fsync
            raise
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove whatever is in the place of a file, if anything. UserError if it cannot be removed."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error, "removed") from error


def _umask() -> int:
    """Return the umask of the process, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_temporary(folder: Path, older_than: float = 0) -> None:
    """Remove the temporary files in a folder that were written `older_than` seconds ago."""
    before = time.time() - older_than
    with suppress(OSError):
        for path in folder.glob(f"{PART}*"):
            with suppress(OSError):  # another program finished or removed it
                if path.lstat().st_mtime <= before:
                    path.unlink()


@cache
def _remove_stale_once(folder: Path) -> None:
    """Remove what interrupted programs left in a folder, at its first file in this process."""
    remove_temporary(folder, STALE_AFTER)


@contextmanager
def locked(path: Path, in_use: str | None = None) -> Iterator[None]:
    """Hold the lock of the file `path`, which the operating system frees when the process ends.

    in_use: the text of the UserError that is raised at once if another process holds the lock;
    without it, a message says so and this one waits. UserError if the file cannot be written.
    """
    from filelock import FileLock, Timeout  # here, for --help and list take no lock

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            if in_use is not None:
                raise UserError(in_use) from error
            info(f"{path.parent} is in use by another process: waiting until that has ended.")
            lock.acquire()
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`. UserError if it cannot be written.

    Bytes of a file name that are no UTF-8, which Python holds as lone surrogates, are written as
    backslash escapes: a JSON file gives them back as they were.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON. ValueError for infinity and NaN, which JSON does not have."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_text(path: Path) -> str:
    """Read a text file (UTF-8). UserError if it is missing, no regular file or no UTF-8."""
    if not os.path.lexists(path):
        raise UserError(f"{path} does not exist.")
    try:
        if not path.is_file():  # a named pipe would never end
            kind = "a folder" if path.is_dir() else "a link to nothing, or no regular file"
            raise UserError(f"{path} cannot be read: it is {kind}.")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {_reason(error)}.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file. UserError if it does not exist or is not valid JSON."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """The first line of an error's message; of an OSError without the path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0] or type(error).__name__


def sha256_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON: sorted keys, no spaces.

    ValueError for infinity and NaN.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_of_bytes(text.encode())
