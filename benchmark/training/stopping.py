"""Stopping a training by a signal, so that its state is saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [signal.SIGINT, signal.SIGTERM]
"""Ctrl-C and a termination."""
END_OF_TERMINAL = getattr(signal, "SIGHUP", None)
"""Windows has no such signal."""


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Yield a list that receives the first of these signals; a second one raises.

    The end of the terminal is one of them, unless the process ignores it, as under nohup.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    numbers = [*SIGNALS]
    if END_OF_TERMINAL is not None and signal.getsignal(END_OF_TERMINAL) is not signal.SIG_IGN:
        numbers.append(END_OF_TERMINAL)
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
