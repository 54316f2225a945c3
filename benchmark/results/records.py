"""The layout of a run's folder, and the schema of run.json."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import UserError
from benchmark.files import read_json, write_json

Form = TypeVar("Form", bound=BaseModel)


FIXED_RUNS = ("grey", "ground-truth", "mean-ab")
"""Runs of the fixed rows, the last one with a hash; the names are theirs alone."""


def require_run_name(option: str, name: str) -> None:
    """UserError unless a run may be called so: one folder, of printable signs, nobody else's."""
    if not name.isprintable() or not name.strip(" ") or {"/", "\\"} & set(name):
        raise UserError(f"{option} {name!r}: the name of a folder is needed, not a path.")
    if len(name.encode(errors="replace")) > 100:
        raise UserError(f"{option}: a name of at most 100 bytes is needed.")
    reserved = name in FIXED_RUNS or name.startswith((".", "leaderboard.", "mean-ab-"))
    if reserved:
        raise UserError(f"{option} {name}: that name is taken by the suite itself.")


class RunFolder:
    """Results/<run>/seed-<N>: where everything of one training is."""

    def __init__(self, results: Path, run: str, seed: int) -> None:
        self.results, self.run, self.seed = results, run, seed
        self.path = results / run / f"seed-{seed}"
        self.settings = self.path / "settings.json"
        self.history = self.path / "history.jsonl"
        self.cost = self.path / "cost.json"
        self.loss_curve = self.path / "loss_curve.png"
        self.state = self.path / "state.pt"
        self.weights = self.path / "weights"
        self.tests = self.path / "tests"

    def weights_of(self, which: str | int) -> Path:
        """The file of `best`, `last` or an epoch's number."""
        stem = f"epoch_{which:04d}" if isinstance(which, int) else which
        return self.weights / f"{stem}.safetensors"

    def weights_there(self) -> list[str]:
        """Which weights there are, as `--weights` names them."""
        return sorted(path.stem for path in self.weights.glob("[!.]*.safetensors"))

    def sample(self, epoch: int) -> Path:
        return self.path / "samples" / f"epoch_{epoch:04d}.png"

    @classmethod
    def of_weights(cls, path: Path) -> "RunFolder":
        """The run that a file of weights belongs to. UserError if it lies in none."""
        folder = path.resolve().parent.parent
        seed = folder.name.removeprefix("seed-")
        if not (folder / "settings.json").is_file() or not seed.isdecimal():
            raise UserError(
                f"{path} lies in no run's folder: settings.json, beside its folder weights/, has "
                "to say what it was trained on."
            )
        return cls(folder.parent.parent, folder.parent.name, int(seed))

    @classmethod
    def of_test(cls, test: Path) -> "RunFolder":
        """The run that the folder of a test belongs to."""
        seed = test.resolve().parent.parent
        number = seed.name.removeprefix("seed-")
        if not number.isdecimal():
            raise UserError(f"{test} lies in no run's folder, Results/<run>/seed-<N>/tests/.")
        return cls(seed.parent.parent, seed.parent.name, int(number))

    def choose_weights(self, which: str) -> Path:
        """The file that `--weights` names. UserError that says which there are if it is not one."""
        for path in (self.weights_of(int(which) if which.isdecimal() else which), Path(which)):
            if path.is_file():
                return path
        there = self.weights_there()
        if not there:
            raise UserError(f"{self.path} has no weights yet: train first, with --mode train.")
        raise UserError(f"There are no weights {which!r} in {self.weights}; {', '.join(there)}.")


class Strict(BaseModel):
    """Part of run.json: no unknown keys, no numbers as strings, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Score(Strict):
    """One metric over the test pictures: the mean of one value a picture, or the value of the set.

    n: how many pictures it is of. Without a value, `reason` says why.
    """

    label: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$")
    unit: str
    direction: Literal["up", "down", "none"]
    mean: float | None
    std: float | None = Field(description="over pictures (KID: over subsets), n - 1 below")
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

    ms_per_picture: float
    batch_size: int
    device: str


class Cost(Strict):
    """cost.json: what a training took."""

    parameters: int
    training_seconds: float
    pictures_per_s: float
    epochs: int
    steps: int
    device: str
    precision: str
    peak_device_bytes: int | None = Field(description="on a CPU of the whole process")
    best_epoch: int


class TrainingSet(Strict):
    """What a model was trained on. manifest: a hash of the contents of all pictures."""

    name: str
    n_train: int
    n_val: int
    n_unusable: int
    manifest: str
    ab_mean: list[float]


class Submission(Strict):
    """How the pictures of another program were made ready for scoring."""

    lightness: Literal["own", "input"]
    resized: bool


class SeveralSamples(Strict):
    """`count` samples of each input, where the metrics are of the first one.

    mean: the metrics of the mean of the samples, in Lab. best: of the best sample of each picture
    by each metric: an oracle chose it, so it ranks nobody.
    """

    count: int
    mean: dict[str, Score]
    best: dict[str, Score]


class Estimate(Strict):
    """A value and its 95 % bootstrap interval over pictures; of one picture there is none."""

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
    n_pictures: int
    shares: dict[str, Estimate]
    total_variation: Estimate
    truth: float
    perfect: float
    perfect_high: float


class Calibration(Strict):
    """Calibration of one test.

    n_samples: of each picture. n_left_out: how many objects are too small to be judged.
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
    """run.json: all that is known of one test but the values of its single pictures.

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
            return f"{self.n_scored} of {self.n_expected} pictures scored"
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


def read_part(path: Path, form: type[Form]) -> Form:
    values = read_json(path)
    try:
        return form.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"{path} is not a {path.name} of this version: {place}: {fault['msg']}."
        ) from error


def now() -> str:
    """The present time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def environment() -> dict[str, str]:
    """Versions and the commit, for run.json."""
    packages = ("torch", "torchvision", "kornia", "lpips", "torchmetrics", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{package: version(package) for package in packages},
        "commit": _commit(),
    }


def _commit() -> str:
    def git(*words: str) -> str:
        root = Path(__file__).resolve().parent
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
