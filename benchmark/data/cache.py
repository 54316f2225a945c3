"""The cache of decoded images, stored as uint8 so that each file is decoded once.

For every preprocessing there is a folder of packs. A pack holds some images and their digests;
images that no pack holds are decoded into a new pack. Packs are never changed, so when an image is
added, that image alone is decoded.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.console import info, progress
from benchmark.data.decoding.formats import format_by_suffix
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing, square_of
from benchmark.data.reading import UnusableImage, decode
from benchmark.errors import UserError
from benchmark.files import replacing, sha256_of_json

DECODER = 2
"""Version of the decoding. Raise it when a file is decoded to other pixels than before: then the
packs of older versions are not read."""
ROWS_AT_ONCE = 256
"""Rows of an image that are copied at once to be hashed."""


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size.

    files: the files of the images. rgb8: uint8 (N, 3, S, S), row i is the image of `files[i]`.
    failures: the reason why a file could not be used, by its name. contents: the SHA-256 of each
    image's decoded pixels, before they were resized. notes: what was taken otherwise than an
    image's file says, by its name. passed_over: why other files of the folder are not read.
    """

    files: list[ImageFile]
    rgb8: Tensor
    failures: dict[str, str]
    contents: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    def select(self, rows: Sequence[int]) -> "ImageSet":
        """Return the images of these rows, in their order."""
        files = [self.files[row] for row in rows]
        names = {image.name for image in files}
        contents = [self.contents[row] for row in rows] if self.contents else []
        notes = {name: note for name, note in self.notes.items() if name in names}
        return ImageSet(files, self.rgb8[list(rows)], self.failures, contents, notes)


@dataclass(frozen=True)
class Square:
    """The square of one file.

    rgb8: uint8 (3, S, S). sha256: of the decoded pixels that it was made from. note: what was taken
    otherwise than the file says, or nothing.
    """

    rgb8: NDArray[np.uint8]
    sha256: str
    note: str


def decode_square(path: Path, preprocessing: Preprocessing) -> Square:
    """Decode a file to a square. Raises UnusableImage with the reason."""
    decoded = decode(path)
    image = decoded.image
    digest = hashlib.sha256(f"{image.size}".encode())
    for top in range(0, image.height, ROWS_AT_ONCE):
        bottom = min(top + ROWS_AT_ONCE, image.height)
        digest.update(image.crop((0, top, image.width, bottom)).tobytes())
    rgb8 = square_of(image, preprocessing)
    return Square(rgb8, digest.hexdigest(), "; ".join(decoded.notes))


class PackIndex(BaseModel):
    """The header of a pack: what is known of each of its images, and a checksum of all.

    digests: what each decoding depends on, its `_key`. contents: SHA-256 of its decoded pixels.
    notes: what was taken otherwise than the file says. sha256: of the pack's pixels.
    """

    digests: list[str]
    contents: list[str]
    notes: list[str]
    sha256: str


class Cache:
    """A cache of decoded images below one folder; without one, every file is decoded."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.has_grown = False

    def show_growth(self) -> None:
        """Say how large the cache is, if images were added."""
        if self.folder is not None and self.has_grown:
            with suppress(OSError):  # another process may remove a file meanwhile
                total = sum(path.stat().st_size for path in self.folder.rglob("*"))
                info(f"The cache of decoded images, {self.folder}, takes {total / 1e6:,.1f} MB.")

    def load(self, files: Sequence[ImageFile], preprocessing: Preprocessing) -> ImageSet:
        """Decode images, or read them from packs, in the order of `files`.

        Files that cannot be used are left out and named in `failures` of the result.
        """
        wanted = {_key(image): image for image in files}
        packs = _Packs(self.folder, preprocessing) if self.folder is not None else None
        squares = packs.read(wanted.keys()) if packs is not None else {}
        missing = [image for key, image in wanted.items() if key not in squares]
        reasons: dict[str, str] = {}
        if missing:
            fresh, reasons = _decode(missing, preprocessing)
            if packs is not None:
                self.has_grown |= packs.write(fresh)
            squares |= fresh
        used = [image for image in files if _key(image) in squares]
        size = preprocessing.size
        rgb8 = np.zeros((len(used), 3, size, size), np.uint8)
        for row, image in enumerate(used):
            rgb8[row] = squares[_key(image)].rgb8
        return ImageSet(
            files=used,
            rgb8=torch.from_numpy(rgb8),
            failures={i.name: reasons[_key(i)] for i in files if _key(i) not in squares},
            contents=[squares[_key(image)].sha256 for image in used],
            notes={i.name: note for i in used if (note := squares[_key(i)].note)},
        )


def _key(image: ImageFile) -> str:
    """What the decoding of a file depends on, whatever its name and its copies are.

    It is the digest, and for suffixes of formats without a signature also the format that is tried.
    """
    tried = format_by_suffix(image.path.suffix)
    return f"{image.digest}:{tried}" if tried else image.digest


def _decode(
    files: Sequence[ImageFile], preprocessing: Preprocessing
) -> tuple[dict[str, Square], dict[str, str]]:
    """Decode files in threads, which suffice since Pillow releases the GIL.

    Returns the squares and the reasons of failure, both by key.
    """

    def attempt(image: ImageFile) -> Square | str:
        try:
            return decode_square(image.path, preprocessing)
        except UnusableImage as error:
            return str(error)

    squares: dict[str, Square] = {}
    reasons: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = progress(pool.map(attempt, files), total=len(files), label="decoding")
        for image, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, str):
                reasons[_key(image)] = outcome
            else:
                squares[_key(image)] = outcome
    return squares, reasons


class _Packs:
    """The packs of one preprocessing."""

    def __init__(self, cache: Path, preprocessing: Preprocessing) -> None:
        self.folder = cache / f"v{DECODER}-{preprocessing.label}"
        self.shape = (3, preprocessing.size, preprocessing.size)

    def read(self, wanted: Iterable[str]) -> dict[str, Square]:
        """The squares of the wanted digests. A damaged pack is deleted."""
        squares: dict[str, Square] = {}
        wanted = set(wanted)
        for path in sorted(self.folder.glob("[!.]*.safetensors")):
            if not path.is_file():  # a named pipe would never end
                info(f"{path} is no regular file and is not read.")
                continue
            try:
                squares |= self._read_pack(path, wanted)
            except (SafetensorError, OSError, ValueError, RecursionError):
                info(f"{path} is damaged; its images are decoded again.")
                with suppress(OSError):  # a folder that is read-only
                    path.unlink(missing_ok=True)
        return squares

    def _read_pack(self, path: Path, wanted: set[str]) -> dict[str, Square]:
        """Read the wanted squares of a pack. Raises ValueError if it is not as written."""
        with safe_open(path, framework="np") as pack:
            index = PackIndex.model_validate_json((pack.metadata() or {}).get("index", ""))
            if wanted.isdisjoint(index.digests):
                return {}
            rgb8 = pack.get_tensor("rgb8")
        if (rgb8.dtype, rgb8.shape) != (np.uint8, (len(index.digests), *self.shape)):
            raise ValueError("its images are of another size")
        if index.sha256 != _checksum(rgb8, index):
            raise ValueError("its checksum is another")
        rows = zip(index.digests, rgb8, index.contents, index.notes, strict=True)
        return {digest: Square(*parts) for digest, *parts in rows if digest in wanted}

    def write(self, squares: dict[str, Square]) -> bool:
        """Write a pack of the squares, by their digests. Returns whether it was written."""
        if not squares:
            return False
        rgb8 = np.stack([square.rgb8 for square in squares.values()])
        index = PackIndex(
            digests=list(squares),
            contents=[square.sha256 for square in squares.values()],
            notes=[square.note for square in squares.values()],
            sha256="",
        )
        index = index.model_copy(update={"sha256": _checksum(rgb8, index)})
        metadata = {"index": index.model_dump_json()}
        content = save({"rgb8": torch.from_numpy(rgb8)}, metadata=metadata)
        try:
            path = self.folder / f"{sha256_of_json(index.digests)[:16]}.safetensors"
            with replacing(path) as part:
                part.write_bytes(content)
        except UserError as error:  # no reason to stop: the images are decoded
            info(f"Decoded images are not kept: {error}")
            return False
        return True


def _checksum(rgb8: NDArray[np.uint8], index: PackIndex) -> str:
    """The SHA-256 of the pixels and of all that the index says of them."""
    rest = index.model_copy(update={"sha256": ""}).model_dump_json()
    digest = hashlib.sha256(rest.encode())
    digest.update(np.ascontiguousarray(rgb8).data)
    return digest.hexdigest()
