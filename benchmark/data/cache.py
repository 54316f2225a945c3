"""Decoded pictures, kept as uint8 so that each file is decoded once.

For every preprocessing there is a folder of packs. A pack holds some pictures and their digests;
pictures that no pack holds are decoded into a new one. Packs are never changed, so adding a
picture decodes that picture alone.
"""

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.console import progress, say
from benchmark.data.manifest import Picture
from benchmark.data.reading import Preprocessing, UnusablePicture, read_square
from benchmark.files import replacing, sha256_of_json

DECODER = 1
"""Raised when the same file would be decoded to other pixels: then old packs are not read."""


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures: `rgb8` is uint8 (N, 3, S, S), row i that of `files[i]`.

    `failures`: the files that could not be used, with the reason.
    """

    files: list[Picture]
    rgb8: Tensor
    failures: dict[str, str]

    def __len__(self) -> int:
        return len(self.files)

    def select(self, keep: Sequence[bool]) -> "Pictures":
        """The pictures for which `keep` is true."""
        files = [picture for picture, kept in zip(self.files, keep, strict=True) if kept]
        return Pictures(files, self.rgb8[torch.tensor(keep, dtype=torch.bool)], self.failures)


class Cache:
    """Decoded pictures below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, files: Sequence[Picture], preprocessing: Preprocessing) -> Pictures:
        """Pictures in the order of `files`, those that cannot be used left out and named."""
        folder = self.folder / f"v{DECODER}-{preprocessing.filter}-{preprocessing.size}"
        wanted = {picture.digest: picture for picture in files}
        squares = _read_packs(folder, wanted.keys())
        missing = [picture for digest, picture in wanted.items() if digest not in squares]
        reasons: dict[str, str] = {}
        if missing:
            fresh, reasons = _decode(missing, preprocessing)
            _write_pack(folder, fresh)
            squares |= fresh
        used = [picture for picture in files if picture.digest in squares]
        failures = {p.name: reasons[p.digest] for p in files if p.digest not in squares}
        size = preprocessing.size
        rgb8 = np.zeros((len(used), 3, size, size), np.uint8)
        for row, picture in enumerate(used):
            rgb8[row] = squares[picture.digest]
        return Pictures(used, torch.from_numpy(rgb8), failures)


def _decode(
    files: Sequence[Picture], preprocessing: Preprocessing
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(squares, reasons of failure), both by digest. Pillow releases the GIL, so threads do."""

    def attempt(picture: Picture) -> np.ndarray | str:
        try:
            return read_square(picture.path, preprocessing)
        except UnusablePicture as error:
            return str(error)

    squares: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = progress(pool.map(attempt, files), total=len(files), label="decoding")
        for picture, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, str):
                reasons[picture.digest] = outcome
            else:
                squares[picture.digest] = outcome
    return squares, reasons


def _read_packs(folder: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    squares: dict[str, np.ndarray] = {}
    wanted = set(wanted)
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            with safe_open(path, framework="np") as pack:
                digests = json.loads(pack.metadata()["digests"])
                if wanted.isdisjoint(digests):
                    continue
                pixels = pack.get_tensor("rgb8")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            say(f"{path} is damaged; its pictures are decoded again.")
            path.unlink(missing_ok=True)
            continue
        squares |= {d: pixels[row] for row, d in enumerate(digests) if d in wanted}
    return squares


def _write_pack(folder: Path, squares: dict[str, np.ndarray]) -> None:
    if not squares:
        return
    digests = list(squares)
    tensor = torch.from_numpy(np.stack([squares[digest] for digest in digests]))
    content = save({"rgb8": tensor}, metadata={"digests": json.dumps(digests)})
    with replacing(folder / f"{sha256_of_json(digests)[:16]}.safetensors") as part:
        part.write_bytes(content)
