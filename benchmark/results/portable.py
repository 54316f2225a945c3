"""What a file of weights says of itself, so that it can be used without the folder of its run."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from benchmark.results.records import (
    Cost,
    ImageSources,
    ProtocolRecord,
    RunRecord,
    SamplingValue,
    Score,
    TrainingRecord,
    require_plain_values,
)
from benchmark.results.schema import Count, Strict

MOST_TESTS = 100
"""The most tests whose scores a file of weights may have."""
UNKNOWN_LICENSE = (
    "Not stated. What may be done with these weights follows from the rights to the images that "
    "they were trained on and from the license of a pretrained encoder: ask who trained them."
)
"""The license note of weights for which none was given."""


class ColorStatistics(Strict):
    """The statistics of color in the training split, for readers: the tensors are what counts."""

    mean: list[float] = Field(max_length=3)
    std: list[float] = Field(max_length=3)
    limit: float


class TestScores(Strict):
    """The scores of one test of the weights, taken from its run.json."""

    __test__ = False  # pytest takes every class called Test… for tests

    protocol: ProtocolRecord
    protocol_hash: str
    model: str
    sampling: dict[str, SamplingValue]
    sampling_changes: list[str]
    n_scored: Count
    metrics: dict[str, Score]
    finished: str

    @classmethod
    def of(cls, record: RunRecord) -> "TestScores":
        """Take the scores of a test from its record."""
        return cls(**{name: getattr(record, name) for name in cls.model_fields})


class Portable(Strict):
    """All that the folder of a run says of its weights, in the header of the file itself.

    seed: of the run. sampling: the model's sampling where nothing else is chosen. training: without
    the names of folders and the hashes of single images, which are nobody else's concern.
    source_sha256: the hash of the file of the run that the weights were taken from.
    environment: the versions and the commit that the file was written with.
    """

    remedy: ClassVar[str] = "Export the weights again with `main.py export`."

    format_version: Literal[1] = 1
    seed: Count
    training: TrainingRecord
    sampling: dict[str, SamplingValue]
    statistics: ColorStatistics
    cost: Cost | None
    tests: list[TestScores] = Field(max_length=MOST_TESTS)
    license: str
    source_sha256: str
    environment: dict[str, str]
    exported: str

    _has_plain_values = model_validator(mode="before")(require_plain_values)


def without_origin(training: TrainingRecord) -> TrainingRecord:
    """Return the record of a training without the names of folders and the hashes of images."""
    nothing = {
        "images": ImageSources(dataset=None, test_images=None),
        "train_digests": [],
        "train_contents": [],
    }
    return training.model_copy(update=nothing)
