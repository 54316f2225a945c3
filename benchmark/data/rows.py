"""The squares of a set of images, by row: in memory, or in files where they would not fit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Rows(Protocol):
    """uint8 (N, 3, S, S), as a tensor or as `StoredRows`, which a tensor can be read from."""

    @property
    def shape(self) -> Sequence[int]:
        """N, 3, S, S."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: int | slice | list[int], /) -> Tensor: ...

    def __iter__(self) -> Iterator[Tensor]: ...


@dataclass(frozen=True)
class Place:
    """Where the pixels of a square are: in a file, from a byte on."""

    path: Path
    offset: int


class StoredRows:
    """Squares that stay in files and are read when they are asked for.

    side: S in pixels. places: where each square is, or None where it is in no file. decode: makes
    the square of a row, uint8 (3, S, S), where it cannot be read; it may raise UserError.
    """

    def __init__(
        self,
        side: int,
        places: Sequence[Place | None],
        decode: Callable[[int], NDArray[np.uint8]],
    ) -> None:
        self.places, self.decode = list(places), decode
        self.shape = torch.Size((len(places), 3, side, side))

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Tensor]:
        return map(self._read, range(len(self)))

    @overload
    def __getitem__(self, rows: int, /) -> Tensor: ...
    @overload
    def __getitem__(self, rows: slice | list[int], /) -> Tensor: ...
    def __getitem__(self, rows: int | slice | list[int], /) -> Tensor:
        if isinstance(rows, int):
            return self._read(range(len(self))[rows])
        chosen = range(len(self))[rows] if isinstance(rows, slice) else rows
        if not chosen:
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        return torch.stack([self._read(row) for row in chosen])

    def subset(self, rows: Sequence[int]) -> "StoredRows":
        """Return these rows, in their order."""
        chosen = list(rows)
        return StoredRows(
            self.shape[-1],
            [self.places[row] for row in chosen],
            lambda row: self.decode(chosen[row]),
        )

    def _read(self, row: int) -> Tensor:
        place, shape = self.places[row], self.shape[1:]
        if place is not None:
            with suppress(OSError), place.path.open("rb") as stream:
                stream.seek(place.offset)
                content = bytearray(stream.read(shape.numel()))
                if len(content) == shape.numel():
                    return torch.frombuffer(content, dtype=torch.uint8).view(shape)
        return torch.from_numpy(self.decode(row))


def subset(rows: Rows, chosen: Sequence[int]) -> Rows:
    """Return some of the rows, in the order of `chosen`; those in files stay there."""
    return rows.subset(chosen) if isinstance(rows, StoredRows) else rows[list(chosen)]


def in_memory(rows: Rows) -> Tensor:
    """Return all rows as one tensor, uint8 (N, 3, S, S)."""
    return rows if isinstance(rows, Tensor) else rows[:]
