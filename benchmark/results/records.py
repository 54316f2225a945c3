"""The layout of a run's folder, and the schema of run.json."""

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import UserError
from benchmark.files import read_json, write_json

Schema = TypeVar("Schema", bound=BaseModel)


class Strict(BaseModel):
    """Part of run.json: no unknown keys, no numbers as strings, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Score(Strict):
    """One metric over the test images: the mean of one value a image, or the value of the set.

    n: how many images it is of. Without a value, `reason` says why.
    """

    label: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$")
    unit: str
    direction: Literal["up", "down", "none"]
    mean: float | None
    std: float | None = Field(description="over images (KID: over subsets), n - 1 below")
    low: float | None = Field(description="of the 95 % bootstrap interval of the mean")
    high: float | None
    n: int
    reason: str | None = None

    @model_validator(mode="after")
    def _explained(self) -> "Score":
        if self.mean is None and not self.reason:
            raise ValueError(f"{self.label} has no value and no reason")
        return self


class WeightsUsed(Strict):
    trained_as: str
    file: str
    sha256: str
    epoch: int


class Timing(Strict):
    """Of colorizing alone, reading and writing apart."""

    ms_per_image: float
    batch_size: int
    device: str


class Cost(Strict):
    """cost.json: what a training took."""

    parameters: int
    training_seconds: float
    images_per_second: float
    epochs: int
    steps: int
    device: str
    precision: str
    peak_device_bytes: int | None = Field(description="on a CPU of the whole process")
    best_epoch: int


class TrainingSet(Strict):
    """What a model was trained on. manifest: a hash of the contents of all images."""

    name: str
    n_train: int
    n_val: int
    n_unusable: int
    manifest: str
    ab_mean: list[float]


class Submission(Strict):
    """How the images of another program were made ready for scoring."""

    lightness: Literal["own", "input"]
    resized: bool


class SeveralSamples(Strict):
    """`count` samples of each input, where the metrics are of the first one.

    mean: the metrics of the mean of the samples, in Lab. best: of the best sample of each image
    by each metric: an oracle chose it, so it ranks nobody.
    """

    count: int
    mean: dict[str, Score]
    best: dict[str, Score]


class Estimate(Strict):
    """A value and its 95 % bootstrap interval over images; of one image there is none."""

    value: float
    low: float | None
    high: float | None


class PaintShares(Strict):
    """Which paints objects took, all of them and all samples taken together.

    shares: of each outcome, the paints and `none`; they add up to 1.
    total_variation: between shares and their probabilities, 0 to 1. Its interval reaches down to 0
        where a perfect sampler may well be as far.
    truth: the total variation of the objects' true paints, which are one sample.
    perfect, perfect_high: that of perfect samplers which draw as often as was drawn here: the mean,
        above 0 since draws are finitely many, and what 95 of 100 stay below.
    """

    n_objects: int
    n_images: int
    shares: dict[str, Estimate]
    total_variation: Estimate
    truth: float
    perfect: float
    perfect_high: float


class Calibration(Strict):
    """Calibration of one test.

    n_samples: of each image. n_left_out: how many objects are too small to be judged.
    overall: of all objects; kinds: of those of a kind, by its name.
    per_object: the mean over objects of the total variation of each one's own shares, over its
        samples; per_object_perfect: that of perfect samplers. It tells a model that draws from one
        that always gives the same thing the same paint. One sample does not tell: both are None.
    """

    n_samples: int
    n_left_out: int
    probabilities: dict[str, float]
    overall: PaintShares
    kinds: dict[str, PaintShares]
    per_object: Estimate | None
    per_object_perfect: float | None


class RunRecord(Strict):
    """run.json: all that is known of one test but the values of its single images.

    per_image_sha256: hash of per_image.csv, where those are.
    """

    schema_version: Literal[3] = 3
    kind: Literal["model", "fixed", "submitted"]
    model: str
    run: str
    seed: int
    settings: dict[str, Any]
    sampling: dict[str, int | float | str | bool]
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
        """Why this may not stand in a table, or None."""
        if self.n_scored != self.n_expected:
            return f"{self.n_scored} of {self.n_expected} images scored"
        if self.kind == "model" and self.weights is None:
            return "the hash of the weights is missing"
        return None


def write_record(path: Path, record: RunRecord) -> None:
    """Write run.json, the last file of a test: where it stands, the test is complete."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path) -> RunRecord:
    """Read and check a run.json. UserError that names the file and the fault."""
    return read_part(path, RunRecord)


def read_cost(path: Path) -> Cost | None:
    """Read and check a cost.json; None if the training is not finished."""
    return read_part(path, Cost) if path.exists() else None


def read_part(path: Path, form: type[Schema]) -> Schema:
    values = read_json(path)
    try:
        return form.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"{path} is not a {path.name} of this version: {place}: {fault['msg']}."
        ) from error
