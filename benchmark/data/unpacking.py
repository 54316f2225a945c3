"""Files of arrays as folders of images: each image becomes a file in the cache, once.

From there on everything works on files as for any other folder: splits, hashes, decoding.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from benchmark.console import info, progress
from benchmark.data.array_images import Layout, find_layout, find_range
from benchmark.data.finding import list_folder
from benchmark.data.manifest import DIGESTS, Digests
from benchmark.data.normalization import to_8bit
from benchmark.data.npz import Npz, UnusableArrays, open_npz
from benchmark.errors import UserError
from benchmark.files import locked, read_json, remove, sha256_of_json, write_error, write_json
from benchmark.results.arrays import METADATA, ArraysMetadata, Normalization
from benchmark.results.schema import read_record

SUFFIX = ".npz"
VERSION = 1
"""Version of the unpacking. Raise it when an array becomes other files than before."""
DONE = ".unpacked.json"  # hidden, so that it is no file of the dataset
BLOCK = 4096  # bytes by which a file may be larger on a disk
LONGEST_PART, MOST_PARTS = 60, 8  # of a folder's name in characters, and of its path


class Unpacked(BaseModel):
    """.unpacked.json: what a folder holds. bytes_each: of every file. described: the message."""

    n_images: int
    bytes_each: int
    described: str


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
    layout = find_layout(npz)
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
    """What a folder holds, or None if it is not complete, such as after a power cut."""
    try:
        unpacked = Unpacked.model_validate(read_json(folder / DONE))
    except (UserError, ValidationError):
        return None
    sizes = [file.stat().st_size for file in list_folder(folder).images]
    return unpacked if sizes == [unpacked.bytes_each] * unpacked.n_images else None


def _declared(path: Path, sha256: str) -> Normalization | None:
    """The normalization that metadata.json beside a file names for exactly this file, or None."""
    beside = path.resolve().parent / METADATA
    with suppress(UserError):
        metadata = read_record(beside, ArraysMetadata)
        if any(file.sha256 == sha256 for file in metadata.files.values()):
            return metadata.normalization
    return None


# ---- the files -----------------------------------------------------------------------------------


def _write(
    path: Path, npz: Npz, layout: Layout, declared: Normalization | None, folder: Path
) -> Unpacked:
    """Write every image as a file, as a whole folder or not at all. UserError without room."""
    array, (height, width) = layout.array, layout.size
    _require_room(path, layout, folder)
    normalization, values = find_range(npz, array, declared)
    part = folder.with_suffix(".part")
    remove(part)  # of a process that was interrupted; the lock is ours
    try:
        categories = _write_images(npz, layout, normalization, part)
        described = f"{array.shape[0]:,} images of {width}×{height} in {array.name}, {values}"
        described += f", categories: {categories:,}" if layout.labels is not None else ""
        unpacked = Unpacked(
            n_images=array.shape[0],
            bytes_each=len(_header(layout)) + height * width * 3,
            described="; ".join([described, *layout.remarks]),
        )
        write_json(part / DONE, unpacked.model_dump())
        remove(folder)
        part.rename(folder)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        remove(part)
    return unpacked


def _require_room(path: Path, layout: Layout, folder: Path) -> None:
    """Raise UserError unless the disk has room for the files of the images."""
    height, width = layout.size
    size = layout.array.shape[0] * (height * width * 3 + BLOCK)
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        raise UserError(
            f"{path} takes {size / 1e9:,.1f} GB when it is unpacked, and {folder.parent} has room "
            f"for {free / 1e9:,.1f} GB: make room there, or name another folder with --results."
        )


def _write_images(npz: Npz, layout: Layout, normalization: Normalization, folder: Path) -> int:
    """Write the images as numbered files into folders of their categories; returns how many."""
    header = _header(layout)
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


def _header(layout: Layout) -> bytes:
    """Return the header of each file.

    PPM holds plain pixels, so that the files, by whose hashes images are known, are the same on
    every machine. A PNG depends on the version of zlib.
    """
    height, width = layout.size
    return f"P6\n{width} {height}\n255\n".encode()


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
