"""Arrays in .npz files, written and read in a stream, so that memory does not grow with them.

Nothing is ever unpickled, and every size is checked before anything of that size is made.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

BATCH_BYTES = 2**22
"""Bytes of an array that are read or written at once."""
CHUNK_BYTES = 2**16  # zipfile joins what it decompresses piece by piece, which is quadratic
LONGEST_HEADER = 2**14  # NumPy itself refuses headers of more than 10,000 characters
HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class UnusableArrays(Exception):
    """A file whose arrays cannot be used; the text is the reason, in a few words."""


@dataclass(frozen=True)
class Array:
    """An array in a file, of which only the header was read. start: the bytes of its header."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    start: int

    @property
    def row_bytes(self) -> int:
        """The bytes of one element of the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def describe(self) -> str:
        """Return its shape and type in a few words."""
        return f"shape {self.shape} and type {self.dtype}"


class Npz:
    """A file of arrays that is open. names: those of its arrays, in the order of the file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        files = [name for name in archive.namelist() if name.endswith(".npy")]
        self.names = [name.removesuffix(".npy") for name in files]

    def array(self, name: str) -> Array:
        """Read the header of an array. Raises UnusableArrays unless all its bytes are there."""
        with _naming(name):
            member = self.archive.getinfo(f"{name}.npy")
            with self.archive.open(member) as stream:
                head = io.BytesIO(stream.read(LONGEST_HEADER))
            shape, fortran_order, dtype = _read_header(head)
        if dtype.hasobject:
            raise UnusableArrays(
                f"its array {name} holds Python objects, which could run code and are not read"
            )
        if min(shape, default=0) < 0:
            raise UnusableArrays(f"its array {name} has the impossible shape {shape}")
        found = Array(name, shape, dtype, head.tell())
        expected = math.prod(shape) * dtype.itemsize
        if member.file_size - found.start != expected:
            raise UnusableArrays(
                f"its array {name} has {member.file_size - found.start:,} bytes instead of the "
                f"{expected:,} that its header names"
            )
        if fortran_order and len(shape) > 1:
            raise UnusableArrays(
                f"its array {name} is stored column by column: save it again as "
                "numpy.ascontiguousarray gives it"
            )
        return found

    def batches(self, array: Array) -> Iterator[NDArray[np.generic]]:
        """Yield an array in parts along its first axis, in order, each of about BATCH_BYTES.

        Raises UnusableArrays if it is damaged, at the latest after the last part.
        """
        at_once = max(1, BATCH_BYTES // max(1, array.row_bytes))
        with _naming(array.name):
            stream = self.archive.open(f"{array.name}.npy")
        with stream:
            self._read(stream, array, array.start)
            for first in range(0, array.shape[0], at_once):
                count = min(at_once, array.shape[0] - first)
                data = self._read(stream, array, count * array.row_bytes)
                yield np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])
            with _naming(array.name):  # zipfile compares the checksum where it finds the end
                stream.read(1)

    def _read(self, stream: IO[bytes], array: Array, count: int) -> bytearray:
        data = bytearray()
        with _naming(array.name):
            while len(data) < count:
                part = stream.read(min(CHUNK_BYTES, count - len(data)))
                if not part:
                    raise UnusableArrays(f"its array {array.name} is cut short")
                data += part
        return data


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Open a file of arrays. Raises UnusableArrays if it is no .npz file."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UnusableArrays(f"it cannot be opened ({error.strerror or error})") from error
    except Exception as error:  # zipfile raises errors of many kinds for damaged files
        raise UnusableArrays("it is no .npz file, or is cut short") from error
    with archive:
        yield Npz(archive)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say which array it was that could not be read."""
    try:
        yield
    except UnusableArrays:
        raise
    # zipfile, its decompressors and NumPy raise errors of any kind for damaged files.
    except Exception as error:
        reason = str(error).partition("\n")[0][:100] or type(error).__name__
        raise UnusableArrays(f"its array {name} cannot be read ({reason})") from error


def _read_header(head: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(head)
    if version not in HEADER_READERS:
        raise UnusableArrays(f"an array has the version {version} of the format, which is not read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers that Python 2 wrote
        shape, fortran_order, dtype = HEADER_READERS[version](head)
    return shape, fortran_order, dtype


def write_array(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    batches: Iterable[NDArray[np.generic]],
) -> None:
    """Write an array in parts along its first axis, which have to make up its shape."""
    kind = np.dtype(dtype)
    header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    # A ZipInfo has no time of writing, so that the same arrays always make the same file.
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
        npy.write_array_header_1_0(stream, header)
        for batch in batches:
            stream.write(np.ascontiguousarray(batch, kind).tobytes())
