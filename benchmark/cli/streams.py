"""The standard streams of the command line, on which no write raises, and the exit code of stdout.

A reader that goes away or a full disk must not end a training or a test, whose results are files.
What could not be written is known when the command has ended.
"""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmark.console import info
from benchmark.files import REMEDIES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLOSED_PIPE = 141
"""The exit code of a command whose output nobody reads to its end, as a shell reports SIGPIPE."""
UNWRITTEN = 2
"""The exit code of a command whose output cannot be written for another reason."""


class _Descriptor(io.FileIO):
    """A file descriptor on which a write that fails is remembered instead of raised."""

    error: OSError | None = None

    def write(self, data: "ReadableBuffer") -> int:
        """Write bytes, and return their number even if they could not be written."""
        try:
            written = super().write(data)
        except OSError as error:
            self.error = self.error or error
        else:
            if written is not None:
                return written
            # Another program has made the pipe one that is not waited for.
            self.error = self.error or OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return memoryview(data).nbytes


def open_streams() -> None:
    """Let stdout and stderr exist, take every character, and never raise.

    Windows writes into files and pipes in an old code page, which lacks characters such as σ, Δ
    and arrows: they are written as backslash escapes. Without a console there are no streams.
    """
    _occupy_descriptors()
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or (stream is getattr(sys, f"__{name}__") and _is_of_file(stream)):
            setattr(sys, name, _open(number, stream))
        elif hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):  # closed, or it cannot be changed any more
                stream.reconfigure(errors="backslashreplace")


def _occupy_descriptors() -> None:
    """Open the null device in place of each standard stream that the caller has closed.

    Otherwise the next file that is opened, such as the weights of a run, gets the number of the
    stream, and all that a library writes to the stream. stdout is opened for reading, so that
    output is known to be lost; programs without a console on Windows have no output to lose.
    """
    stdout = os.O_RDONLY if os.name == "posix" else os.O_WRONLY
    for number, flags in enumerate((os.O_RDONLY, stdout, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # gets the lowest free number


def _is_of_file(stream: io.TextIOWrapper) -> bool:
    """Whether a stream writes to a plain descriptor; the console of Windows is another kind."""
    buffer = getattr(stream, "buffer", None)  # without buffering, it is the descriptor itself
    return type(getattr(buffer, "raw", buffer)) is io.FileIO


def _open(number: int, previous: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Open a standard stream with the encoding and the buffering that it had."""
    encoding, by_line = "utf-8", number == 2
    if previous is not None:
        with suppress(OSError):
            previous.flush()
        encoding, by_line = previous.encoding, previous.line_buffering or previous.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(number, "w", closefd=False)),
        encoding,
        errors="backslashreplace",
        line_buffering=by_line,
    )


def finish_stdout() -> int:
    """Write what is left on stdout. Returns the exit code that a command without errors has."""
    with suppress(OSError, AttributeError, ValueError):  # a stream of another kind, or closed
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, _Descriptor) else None
    if error is None:
        return 0
    if error.errno == errno.EPIPE:
        return CLOSED_PIPE
    remedy = REMEDIES.get(error.errno or 0, "write it to another place")
    info(f"Error: the output cannot be written ({error.strerror}): {remedy}.")
    return UNWRITTEN
