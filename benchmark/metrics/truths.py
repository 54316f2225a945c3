"""What Inception says of the truths of a test, in files, so that it looks at each truth once.

Every row of a table is compared with the same truths. Their features, which KID and the interval of
FID need, and the mean and covariance of these, which FID needs, are kept under a hash of all that
they depend on: the pixels of the truths, the network's weights, and the versions of this module and
of torch. What is read is what was computed, to the bit.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import replacing, sha256_of_json

VERSION = 1
"""Raised when the same truths have other features or moments than before."""
Moments = tuple[Tensor, Tensor]
"""The mean, (D,), and the covariance, (D, D), of features."""


class TruthPart:
    """The truths of some images of a test, in order: their features are read or, once, written.

    features: (n, D), mapped from a file; None if they are not known yet.
    """

    def __init__(self, file: "StoredTensors") -> None:
        self.file = file
        self.features = (file.read(("features",)) or {}).get("features")

    def rows(self, start: int, count: int) -> Tensor | None:
        """The features of a batch, (count, D), from the image `start` on; None if not known."""
        return None if self.features is None else self.features[start : start + count]

    def keep(self, batches: Sequence[Tensor]) -> None:
        """Write the features of all batches, (B, D) each, if they were not known."""
        if self.features is None and batches:
            self.file.write({"features": torch.cat(list(batches))})


class TruthStore:
    """Files of the truths of one test, below a folder that all tests share.

    network_sha256: of Inception's weights.
    """

    def __init__(self, folder: Path, network_sha256: str) -> None:
        self.folder = folder
        self.depends_on = [VERSION, torch.__version__, network_sha256]
        self.hashes: list[str] = []

    def part(self, squares: Iterable[Tensor]) -> TruthPart:
        """The next truths of the test, uint8 (3, H, W) each. Every part has to be asked for."""
        digest = hashlib.sha256()
        for square in squares:
            digest.update(f"{tuple(square.shape)}".encode())
            digest.update(square.contiguous().numpy().data)
        self.hashes.append(digest.hexdigest())
        return TruthPart(self._file("features", self.hashes[-1:]))

    def moments(self, compute: Callable[[], Moments]) -> Moments:
        """The moments of the features of all parts, which are computed if they are not known."""
        file = self._file("moments", self.hashes)
        if (known := file.read(("mean", "covariance"))) is not None:
            return known["mean"], known["covariance"]
        mean, covariance = compute()
        file.write({"mean": mean, "covariance": covariance})
        return mean, covariance

    def _file(self, what: str, hashes: Sequence[str]) -> "StoredTensors":
        key = sha256_of_json([self.depends_on, what, *hashes])
        return StoredTensors(self.folder / f"{key[:32]}-{what}.safetensors", key)


class StoredTensors:
    """A file of tensors with the key of what they depend on and a checksum."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def read(self, names: Sequence[str]) -> dict[str, Tensor] | None:
        """Map the tensors into memory; None if there is no file, or a damaged one, which a message
        names."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError):
            metadata, tensors = {}, {}
        if tensors and metadata == self._metadata(tensors):
            return tensors
        info(f"{self.path} is damaged; what it held is computed again.")
        return None

    def write(self, tensors: dict[str, Tensor]) -> None:
        """Write the tensors. A message says if that is not possible, which is no reason to stop."""
        try:
            content = save(tensors, metadata=self._metadata(tensors))
            with replacing(self.path) as part:
                part.write_bytes(content)
        except UserError as error:
            info(f"Features of the truths are not kept: {error}")

    def _metadata(self, tensors: dict[str, Tensor]) -> dict[str, str]:
        digest = hashlib.sha256()
        for name in sorted(tensors):
            digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].contiguous().numpy().data)
        return {"key": self.key, "sha256": digest.hexdigest()}
