"""The schema of every JSON file of a run and of a test, each read and written through its schema.

TrainingRecord is settings.json, SubmissionRecord submission.json, Cost cost.json, Divergence
diverged.json, OutputsRecord colorized.json, and RunRecord run.json.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from benchmark.results.outsider import OutsiderFacts
from benchmark.results.schema import MOST, Amount, Count, Strict, read_record
from benchmark.settings import NO_ENCODER, BatchSize, Size

# ---- a run ---------------------------------------------------------------------------------------


class ImageSources(Strict):
    """The folders that a run took its images from, as `--dataset` and `--test_images` name them."""

    dataset: str | None
    test_images: str | None


class TrainingSet(Strict):
    """The images that a model was trained on. manifest: a hash of the contents of all of them.

    n_near_copies: the images that were dropped since they look like one of the test; None for none.
    """

    name: str
    n_train: Count
    n_val: Count
    n_unusable: Count
    n_near_copies: Count | None = None
    manifest: str
    ab_mean: list[float] = Field(min_length=2, max_length=2)


class PretrainedWeights(Strict):
    """The published weights that the encoder of a training started from.

    name: of the encoder. data: what it was trained on. source: the package, file or repository.
    sha256: of the tensors of its feature pyramid, the same for every source and file format.
    """

    name: str
    data: str
    source: str
    sha256: str

    @property
    def label(self) -> str:
        """What a table says of it, such as `ImageNet-1k (efficientnet_lite0)`."""
        return f"{self.data} ({self.name})"


class SettingsOfTests(BaseModel):
    """The settings of a training that its tests need; all others are any JSON."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    size: Size
    batch_size: BatchSize
    split_seed: Count


class TrainingRecord(Strict):
    """settings.json: what a training was started with.

    sources: who decided each of the settings. train_digests, train_contents: SHA-256 of the file of
    each training image, and of its decoded pixels. pretrained: None without a pretrained encoder.
    begun: the settings at the beginning of the run, if they are others now. retries: where the
    training diverged and went back, each time with half of the learning rate.
    """

    remedy: ClassVar[str] = (
        "Delete its folder, or train from the beginning with --mode train --overwrite."
    )

    schema_version: Literal[1] = 1
    model: str
    preset: str
    settings: dict[str, Any]
    sources: dict[str, str]
    images: ImageSources
    training_data: TrainingSet
    train_digests: list[str]
    train_contents: list[str] = []
    pretrained: PretrainedWeights | None = None
    begun: dict[str, Any] | None = None
    retries: list["Divergence"] = []

    @model_validator(mode="after")
    def _has_the_settings_of_tests(self) -> "TrainingRecord":
        SettingsOfTests.model_validate(self.settings)
        return self


class SubmissionRecord(Strict):
    """submission.json: the run of another program, whose images were handed in."""

    remedy: ClassVar[str] = "Hand the images in again with `main.py score`."

    schema_version: Literal[1] = 1
    model: str
    images: ImageSources


class Cost(Strict):
    """cost.json: what a training took.

    training_finished: when it ended, ISO 8601, UTC; empty in files of older versions.
    learning_rate_halved: how often, each time after the training had diverged.
    """

    remedy: ClassVar[str] = (
        "Delete this file to go on without it, or train from the beginning with --mode train "
        "--overwrite."
    )

    parameters: Count
    training_seconds: Amount
    images_per_second: Amount
    epochs: Count
    steps: Count
    device: str
    precision: str
    peak_device_bytes: Count | None = Field(description="on a CPU that of the whole process")
    best_epoch: Count
    training_finished: str = ""
    learning_rate_halved: Count = 0


class Divergence(Strict):
    """diverged.json: where a training diverged, whose folder the next one may have.

    epoch: from 1. best_epoch: that of the best weights before it, 0 if there are none. is_finite:
    whether the training went on, since its numbers are still finite. step: from 1, if it is known,
    and images: the names of the files whose images that step took.
    """

    remedy: ClassVar[str] = "Delete its folder, or train from the beginning with --overwrite."

    epoch: Count
    best_epoch: Count
    reason: str
    is_finite: bool = False
    step: Count | None = None
    images: list[str] = []


# ---- a test --------------------------------------------------------------------------------------

DEEPEST = 20
"""The most mappings and lists within each other that a record of a test may have."""
Share = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]


class Score(Strict):
    """One metric of a test: the mean of one value an image, or the value of the whole set.

    n: the number of images. Without a value, `reason` says why.
    """

    label: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$")
    unit: str
    direction: Literal["up", "down", "none"]
    mean: float | None
    std: float | None = Field(description="over images (KID: over subsets), with n - 1")
    low: float | None = Field(description="of the 95 % bootstrap interval of the mean")
    high: float | None
    n: Count
    reason: str | None = None

    @model_validator(mode="after")
    def _has_value_or_reason(self) -> "Score":
        if self.mean is None and not self.reason:
            raise ValueError(f"{self.label} has no value and no reason")
        return self


class WeightsUsed(Strict):
    """The weights that were tested.

    trained_as: the model they were trained as. run: the run that `file` is relative to; None if
    the file lies elsewhere.
    """

    trained_as: str
    run: str | None
    file: str
    sha256: str
    epoch: int


class Timing(Strict):
    """The time of colorizing alone, without reading and writing files."""

    ms_per_image: float = Field(ge=0)
    batch_size: Count
    device: str


class Submission(Strict):
    """How the images of another program were prepared for scoring."""

    lightness: Literal["own", "input"]
    resized: bool


class SeveralSamples(Strict):
    """The scores of `count` samples of each input, where `metrics` are of the first sample.

    mean: of the mean of the samples, in Lab. best: of the best sample of each image by each metric:
    an oracle chose it, so it is never ranked.
    """

    count: int = Field(ge=2, le=100_000)
    mean: dict[str, Score]
    best: dict[str, Score]


class Estimate(Strict):
    """A value and its 95 % bootstrap interval over images; a single image has no interval."""

    value: Share
    low: Share | None
    high: Share | None

    @model_validator(mode="after")
    def _has_both_ends(self) -> "Estimate":
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends, or there is none")
        return self


class PaintShares(Strict):
    """The paints that objects were given, over all of them and all samples.

    shares: of each outcome, the paints and `none`; they add up to 1.
    total_variation: between shares and their probabilities, 0 to 1. Its interval reaches 0 where
        a perfect sampler could be as far.
    truth: the total variation of the objects' true paints, which are one sample.
    perfect, perfect_high: the total variation of perfect samplers with as many draws: its mean,
        above 0 since draws are finitely many, and its 95th percentile.
    """

    n_objects: int
    n_images: int
    shares: dict[str, Estimate]
    total_variation: Estimate
    truth: float
    perfect: float
    perfect_high: float


class Calibration(Strict):
    """The calibration of one test on the built-in sample.

    n_samples: of each image. n_left_out: the number of objects too small to be classified.
    overall: over all objects; kinds: over those of each kind, by its name.
    per_object: the mean over objects of the total variation of each one's own shares over its
        samples; per_object_perfect: that of perfect samplers. It distinguishes a model that
        samples from one that repeats itself. With one sample both are None.
    """

    n_samples: int
    n_left_out: int
    probabilities: dict[str, float]
    overall: PaintShares
    kinds: dict[str, PaintShares]
    per_object: Estimate | None
    per_object_perfect: float | None


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    """The items of a mapping or a list; of anything else none."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def require_plain_values(values: Any) -> Any:
    """Return values of a record; raise ValueError for numbers and nestings that no test has."""
    level = {"": values}
    for _ in range(DEEPEST):
        level = {
            f"{at}.{key}": inner for at, value in level.items() for key, inner in _items(value)
        }
        for at, value in level.items():
            if isinstance(value, int | float) and not abs(value) <= MOST:
                raise ValueError(f"{at[1:]} is out of range")
    if level:
        raise ValueError(f"{next(iter(level))[1:100]} is nested too deeply")
    return values


SamplingValue = int | float | str | bool | None


class TestRule(Strict):
    """How the test images were chosen from a folder: by a named protocol, the first ones, or both.

    The manifest says which images were tested; this says how to find them in their folder again.
    """

    __test__ = False  # pytest takes every class called Test… for tests

    protocol: str | None = None
    limit: int | None = Field(None, ge=1)


class ProtocolRecord(Strict):
    """The description of a protocol: the test images, how they are prepared and how scored.

    manifest: a hash of the contents of the images. metrics: what `MetricSuite.describe` gives.
    rule: None for all images of a folder.
    """

    name: str
    version: int
    size: int = Field(ge=1, le=2**16)
    filter: str
    crop: str
    degradation: Literal["old"] | None = Field(None, description="not of the images as they are")
    n_images: int = Field(ge=1)
    manifest: str
    metrics: dict[str, str | dict[str, str]]
    input: str
    scored: str
    rule: TestRule | None = Field(None, description="not in older records")


class RunRecord(Strict):
    """run.json: all that is known of one test except the values of its single images.

    sampling: every value that was in force. sampling_changes: the names of those that differ from
    the model's defaults. per_image_sha256: the hash of per_image.csv, where the values are.
    """

    schema_version: Literal[4] = 4
    kind: Literal["model", "fixed", "submitted", "outsider"]
    model: str
    run: str
    seed: int
    settings: dict[str, Any]
    sampling: dict[str, SamplingValue]
    sampling_changes: list[str]
    submission: Submission | None
    weights: WeightsUsed | None
    protocol: ProtocolRecord
    protocol_hash: str
    training_data: TrainingSet | None
    pretrained: PretrainedWeights | None = Field(None, description="not in older records")
    outsider: OutsiderFacts | None = Field(None, description="not in older records")
    n_expected: Count
    n_scored: Count
    failed: dict[str, str]
    metrics: dict[str, Score]
    samples: SeveralSamples | None
    calibration: Calibration | None = Field(description="only on the built-in sample")
    per_image_sha256: str
    timing: Timing | None
    cost: Cost | None
    environment: dict[str, str]
    finished: str

    _has_plain_values = model_validator(mode="before")(require_plain_values)

    @property
    def refusal(self) -> str | None:
        """Why this test may not stand in a table, or None."""
        if self.n_scored != self.n_expected:
            return f"{self.n_scored} of {self.n_expected} images scored"
        if self.kind == "model" and self.weights is None:
            return "the hash of the weights is missing"
        if self.kind == "outsider" and self.outsider is None:
            return "what is known of the outsider is missing"
        if self.pretrained is None and self.settings.get("encoder", NO_ENCODER) != NO_ENCODER:
            return "what its encoder was pretrained on is missing"
        return None


class Provenance(Strict):
    """What outputs depend on: where it is the same, an output that exists is the right one.

    inputs: a hash of the test images and of their names, since files and seeds follow these.
    """

    weights_sha256: str | None
    inputs: str
    seed: int
    sampling: dict[str, SamplingValue]
    protocol_hash: str


class OutputsRecord(Strict):
    """colorized.json: the provenance of a test's outputs, and the time that coloring them took.

    environment: versions and commit when the last of them were made.
    """

    provenance: Provenance
    images: Count = 0
    seconds: Amount = 0.0
    batch_size: Count = 0
    device: str = ""
    environment: dict[str, str] = {}

    def timing(self) -> Timing | None:
        """The time of the outputs that were colored so far; None if none was."""
        if not self.images:
            return None
        return Timing(
            ms_per_image=round(1000 * self.seconds / self.images, 3),
            batch_size=self.batch_size,
            device=self.device,
        )


# ---- files that may be missing -------------------------------------------------------------------


def read_cost(path: Path) -> Cost | None:
    """Read a cost.json; None if the training is not finished. Raises UserError if it is damaged."""
    return read_record(path, Cost) if os.path.lexists(path) else None


def read_divergence(path: Path) -> Divergence | None:
    """Read a diverged.json; None if the training did not diverge. UserError if it is damaged."""
    return read_record(path, Divergence) if os.path.lexists(path) else None
