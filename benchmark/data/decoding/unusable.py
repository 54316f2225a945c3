"""Why a file cannot be used as an image."""

import numpy as np

from benchmark.colorizer import SMALLEST_SIDE

MOST_PIXELS = 100_000_000  # 300 MB decoded; a larger file is a mistake or meant to fill the memory
HALF_A_LEVEL = 1 / 510  # of 8 bits
DAMAGED = "cannot be decoded (its header is damaged)"
CUT_SHORT = "cut short, so that the end of the image is missing"


class UnusableImage(Exception):
    """A file that cannot be used as an image; the text is the reason, in a few words."""


class CutShort(UnusableImage):
    """A file that ends before its image does."""

    def __init__(self) -> None:
        super().__init__(CUT_SHORT)


def require_sides(width: int, height: int) -> None:
    """Refuse images that are too small or too large."""
    if min(width, height) < SMALLEST_SIDE:
        raise UnusableImage(f"{width}×{height}, smaller than {SMALLEST_SIDE} pixels")
    if width * height > MOST_PIXELS:
        raise UnusableImage(f"{width}×{height}, more than {MOST_PIXELS:,} pixels")


def shares_in_range(values: np.ndarray) -> np.ndarray:
    """Return a copy of samples in [0, 1]; refuse those that are clearly beyond, or NaN."""
    if not (values.min() >= -HALF_A_LEVEL and values.max() <= 1 + HALF_A_LEVEL):
        raise UnusableImage("its floating-point samples are not all between 0 and 1")
    return values.clip(0, 1)
