"""The protocol of a test: its images, how they are prepared, how they are scored; named and hashed.

Two results may stand in one table if and only if their protocols have the same hash.
"""

from dataclasses import dataclass
from typing import Any

from benchmark.data.cache import ImageSet
from benchmark.data.manifest import digest_of
from benchmark.data.preprocessing import Preprocessing
from benchmark.evaluation.named import TestImages
from benchmark.files import sha256_of_json
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import MetricSuite
from benchmark.results.records import ProtocolRecord, TestRule

VERSION = 4
"""Raised with every change that changes a score: then old and new rows never share a table."""


@dataclass(frozen=True)
class Protocol:
    """The protocol of a test on a set of images at a size.

    manifest: the hash of the contents of the images. metrics: what `MetricSuite.describe` gives.
    rule: how the images were chosen from their folder.
    """

    name: str
    preprocessing: Preprocessing
    n_images: int
    manifest: str
    metrics: dict[str, Any]
    rule: TestRule | None = None

    @classmethod
    def of(cls, images: ImageSet, source: str, test: TestImages, suite: MetricSuite) -> "Protocol":
        """The protocol that tests on these images; `source` names the folder, for people."""
        return cls(
            test.name(source),
            test.preprocessing,
            len(images),
            digest_of(images.files),
            suite.describe(),
            test.rule(),
        )

    def describe(self) -> ProtocolRecord:
        """Everything that defines the protocol, for run.json."""
        return ProtocolRecord.model_validate(
            {
                "name": self.name,
                "version": VERSION,
                **self.preprocessing.describe(),
                "n_images": self.n_images,
                "manifest": self.manifest,
                "metrics": self.metrics,
                "input": "L* of the truth, float32",
                "scored": "the 8-bit images as written",
                "rule": self.rule,
            }
        )

    @property
    def hash(self) -> str:
        """SHA-256 of everything but the name and the rule: the images are known by their hash."""
        return hash_of(self.describe())


def hash_of(described: ProtocolRecord) -> str:
    """The hash of a protocol from its description in run.json."""
    return sha256_of_json(described.model_dump(exclude={"name", "rule"}, exclude_none=True))


def fault_of(described: ProtocolRecord, protocol_hash: str) -> str | None:
    """Why a protocol in run.json is not one of this suite's, or None."""
    if described.version != VERSION:
        return f"protocol version {described.version}, and this suite's is {VERSION}: test it again"
    if hash_of(described) != protocol_hash:
        return "the protocol's hash is not that of the protocol it describes"
    if options_of(described) is None:
        return "its metrics or their options are unknown to this version: test it again"
    return None


def options_of(described: ProtocolRecord) -> MetricOptions | None:
    """The metric options that a protocol in run.json names; None if its metrics are not theirs."""
    try:
        options = MetricOptions(**described.metrics["options"])  # type: ignore[arg-type]
        return options if MetricSuite(options).describe() == described.metrics else None
    except (TypeError, KeyError):
        return None
