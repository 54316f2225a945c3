"""Which array of a file holds images, in which shape and order, and in which range of values.

All of it is found by the headers, except the range, for which every value is looked at.
"""

import math
from dataclasses import dataclass

import numpy as np

from benchmark.console import shorten
from benchmark.data.decoding.unusable import UnusableImage, require_sides
from benchmark.data.normalization import RANGES, find_normalization, fits
from benchmark.data.npz import Array, Npz, UnusableArrays
from benchmark.results.arrays import METADATA, Normalization

IMAGES: dict[str, tuple[str, ...]] = {
    "rgb": ("labels",),
    "images": ("labels", "label", "y"),
    "x": ("y", "labels"),
    "x_train": ("y_train",),
    "arr_0": ("arr_1",),
}
"""The names of arrays of images in the order in which they are tried, each with those of labels."""
CATEGORY_NAMES = "category_names"
MOST_NAME_BYTES = 2**24  # the names of 20,000 categories of 200 letters
LEVELS = {name: f"{low:g} to {high:g}" for name, (low, high) in RANGES.items()}


@dataclass(frozen=True)
class Layout:
    """The images of a file of arrays.

    array: that of the images. channels_first: whether its shape is (N, 3, H, W). labels: the array
    of labels, or None. names: those of the categories, which labels count from 0; may be empty.
    remarks: what of the file is not used, each a part of a sentence.
    """

    array: Array
    channels_first: bool
    labels: Array | None
    names: list[str]
    remarks: list[str]

    @property
    def size(self) -> tuple[int, int]:
        """The height and the width of the images."""
        height, width = self.array.shape[2:] if self.channels_first else self.array.shape[1:3]
        return height, width


def find_layout(npz: Npz) -> Layout:
    """Find the images and their labels by the headers alone. Raises UnusableArrays."""
    key = next((name for name in IMAGES if name in npz.names), None)
    if key is None:
        held = shorten(npz.names) or "no array"
        raise UnusableArrays(f"it holds {held}, and needed is one of {', '.join(IMAGES)}")
    array = npz.array(key)
    channels_first = len(array.shape) == 4 and array.shape[1] == 3 and array.shape[3] != 3
    if len(array.shape) != 4 or 3 not in (array.shape[3], array.shape[1]):
        raise UnusableArrays(
            f"its array {key} has {array.describe()}, and needed is (N, H, W, 3) or (N, 3, H, W)"
        )
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise UnusableArrays(f"its array {key} has the type {array.dtype}, which is not read")
    remarks = list[str]()
    labels = _labels(npz, array, remarks)
    names = _category_names(npz) if labels is not None else []
    others = [n for n in npz.names if n != key and (n in IMAGES or n.startswith("x_"))]
    if others:
        remarks.append(f"not used: {shorten(others)}")
    layout = Layout(array, channels_first, labels, names, remarks)
    if array.shape[0] == 0:
        raise UnusableArrays(f"its array {key} holds no image")
    try:
        require_sides(*reversed(layout.size))
    except UnusableImage as error:
        raise UnusableArrays(f"its images are {error}") from error
    return layout


def _labels(npz: Npz, images: Array, remarks: list[str]) -> Array | None:
    """Find the array of labels, if there is one that has an integer for each image."""
    key = next((name for name in IMAGES[images.name] if name in npz.names), None)
    if key is None:
        return None
    labels = npz.array(key)
    if labels.dtype.kind in "ui" and labels.shape in (images.shape[:1], (images.shape[0], 1)):
        return labels
    remarks.append(
        f"not used: {key}, which has {labels.describe()}, and needed is an integer for each image"
    )
    return None


def _category_names(npz: Npz) -> list[str]:
    if CATEGORY_NAMES not in npz.names:
        return []
    array = npz.array(CATEGORY_NAMES)
    if array.dtype.kind != "U" or len(array.shape) != 1:
        return []
    if array.shape[0] * array.row_bytes > MOST_NAME_BYTES:
        raise UnusableArrays(f"its array {CATEGORY_NAMES} is too large ({array.describe()})")
    return [str(name) for batch in npz.batches(array) for name in batch]


def find_range(npz: Npz, array: Array, declared: Normalization | None) -> tuple[Normalization, str]:
    """Find in which range the values are; returns also how that was found, in a few words.

    Raises UnusableArrays if they are in none, if some are not finite, or if they are not in the
    range that metadata.json names.
    """
    if array.dtype == np.uint8:
        return "none", f"{array.dtype}"
    low, high = _extremes(npz, array)
    values = f"{array.dtype} from {low:.4g} to {high:.4g}"
    if declared is not None:
        if not fits(low, high, declared):
            raise UnusableArrays(
                f"its array {array.name} is {values}, and {METADATA} says {LEVELS[declared]}"
            )
        return declared, f"{values}, read as {LEVELS[declared]}, as {METADATA} says"
    found = find_normalization(low, high)
    if array.dtype.kind in "ui":  # an integer has only the range of 8 bits
        found = "none" if fits(low, high, "none") else None
    if found is None:
        raise UnusableArrays(
            f"its array {array.name} is {values}, and needed are values from 0 to 1, -1 to 1 or "
            "0 to 255: undo its standardization"
        )
    return found, f"{values}, read as {LEVELS[found]}"


def _extremes(npz: Npz, array: Array) -> tuple[float, float]:
    """Return the least and the greatest value. Raises UnusableArrays for NaN and infinity."""
    low, high = math.inf, -math.inf
    for batch in npz.batches(array):
        least, greatest = float(batch.min()), float(batch.max())  # NaN if one value is
        if not (math.isfinite(least) and math.isfinite(greatest)):
            raise UnusableArrays(f"its array {array.name} holds values that are not finite")
        low, high = min(low, least), max(high, greatest)
    return low, high
