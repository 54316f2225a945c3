"""The ranges in which arrays of images hold their values, and how a range is found."""

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.color import from_signed, rgb_from_8bit, rgb_to_8bit, to_signed
from benchmark.data.decoding.unusable import HALF_A_LEVEL
from benchmark.results.arrays import Normalization

RANGES: dict[Normalization, tuple[float, float]] = {"01": (0, 1), "11": (-1, 1), "none": (0, 255)}
"""The least and the greatest value of each normalization, in the order in which they are tried."""


def normalize(values: NDArray[np.uint8], normalization: Normalization) -> NDArray[np.generic]:
    """Convert uint8 0…255 to the values of a normalization: uint8 for none, otherwise float32."""
    if normalization == "none":
        return values
    shares = rgb_from_8bit(torch.from_numpy(values))
    return (shares if normalization == "01" else to_signed(shares)).numpy()


def to_8bit(values: NDArray[np.generic], normalization: Normalization) -> NDArray[np.uint8]:
    """Convert the values of a normalization to uint8 0…255, rounded; those beyond are clamped."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8)
    numbers = torch.from_numpy(values.astype(np.float32))
    if normalization == "none":
        numbers = rgb_from_8bit(numbers)
    elif normalization == "11":
        numbers = from_signed(numbers)
    return rgb_to_8bit(numbers).numpy()


def fits(low: float, high: float, normalization: Normalization) -> bool:
    """Whether values from `low` to `high` are in a range, but for half a level of 8 bits.

    A resize with negative lobes that is not clamped, and rounding, go as far beyond.
    """
    least, greatest = RANGES[normalization]
    slack = HALF_A_LEVEL * (greatest - least)
    return least - slack <= low and high <= greatest + slack


def find_normalization(low: float, high: float) -> Normalization | None:
    """Return the narrowest range that holds floats from `low` to `high`, or None if none does."""
    return next((name for name in RANGES if fits(low, high, name)), None)
