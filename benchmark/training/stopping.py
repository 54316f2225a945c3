"""Stopping a training by a signal, so that its state is saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Ctrl-C, a termination, and where it exists, the end of the terminal."""


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Yield a list that receives the first of these signals; a second one raises.

    A signal that the process ignores, as SIGHUP under nohup, stays ignored.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = {
        number: signal.signal(number, note)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
