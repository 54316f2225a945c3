"""The cache of decoded images, stored as uint8 so that each file is decoded once.

For every preprocessing there is a folder of packs. A pack holds some images and their digests;
images that no pack holds are decoded into a new pack. Packs are never changed, so when an image is
added, that image alone is decoded.
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

from benchmark.console import info, progress
from benchmark.data.manifest import ImageFile
from benchmark.data.reading import Preprocessing, UnusableImage, read_square
from benchmark.files import replacing, sha256_of_json

DECODER = 1
"""Version of the decoding. Raise it when a file is decoded to other pixels than before: then the
packs of older versions are not read."""


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size.

    files: the files of the images. rgb8: uint8 (N, 3, S, S), row i is the image of `files[i]`.
    failures: the reason why a file could not be used, by its name.
    """

    files: list[ImageFile]
    rgb8: Tensor
    failures: dict[str, str]

    def __len__(self) -> int:
        return len(self.files)

    def select(self, keep: Sequence[bool]) -> "ImageSet":
        """Return the images for which `keep` is true."""
        files = [image for image, kept in zip(self.files, keep, strict=True) if kept]
        return ImageSet(files, self.rgb8[torch.tensor(keep, dtype=torch.bool)], self.failures)


class Cache:
    """A cache of decoded images below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(
        self, files: Sequence[ImageFile], preprocessing: Preprocessing, *, packs: bool = True
    ) -> ImageSet:
        """Decode images, or read them from packs, in the order of `files`.

        packs: whether packs are read and written; otherwise every file is decoded.
        Files that cannot be used are left out and named in `failures` of the result.
        """
        folder = self.folder / f"v{DECODER}-{preprocessing.filter}-{preprocessing.size}"
        wanted = {image.digest: image for image in files}
        squares = _read_packs(folder, wanted.keys()) if packs else {}
        missing = [image for digest, image in wanted.items() if digest not in squares]
        reasons: dict[str, str] = {}
        if missing:
            fresh, reasons = _decode(missing, preprocessing)
            if packs:
                _write_pack(folder, fresh)
            squares |= fresh
        used = [image for image in files if image.digest in squares]
        failures = {
            image.name: reasons[image.digest] for image in files if image.digest not in squares
        }
        size = preprocessing.size
        rgb8 = np.zeros((len(used), 3, size, size), np.uint8)
        for row, image in enumerate(used):
            rgb8[row] = squares[image.digest]
        return ImageSet(used, torch.from_numpy(rgb8), failures)


def _decode(
    files: Sequence[ImageFile], preprocessing: Preprocessing
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Decode files in threads, which suffice since Pillow releases the GIL.

    Returns the squares, uint8 (3, S, S), and the reasons of failure, both by digest.
    """

    def attempt(image: ImageFile) -> np.ndarray | str:
        try:
            return read_square(image.path, preprocessing)
        except UnusableImage as error:
            return str(error)

    squares: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = progress(pool.map(attempt, files), total=len(files), label="decoding")
        for image, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, str):
                reasons[image.digest] = outcome
            else:
                squares[image.digest] = outcome
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
            info(f"{path} is damaged; its images are decoded again.")
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
