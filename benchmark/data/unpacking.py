"""Files of arrays as folders of images: each image becomes a file in the cache, once.

From there on everything works on files as for any other folder: splits, hashes, decoding.
"""

import math
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from benchmark.console import info, progress
from benchmark.data.decoding.unusable import UnusableImage, require_sides
from benchmark.data.finding import list_folder
from benchmark.data.manifest import Digests
from benchmark.data.normalization import RANGES, find_normalization, fits, to_8bit
from benchmark.data.npz import Array, Npz, UnusableArrays, open_npz
from benchmark.errors import UserError
from benchmark.files import locked, read_json, remove, sha256_of_json, write_error, write_json
from benchmark.results.arrays import METADATA, ArraysMetadata, Normalization
from benchmark.results.schema import read_record

SUFFIX = ".npz"
VERSION = 1
"""Version of the unpacking. Raise it when an array becomes other files than before."""
DIGESTS = "digests.json"
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
DONE = ".unpacked.json"  # hidden, so that it is no file of the dataset
LONGEST_PART, MOST_PARTS = 60, 8  # of a folder's name in characters, and of its path
LEVELS = {name: f"{low:g} to {high:g}" for name, (low, high) in RANGES.items()}


class Unpacked(BaseModel):
    """.unpacked.json: what a folder was unpacked from. described: the message about it."""

    n_images: int
    described: str


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


def is_npz(path: Path) -> bool:
    """Whether a path is that of a file of arrays, by its name; a folder may have such a name."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def unpack(what: str, path: Path, cache_folder: Path) -> Path:
    """Return the folder of the images of a file of arrays, which is unpacked at the first time.

    A message says how its values are read. UserError, which begins with `what`, such as an option,
    for a file that is missing or damaged, or that holds no images in color.
    """
    if not path.is_file():
        reason = "is no regular file" if path.exists() else "does not exist"
        raise UserError(f"{what}: the file {path} {reason}; check the path.")
    try:
        with open_npz(path) as npz:
            return _unpack(path, npz, cache_folder)
    except UnusableArrays as error:
        raise UserError(
            f"{what}: {path} cannot be used: {error}; name another file, or a folder of images."
        ) from error


def _unpack(path: Path, npz: Npz, cache_folder: Path) -> Path:
    layout = _layout(npz)
    digests = Digests(cache_folder / DIGESTS)
    sha256 = digests.of(path.resolve())
    digests.save()
    declared = _declared(path, sha256)
    key = sha256_of_json([VERSION, sha256, declared])[:16]
    folder = cache_folder / "arrays" / key
    unpacked = _read_done(folder)
    if unpacked is None:
        with locked(folder.with_suffix(".lock")):
            unpacked = _read_done(folder) or _write(path, npz, layout, declared, folder)
    _say_once(f"{path}: {unpacked.described}.")
    return folder


@cache
def _say_once(message: str) -> None:
    """Write a message once in this process, however often the file is named in it."""
    info(message)


def _read_done(folder: Path) -> Unpacked | None:
    """What a folder was unpacked from, or None if it is not complete."""
    try:
        unpacked = Unpacked.model_validate(read_json(folder / DONE))
    except (UserError, ValidationError):
        return None
    return unpacked if len(list_folder(folder).images) == unpacked.n_images else None


# ---- what is in the file -------------------------------------------------------------------------


def _layout(npz: Npz) -> Layout:
    """Find the images and their labels by the headers alone. Raises UnusableArrays."""
    key = next((name for name in IMAGES if name in npz.names), None)
    if key is None:
        held = ", ".join(npz.names[:5]) or "no array"
        raise UnusableArrays(f"it holds {held}, and needed is one of {', '.join(IMAGES)}")
    array = npz.array(key)
    channels_first = len(array.shape) == 4 and array.shape[1] == 3 and array.shape[3] != 3
    if len(array.shape) != 4 or 3 not in (array.shape[3], array.shape[1]):
        raise UnusableArrays(
            f"its array {key} has {array.describe()}, and needed is (N, H, W, 3) or (N, 3, H, W)"
        )
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise UnusableArrays(f"its array {key} has the type {array.dtype}, which is no number")
    remarks = list[str]()
    labels = _labels(npz, array, remarks)
    names = _category_names(npz) if labels is not None else []
    others = [n for n in npz.names if n in IMAGES or n.startswith("x_")]
    if others := [name for name in others if name != key]:
        remarks.append(f"its arrays {', '.join(others[:5])} are not used")
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
        f"its array {key} has {labels.describe()} and is not used, since an integer for each image "
        "is needed"
    )
    return None


def _category_names(npz: Npz) -> list[str]:
    if CATEGORY_NAMES not in npz.names:
        return []
    array = npz.array(CATEGORY_NAMES)
    if array.dtype.kind != "U" or len(array.shape) != 1:
        return []
    if array.shape[0] * array.row_bytes > MOST_NAME_BYTES:
        raise UnusableArrays(
            f"its array {CATEGORY_NAMES} has {array.describe()}, which is too much"
        )
    return [str(name) for batch in npz.batches(array) for name in batch]


def _declared(path: Path, sha256: str) -> Normalization | None:
    """The normalization that metadata.json beside a file names for exactly this file, or None."""
    beside = path.resolve().parent / METADATA
    with suppress(UserError):
        metadata = read_record(beside, ArraysMetadata)
        if any(file.sha256 == sha256 for file in metadata.files.values()):
            return metadata.normalization
    return None


# ---- its values ----------------------------------------------------------------------------------


def _normalization(
    npz: Npz, array: Array, declared: Normalization | None
) -> tuple[Normalization, str]:
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


# ---- the files -----------------------------------------------------------------------------------


def _write(
    path: Path, npz: Npz, layout: Layout, declared: Normalization | None, folder: Path
) -> Unpacked:
    """Write every image as a file, as a whole folder or not at all. UserError without room."""
    array, (height, width) = layout.array, layout.size
    _require_room(path, array.shape[0] * height * width * 3, folder)
    normalization, values = _normalization(npz, array, declared)
    part = folder.with_suffix(".part")
    remove(part)  # of a process that was interrupted; the lock is ours
    try:
        categories = _write_images(npz, layout, normalization, part)
        described = f"{array.shape[0]:,} images of {width}×{height} in {array.name}, {values}"
        described += f", categories: {categories:,}" if layout.labels is not None else ""
        unpacked = Unpacked(
            n_images=array.shape[0], described="; ".join([described, *layout.remarks])
        )
        write_json(part / DONE, unpacked.model_dump())
        remove(folder)
        part.rename(folder)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        remove(part)
    return unpacked


def _require_room(path: Path, size: int, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        raise UserError(
            f"{path} takes {size / 1e9:,.1f} GB when it is unpacked, and {folder.parent} has room "
            f"for {free / 1e9:,.1f} GB: make room there, or name another folder with --results."
        )


def _write_images(npz: Npz, layout: Layout, normalization: Normalization, folder: Path) -> int:
    """Write the images as numbered files into folders of their categories; returns how many."""
    height, width = layout.size
    # PPM holds plain pixels, so that the files, by whose hashes images are known, are the same on
    # every machine. A PNG depends on the version of zlib.
    header = f"P6\n{width} {height}\n255\n".encode()
    folders = dict[int | None, Path]()
    count = layout.array.shape[0]
    digits = len(str(count - 1))
    images = chain.from_iterable(map(list, npz.batches(layout.array)))
    bar: tqdm[tuple[NDArray[np.generic], int | None]]
    pairs = zip(images, _label_of_each(npz, layout), strict=True)
    with progress(pairs, count, f"unpacking {layout.array.name}") as bar:
        for row, (image, label) in enumerate(bar):
            if label not in folders:
                folders[label] = folder / _folder_of(label, layout.names)
                folders[label].mkdir(parents=True, exist_ok=True)
            rgb8 = to_8bit(image, normalization)
            pixels = rgb8.transpose(1, 2, 0) if layout.channels_first else rgb8
            file = folders[label] / f"{row:0{digits}d}.ppm"
            file.write_bytes(header + np.ascontiguousarray(pixels).tobytes())
    return len(folders)


def _label_of_each(npz: Npz, layout: Layout) -> Iterator[int | None]:
    if layout.labels is None:
        return repeat(None, layout.array.shape[0])
    batches = npz.batches(layout.labels)
    return chain.from_iterable(map(int, batch.ravel()) for batch in batches)


def _folder_of(label: int | None, names: list[str]) -> str:
    """Return the folder of a category, a path that is safe whatever the file says.

    It has no dots, so it stays within the folder, is not hidden and is no file's name.
    """
    if label is None:
        return ""
    name = names[label] if 0 <= label < len(names) else str(label)
    if name == ".":  # images that were in no folder
        return ""
    parts = [re.sub(r"[^\w ()+,-]", "_", part)[:LONGEST_PART] for part in name.split("/") if part]
    return "/".join(parts[:MOST_PARTS])
