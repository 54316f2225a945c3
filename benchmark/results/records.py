"""The schema of every JSON file of a run and of a test, each read and written through its schema.

TrainingRecord is settings.json, SubmissionRecord submission.json, Cost cost.json, Divergence
diverged.json, OutputsRecord colorized.json, and RunRecord run.json.
"""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.settings import BatchSize, Size

Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    """The base of all records: no unknown keys, no numbers as strings, no NaN.

    remedy: what helps a user whose file is not such a record.
    """

    remedy: ClassVar[str] = "Delete the folder, or start from the beginning with --overwrite."

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


Schema = TypeVar("Schema", bound=Strict)


# ---- a run ---------------------------------------------------------------------------------------


class ImageSources(Strict):
    """The folders that a run took its images from, as `--dataset` and `--test_images` name them."""

    dataset: str | None
    test_images: str | None


class TrainingSet(Strict):
    """The images that a model was trained on. manifest: a hash of the contents of all of them."""

    name: str
    n_train: Count
    n_val: Count
    n_unusable: Count
    manifest: str
    ab_mean: list[float] = Field(min_length=2, max_length=2)


class SettingsOfTests(BaseModel):
    """The settings of a training that its tests need; all others are any JSON."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    size: Size
    batch_size: BatchSize
    split_seed: Count


class TrainingRecord(Strict):
    """settings.json: what a training was started with.

    sources: who decided each of the settings. train_digests: SHA-256 of each training image.
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
    """cost.json: what a training took."""

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


class Divergence(Strict):
    """diverged.json: where a training diverged, whose folder the next one may have.

    epoch: from 1. best_epoch: that of the best weights before it, 0 if there are none.
    """

    remedy: ClassVar[str] = "Delete its folder, or train from the beginning with --overwrite."

    epoch: Count
    best_epoch: Count
    reason: str


# ---- a test --------------------------------------------------------------------------------------


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
    n: int
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

    ms_per_image: float
    batch_size: int
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

    count: int
    mean: dict[str, Score]
    best: dict[str, Score]


class Estimate(Strict):
    """A value and its 95 % bootstrap interval over images; a single image has no interval."""

    value: float
    low: float | None
    high: float | None


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


SamplingValue = int | float | str | bool | None


class RunRecord(Strict):
    """run.json: all that is known of one test except the values of its single images.

    sampling: every value that was in force. sampling_changes: the names of those that differ from
    the model's defaults. per_image_sha256: the hash of per_image.csv, where the values are.
    """

    schema_version: Literal[4] = 4
    kind: Literal["model", "fixed", "submitted"]
    model: str
    run: str
    seed: int
    settings: dict[str, Any]
    sampling: dict[str, SamplingValue]
    sampling_changes: list[str]
    submission: Submission | None
    weights: WeightsUsed | None
    protocol: dict[str, Any]
    protocol_hash: str
    training_data: TrainingSet | None
    n_expected: int
    n_scored: int
    failed: dict[str, str]
    metrics: dict[str, Score]
    samples: SeveralSamples | None
    calibration: Calibration | None = Field(description="only on the built-in sample")
    per_image_sha256: str
    timing: Timing | None
    cost: Cost | None
    environment: dict[str, str]
    finished: str

    @property
    def refusal(self) -> str | None:
        """Why this test may not stand in a table, or None."""
        if self.n_scored != self.n_expected:
            return f"{self.n_scored} of {self.n_expected} images scored"
        if self.kind == "model" and self.weights is None:
            return "the hash of the weights is missing"
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
    images: int = 0
    seconds: float = 0.0
    batch_size: int = 0
    device: str = ""
    environment: dict[str, str] = {}


# ---- files ---------------------------------------------------------------------------------------


def write_record(path: Path, record: Strict) -> None:
    """Write a record as JSON, whole or not at all. A test's run.json is the last of its files."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path, schema: type[Schema]) -> Schema:
    """Read a JSON file through its schema. Raises UserError that names the file and the fault."""
    try:
        values = read_json(path)
    except UserError as error:
        raise UserError(
            f"{error} {schema.remedy}" if os.path.lexists(path) else str(error)
        ) from error
    return validate(values, schema, f"{path} is not a {path.name} of this version")


def validate(values: Any, schema: type[Schema], problem: str) -> Schema:
    """Return values as a record. Raises UserError: the problem, the fault and the remedy."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{problem}: {validation_fault(error)}. {schema.remedy}") from error


def validation_fault(error: ValidationError) -> str:
    """Return the place and the message of a validation's first error, printable and short."""
    fault = error.errors(include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in fault["loc"][:6])
    text = f"{place}: {fault['msg']}" if place else fault["msg"]
    return "".join(c if c.isprintable() else "?" for c in text)[:300]


def read_cost(path: Path) -> Cost | None:
    """Read a cost.json; None if the training is not finished. Raises UserError if it is damaged."""
    return read_record(path, Cost) if os.path.lexists(path) else None


def read_divergence(path: Path) -> Divergence | None:
    """Read a diverged.json; None if the training did not diverge. UserError if it is damaged."""
    return read_record(path, Divergence) if os.path.lexists(path) else None
