"""Folders of images as arrays: train.npz and test.npz, split by category, as other programs read
them."""

import os
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.console import progress
from benchmark.data.cache import Square, decode_square
from benchmark.data.normalization import normalize
from benchmark.data.npz import BATCH_BYTES, write_array
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import UnusableImage
from benchmark.errors import UserError
from benchmark.files import sha256_of_file, sha256_of_json
from benchmark.results.arrays import ArrayFile, Normalization

AT_ONCE = 64
"""Files that are decoded before their squares are written."""
TOP = "."
"""The category of the images that are in no sub-folder, whose name no folder can have."""


@dataclass(frozen=True)
class Squares:
    """Decoded squares, uint8 (S, S, 3), one after the other in an open file, in order of name.

    categories: that of each square, the path of its folder. contents: SHA-256 of the decoded pixels
    of its file. failures: why other files cannot be used, and notes: what was taken otherwise than
    a file says, both by name.
    """

    stream: IO[bytes]
    size: int
    categories: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, square: Square) -> None:
        """Write the square of one more file."""
        self.stream.write(np.ascontiguousarray(square.rgb8.transpose(1, 2, 0)).tobytes())
        self.categories.append(category_of(name))
        self.contents.append(square.sha256)
        if square.note:
            self.notes[name] = square.note

    def batches(self, rows: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield these squares in order, uint8 (B, S, S, 3), in batches of about BATCH_BYTES."""
        bytes_each = 3 * self.size**2
        at_once = max(1, BATCH_BYTES // bytes_each)
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            batch = np.empty((len(part), self.size, self.size, 3), np.uint8)
            for place, row in enumerate(part):
                self.stream.seek(row * bytes_each)
                data = self.stream.read(bytes_each)
                batch[place] = np.frombuffer(data, np.uint8).reshape(batch.shape[1:])
            yield batch


def category_of(name: str) -> str:
    """Return the category of an image, the path of its folder, from its own path."""
    return name.rpartition("/")[0] or TOP


def decode_squares(files: Iterable[tuple[str, Path]], size: int, stream: IO[bytes]) -> Squares:
    """Decode files, by name, into squares that are written to `stream`, an empty file.

    Files that cannot be used are left out and named in `failures` of the result.
    """
    todo, preprocessing = list(files), Preprocessing(size)

    def attempt(file: tuple[str, Path]) -> Square | str:
        try:
            return decode_square(file[1], preprocessing)
        except UnusableImage as error:
            return str(error)

    squares = Squares(stream, size)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress(None, len(todo), "decoding") as bar,
    ):
        for start in range(0, len(todo), AT_ONCE):  # a pool would decode ahead without end
            part = todo[start : start + AT_ONCE]
            for (name, _), outcome in zip(part, pool.map(attempt, part), strict=True):
                if isinstance(outcome, str):
                    squares.failures[name] = outcome
                else:
                    squares.add(name, outcome)
                bar.update()
    return squares


def stratify(
    categories: Sequence[str], contents: Sequence[str], test_size: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the rows for training and those for the test, both in order.

    The number of test images is the rounded share of all; each category has its share to less than
    one image. Which of its images are drawn depends on their contents and on the seed, so that
    renaming a file changes nothing. UserError if one of the two would be empty.
    """
    rows_of = defaultdict[str, list[int]](list)
    for row, category in enumerate(categories):
        rows_of[category].append(row)
    share = Fraction(str(test_size))
    counts = {category: int(len(rows) * share) for category, rows in rows_of.items()}
    total = int(len(categories) * share + Fraction(1, 2))
    # What rounding down leaves goes to the categories that lost the most by it.
    lost = {category: len(rows) * share - counts[category] for category, rows in rows_of.items()}
    missing = total - sum(counts.values())
    for category in sorted(lost, key=lambda category: (-lost[category], category))[:missing]:
        counts[category] += 1
    if not 0 < total < len(categories):
        raise UserError(
            f"--test_size {test_size:g}: of {len(categories)} images that can be used, {total} "
            "would be for the test and the others for training, and both need at least one: name "
            "another share, or add images."
        )
    test = set[int]()
    for category, rows in rows_of.items():
        # Copies of an image have the same draw, so that they are drawn together if they can be.
        draws = {row: sha256_of_json([seed, contents[row]]) for row in rows}
        test |= {*sorted(rows, key=draws.__getitem__)[: counts[category]]}
    return [row for row in range(len(categories)) if row not in test], sorted(test)


def write_npz(
    path: Path, squares: Squares, rows: Sequence[int], normalization: Normalization
) -> ArrayFile:
    """Write the arrays of these rows to a file that NumPy reads; returns what is in it.

    They are `rgb` (N, S, S, 3) and `grayscale` (N, S, S, 1), Pillow's mode L, both uint8, or
    float32 if normalized; `labels` (N,), int64; and `category_names`, which labels count from 0.
    """
    names, size = sorted({*squares.categories}), squares.size
    label_of = {name: label for label, name in enumerate(names)}
    labels = np.array([label_of[squares.categories[row]] for row in rows], np.int64)
    category_names = np.array(names, np.str_)
    dtype = np.uint8 if normalization == "none" else np.float32
    shapes: dict[str, tuple[int, ...]] = {
        "rgb": (len(rows), size, size, 3),
        "grayscale": (len(rows), size, size, 1),
        "labels": labels.shape,
        "category_names": category_names.shape,
    }
    rgb = (normalize(batch, normalization) for batch in squares.batches(rows))
    gray = (normalize(_gray(batch), normalization) for batch in squares.batches(rows))
    with zipfile.ZipFile(path, "w") as archive:
        write_array(archive, "rgb", shapes["rgb"], dtype, rgb)
        write_array(archive, "grayscale", shapes["grayscale"], dtype, gray)
        write_array(archive, "labels", labels.shape, labels.dtype, [labels])
        write_array(
            archive, "category_names", category_names.shape, category_names.dtype, [category_names]
        )
    counts = Counter(squares.categories[row] for row in rows)
    return ArrayFile(
        images=len(rows),
        shapes={name: [*shape] for name, shape in shapes.items()},
        categories={name: counts[name] for name in names},
        sha256=sha256_of_file(path),
    )


def _gray(batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of squares, uint8 (B, S, S, 1), as Pillow's mode L."""
    gray = [np.asarray(Image.fromarray(square).convert("L")) for square in batch]
    return np.stack(gray)[..., None]
