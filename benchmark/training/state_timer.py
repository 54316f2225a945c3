"""When the state of a training is saved: seldom enough to cost little, often enough to lose little.

What a killed training loses is the time since the beginning of its last save.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.console import info

MOST_SHARE = 0.02
"""The share of the time that saving may take."""
MOST_LOST = 60.0
"""Seconds of training that may be lost. This has precedence over MOST_SHARE."""
LEAST_BETWEEN = 10.0
"""Seconds between two states of a small network, whose disk is to have some rest."""


class StateTimer:
    """Measures how long saving takes, and says when the next state is due."""

    def __init__(self) -> None:
        self.saved = self.checked = time.monotonic()
        self.duration = 0.0
        self.warned = False

    def start(self) -> None:
        """Count from now on, as if a state had just been saved."""
        self.saved = self.checked = time.monotonic()

    def is_due(self, seconds: float = 0.0) -> bool:
        """Whether a state is to be saved now, if the next chance to do so is in `seconds`.

        The next chance is at least as far as this one is from the one before.
        """
        now = time.monotonic()
        pause, self.checked = now - self.checked, now
        elapsed = now - self.saved
        if elapsed + max(pause, seconds) + self.duration > MOST_LOST:
            return True
        return elapsed > max(self.duration / MOST_SHARE, LEAST_BETWEEN)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure the block, which saves a state."""
        self.saved = time.monotonic()
        yield
        self.checked = time.monotonic()
        self.duration = self.checked - self.saved
        if self.duration > MOST_SHARE * MOST_LOST and not self.warned:
            self.warned = True
            info(
                f"Saving the state took {self.duration:.1f} s, and is done once a minute: "
                f"{100 * self.duration / MOST_LOST:.0f} % of the time."
            )
