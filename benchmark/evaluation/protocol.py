"""What a test is: its images, how they are prepared, how they are scored. Named and hashed.

Two results may stand in one table if and only if their protocols have the same hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, get_args

import metrics
from benchmark.data.cache import ImageSet
from benchmark.data.manifest import digest_of
from benchmark.data.reading import Preprocessing
from benchmark.files import sha256_of_json
from benchmark.metrics.networks import LpipsBackbone

VERSION = 2
"""Raised with every change that changes a score: then old and new rows do not meet."""


@dataclass(frozen=True)
class Protocol:
    """A test set at a size. `manifest` is the hash of the contents of its images."""

    name: str
    preprocessing: Preprocessing
    n_images: int
    manifest: str
    options: metrics.Options = field(default_factory=metrics.Options)

    @classmethod
    def of(cls, images: ImageSet, source: str, size: int, options: metrics.Options) -> "Protocol":
        """The protocol that tests on these images; `source` names the set, for people."""
        manifest = digest_of(images.files)
        return cls(f"{source}-{size}", Preprocessing(size), len(images), manifest, options)

    def describe(self) -> dict[str, Any]:
        """All that defines it, for run.json."""
        return {
            "name": self.name,
            "version": VERSION,
            **self.preprocessing.describe(),
            "n_images": self.n_images,
            "manifest": self.manifest,
            "metrics": metrics.describe(self.options),
            "input": "L* of the truth, float32",
            "scored": "the 8-bit images as written",
        }

    @property
    def hash(self) -> str:
        """SHA-256 over everything but the name, which is only for people."""
        return hash_of(self.describe())


def hash_of(described: Mapping[str, Any]) -> str:
    """The hash of a protocol from its description in run.json."""
    return sha256_of_json({key: value for key, value in described.items() if key != "name"})


def fault_of(described: Mapping[str, Any], code: str) -> str | None:
    """Why a protocol in run.json is not one of this suite's, or None."""
    if described.get("version") != VERSION:
        was = described.get("version")
        return f"protocol version {was}, and this suite's is {VERSION}: test it again"
    if hash_of(described) != code:
        return "the protocol's hash is not that of the protocol it describes"
    if options_of(described) is None:
        return "its metrics are none of this suite's"
    return None


def options_of(described: Mapping[str, Any]) -> metrics.Options | None:
    """The options that a protocol's metrics were described from, or None."""
    choices = product(get_args(LpipsBackbone), get_args(metrics.Variant))
    every = [metrics.Options(backbone, variant) for backbone, variant in choices]
    return next((one for one in every if metrics.describe(one) == described.get("metrics")), None)
