"""The cache of decoded images, stored as uint8 so that each file is decoded once.

For every preprocessing there is a folder of packs. A pack holds some images and their digests;
images that no pack holds are decoded into new packs. Packs are never changed, so when an image is
added, that image alone is decoded. Squares that would fill the memory stay in the packs and are
read from there when they are used.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

from benchmark.console import info, progress
from benchmark.data.decoding.formats import format_by_suffix
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing, square_of
from benchmark.data.reading import UnusableImage, decode_for
from benchmark.data.rows import Place, Rows, StoredRows, subset
from benchmark.errors import UserError
from benchmark.files import replacing, sha256_of_json

DECODER = 2
"""Version of the decoding. Raise it when a file is decoded to other pixels than before: then the
packs of older versions are not read."""
ROWS_AT_ONCE = 256
"""Rows of an image that are copied at once to be hashed."""
MOST_IN_MEMORY = 2**30
"""Bytes of the squares of a set above which they stay in files."""
MOST_OF_TEST = 2**26
"""The same for a test, which reads each square a few times, in order."""
PACK_BYTES = 2**25
"""Bytes of squares that are decoded before a pack is written; and of the largest pack."""


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size.

    files: the files of the images. rgb8: uint8 (N, 3, S, S), row i is the image of `files[i]`; a
    tensor, or `StoredRows` if it were larger than MOST_IN_MEMORY.
    failures: the reason why a file could not be used, by its name. contents: the SHA-256 of each
    image's decoded pixels, before they were resized. notes: what was taken otherwise than an
    image's file says, by its name. passed_over: why other files of the folder are not read.
    """

    files: list[ImageFile]
    rgb8: Rows
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
        return ImageSet(files, subset(self.rgb8, rows), self.failures, contents, notes)


@dataclass(frozen=True)
class Square:
    """The square of one file.

    rgb8: uint8 (3, S, S). sha256: of the decoded pixels that it was made from. note: what was taken
    otherwise than the file says, or nothing.
    """

    rgb8: NDArray[np.uint8]
    sha256: str
    note: str


@dataclass(frozen=True)
class StoredSquare:
    """A square as `Square` is, whose pixels are in a pack, or in no file if `place` is None."""

    place: Place | None
    sha256: str
    note: str


def decode_square(path: Path, preprocessing: Preprocessing) -> Square:
    """Decode a file to a square. Raises UnusableImage with the reason."""
    decoded = decode_for(path, preprocessing)
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

    def load(
        self,
        files: Sequence[ImageFile],
        preprocessing: Preprocessing,
        most_in_memory: int | None = None,
    ) -> ImageSet:
        """Decode images, or read them from packs, in the order of `files`.

        most_in_memory: bytes above which the squares stay in files; MOST_IN_MEMORY by default.
        Files that cannot be used are left out and named in `failures` of the result.
        """
        wanted = {_key(image): image for image in files}
        packs = _Packs(self.folder, preprocessing) if self.folder is not None else None
        size = preprocessing.size
        found: Mapping[str, Square | StoredSquare]
        most = MOST_IN_MEMORY if most_in_memory is None else most_in_memory
        if len(wanted) * 3 * size**2 > most:
            stored, reasons = self._store(wanted, packs, preprocessing)
            used = [image for image in files if _key(image) in stored]
            rgb8: Rows = _stored_rows(used, [stored[_key(i)] for i in used], preprocessing)
            found = stored
        else:
            decoded, reasons = self._decode(wanted, packs, preprocessing)
            used = [image for image in files if _key(image) in decoded]
            rgb8 = torch.zeros(len(used), 3, size, size, dtype=torch.uint8)
            for row, image in enumerate(used):
                rgb8[row] = torch.from_numpy(decoded[_key(image)].rgb8)
            found = decoded
        return ImageSet(
            files=used,
            rgb8=rgb8,
            failures={i.name: reasons[_key(i)] for i in files if _key(i) not in found},
            contents=[found[_key(image)].sha256 for image in used],
            notes={i.name: note for i in used if (note := found[_key(i)].note)},
        )

    def _decode(
        self, wanted: Mapping[str, ImageFile], packs: "_Packs | None", preprocessing: Preprocessing
    ) -> tuple[dict[str, Square], dict[str, str]]:
        """The squares, in memory, and the reasons of failure, both by key."""
        found = packs.read(wanted.keys()) if packs is not None else {}
        missing = [image for key, image in wanted.items() if key not in found]
        fresh, reasons = _decode(missing, preprocessing)
        if packs is not None:
            self.has_grown |= packs.write(fresh) is not None
        return found | fresh, reasons

    def _store(
        self, wanted: Mapping[str, ImageFile], packs: "_Packs | None", preprocessing: Preprocessing
    ) -> tuple[dict[str, StoredSquare], dict[str, str]]:
        """The squares, written to packs, and the reasons of failure, both by key."""
        found = packs.find(wanted.keys()) if packs is not None else {}
        missing = [image for key, image in wanted.items() if key not in found]
        reasons: dict[str, str] = {}
        at_once = max(1, PACK_BYTES // (3 * preprocessing.size**2))
        for start in range(0, len(missing), at_once):
            fresh, failed = _decode(missing[start : start + at_once], preprocessing)
            reasons |= failed
            path = packs.write(fresh) if packs is not None else None
            self.has_grown |= path is not None
            places = packs.places(path, fresh) if packs is not None and path is not None else {}
            found |= {
                key: StoredSquare(places.get(key), square.sha256, square.note)
                for key, square in fresh.items()
            }
        return found, reasons


def _stored_rows(
    files: Sequence[ImageFile], squares: Sequence[StoredSquare], preprocessing: Preprocessing
) -> StoredRows:
    """The pixels of stored squares; a file whose pack is gone is decoded again."""

    def decode(row: int) -> NDArray[np.uint8]:
        path = files[row].path
        try:
            square = decode_square(path, preprocessing)
        except UnusableImage as error:
            raise UserError(f"{path} can no longer be used: {error}.") from error
        if square.sha256 != squares[row].sha256:
            raise UserError(f"{path} was changed meanwhile: start again.")
        return square.rgb8

    return StoredRows(preprocessing.size, [square.place for square in squares], decode)


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
        """The squares of the wanted digests, in memory."""
        wanted = set(wanted)
        return {
            digest: Square(pixels, content, note)
            for _, index, rgb8 in self._valid(wanted)
            for digest, pixels, content, note in _entries(index, rgb8)
            if digest in wanted
        }

    def find(self, wanted: Iterable[str]) -> dict[str, StoredSquare]:
        """The squares of the wanted digests, their pixels in the packs."""
        wanted = set(wanted)
        found: dict[str, StoredSquare] = {}
        for path, index, rgb8 in self._valid(wanted):
            places = self.places(path, index.digests)
            for digest, _, content, note in _entries(index, rgb8):
                if digest in wanted:
                    found[digest] = StoredSquare(places[digest], content, note)
        return found

    def places(self, path: Path, digests: Iterable[str]) -> dict[str, Place]:
        """Where the pixels of each image of a pack are in its file."""
        square = self.shape[0] * self.shape[1] * self.shape[2]
        with path.open("rb") as stream:  # the length of the header, the header, the pixels
            start = 8 + int.from_bytes(stream.read(8), "little")
        return {digest: Place(path, start + row * square) for row, digest in enumerate(digests)}

    def _valid(self, wanted: set[str]) -> "Iterator[tuple[Path, PackIndex, NDArray[np.uint8]]]":
        """The packs that hold any wanted image, one at a time. A damaged pack is deleted."""
        for path in sorted(self.folder.glob("[!.]*.safetensors")):
            if not path.is_file():  # a named pipe would never end
                info(f"{path} is no regular file and is not read.")
                continue
            try:
                pack = self._read_pack(path, wanted)
            except (SafetensorError, OSError, ValueError, RecursionError):
                info(f"{path} is damaged; its images are decoded again.")
                with suppress(OSError):  # a folder that is read-only
                    path.unlink(missing_ok=True)
                continue
            if pack is not None:
                with suppress(OSError):  # `data clean` asks when a pack was used
                    os.utime(path)
                yield path, *pack

    def _read_pack(
        self, path: Path, wanted: set[str]
    ) -> "tuple[PackIndex, NDArray[np.uint8]] | None":
        """Read a pack with wanted squares. Raises ValueError if it is not as written."""
        with safe_open(path, framework="np") as pack:
            index = PackIndex.model_validate_json((pack.metadata() or {}).get("index", ""))
            if wanted.isdisjoint(index.digests):
                return None
            rgb8 = pack.get_tensor("rgb8")
        if (rgb8.dtype, rgb8.shape) != (np.uint8, (len(index.digests), *self.shape)):
            raise ValueError("its images are of another size")
        if index.sha256 != _checksum(rgb8, index):
            raise ValueError("its checksum is another")
        if not len(index.digests) == len(index.contents) == len(index.notes):
            raise ValueError("its lists are of different lengths")
        return index, rgb8

    def write(self, squares: dict[str, Square]) -> Path | None:
        """Write a pack of the squares, by their digests. Returns its file if it was written."""
        if not squares:
            return None
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
            return None
        return path


def _entries(
    index: PackIndex, rgb8: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[np.uint8], str, str]]:
    """The digest, pixels, content and note of each image of a pack."""
    return zip(index.digests, rgb8, index.contents, index.notes, strict=True)


def _checksum(rgb8: NDArray[np.uint8], index: PackIndex) -> str:
    """The SHA-256 of the pixels and of all that the index says of them."""
    rest = index.model_copy(update={"sha256": ""}).model_dump_json()
    digest = hashlib.sha256(rest.encode())
    digest.update(np.ascontiguousarray(rgb8).data)
    return digest.hexdigest()
