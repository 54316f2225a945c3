"""The layout of Results/: every file name of a run and of a test is written here, and nowhere else.

Results/<run>/seed-<N>/
    settings.json  history.jsonl  cost.json  diverged.json  loss_curve.png  state.pt
    samples/  weights/
    tests/<protocol>[-<sampling>]/
        run.json  per_image.csv  figure.png  images/  samples/<k>/  frames/ …
Results/<run>/.seed-<N>.lock  .seed-<N>.holder.json
Results/study-<hash>.json
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import remove

GRAY_RUN, GROUND_TRUTH_RUN, MEAN_AB_RUN = "gray", "ground-truth", "mean-ab"
"""The runs of the fixed rows; the last one's name goes on with a hash of its training set."""
Sample = int | str
"""The number of a sample of each input, from 0, or MEAN."""
MEAN = "mean"
"""Stands for the mean of all samples in place of a number."""
SETTINGS, RECORD, LOCK = "settings.json", "run.json", ".lock"
FILE_REPORT = "file_report.csv"
"""The list of the image files that were left out or not read as they are."""
TESTS, WEIGHTS, SAMPLES, IMAGES, FRAMES = "tests", "weights", "samples", "images", "frames"


def is_fixed_run(name: str) -> bool:
    """Whether a run of this name is that of a fixed row."""
    return name in (GRAY_RUN, GROUND_TRUTH_RUN, MEAN_AB_RUN) or name.startswith(f"{MEAN_AB_RUN}-")


def require_run_name(option: str, name: str) -> None:
    """Raise UserError unless `name` can name a run: one folder, printable, and not reserved."""
    if not name.isprintable() or not name.strip(" ") or {"/", "\\"} & set(name):
        raise UserError(f"{option} {name!r}: the name of a folder is needed, not a path.")
    if len(name.encode(errors="replace")) > 100:
        raise UserError(f"{option}: a name of at most 100 bytes is needed.")
    of_suite = is_fixed_run(name) or name.startswith((".", "leaderboard."))
    if of_suite or fnmatchcase(name, study_file(Path(), "*").name):
        raise UserError(f"{option} {name}: that name is reserved for the suite itself.")


def study_file(results: Path, study_hash: str) -> Path:
    """The file of a study's result, named after the hash of the study."""
    return results / f"study-{study_hash[:12]}.json"


def study_files(results: Path) -> list[Path]:
    """The results of all studies of a results folder, by name."""
    return sorted(path for path in results.glob(study_file(results, "*").name) if path.is_file())


def fit_name(name: str, most: int) -> str:
    """Shorten a file's name to `most` bytes, 17 of them for a hash that keeps it unique.

    A name that is short enough is unchanged.
    """
    content = name.encode(errors="surrogatepass")
    if len(content) <= most:
        return name
    start = content[: most - 17].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(content).hexdigest()[:16]}"


def comparable(name: str) -> str:
    """What two names have in common that some file systems take for one.

    They differ in upper and lower case, or in how their accents are encoded.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _epoch_of(stem: str) -> int | None:
    """The epoch that the stem of a file of weights names, or None. Four digits or more."""
    number = stem.removeprefix("epoch_")
    return int(number) if number != stem and number.isdecimal() else None


class RunFolder:
    """The folder of one run, Results/<run>/seed-<N>, and its files."""

    def __init__(self, results: Path, run: str, seed: int) -> None:
        self.results, self.run, self.seed = results, run, seed
        self.path = results / run / f"seed-{seed}"
        # Beside the folder, so that it outlives the folder's deletion.
        self.lock = results / run / f".seed-{seed}.lock"
        self.holder = results / run / f".seed-{seed}.holder.json"
        self.settings = self.path / SETTINGS
        self.submission = self.path / "submission.json"
        self.history = self.path / "history.jsonl"
        self.cost = self.path / "cost.json"
        self.file_report = self.path / FILE_REPORT
        self.divergence = self.path / "diverged.json"
        self.loss_curve = self.path / "loss_curve.png"
        self.state = self.path / "state.pt"
        self.weights = self.path / WEIGHTS
        self.previews = self.path / SAMPLES
        self.tests = self.path / TESTS

    def weights_file(self, which: str | int) -> Path:
        """The file of the weights `best`, `last` or of an epoch's number."""
        stem = f"epoch_{which:04d}" if isinstance(which, int) else which
        return self.weights / f"{stem}.safetensors"

    def available_weights(self) -> list[str]:
        """The weights in the folder, as `--weights` names them."""
        found = self.weights.glob("[!.]*.safetensors")
        stems = [path.stem for path in found if path.is_file()]
        return sorted(stems, key=lambda stem: (_epoch_of(stem) or 0, stem))

    def kept_epochs(self) -> list[int]:
        """The epochs whose weights are in the folder, in ascending order."""
        epochs = (_epoch_of(stem) for stem in self.available_weights())
        return [epoch for epoch in epochs if epoch is not None]

    def keep_epochs(self, count: int) -> None:
        """Remove the weights of all epochs but the latest `count`; 0 keeps all.

        Those named best and last stay. UserError if a file cannot be removed.
        """
        for epoch in self.kept_epochs()[:-count] if count else []:
            remove(self.weights_file(epoch))

    def choose_weights(self, which: str) -> Path:
        """The file that `--weights` names. Raises UserError that lists the weights there are."""
        own = self.weights_file(int(which) if which.isdecimal() else which)
        for path in (own, Path(which)):
            if path.is_file():
                return path
        available = self.available_weights()
        if not available:
            raise UserError(
                f"{self.path} has no weights: train first, with --mode train, which also writes "
                "those of a finished training again."
            )
        raise UserError(
            f"There are no weights {which!r} in {self.weights}: name others with --weights, which "
            f"are {', '.join(available)}."
        )

    def preview(self, epoch: int) -> Path:
        """The figure of validation images that a training colors after an epoch."""
        return self.previews / f"epoch_{epoch:04d}.png"

    def places(self) -> dict[Path, bool]:
        """The run's folder and what a training writes there; True for folders, False for files."""
        folders = (self.path, self.weights, self.previews, self.tests)
        files = (self.settings, self.history, self.cost, self.divergence, self.state)
        return dict.fromkeys(folders, True) | dict.fromkeys((*files, self.loss_curve), False)

    def test_locks(self) -> list[Path]:
        """The locks of all tests of the run, finished or not."""
        return sorted(path for path in self.tests.glob(f"*/{LOCK}") if path.is_file())

    def finished_tests(self) -> Iterator["TestFolder"]:
        """Yield the finished tests of the run, by name."""
        for path in sorted(self.tests.glob(f"*/{RECORD}")):
            yield TestFolder(path.parent)

    @classmethod
    def all_of(cls, results: Path, run: str) -> Iterator["RunFolder"]:
        """Yield the folder of each seed of a run, in the order of their names."""
        for path in sorted((results / run).glob("seed-*")):
            if (folder := cls.at(path)) is not None:
                yield folder

    @classmethod
    def at(cls, path: Path) -> "RunFolder | None":
        """The run whose folder this is; None for a path that does not end in seed-<N>."""
        seed = path.name.removeprefix("seed-")
        return cls(path.parent.parent, path.parent.name, int(seed)) if seed.isdecimal() else None

    @classmethod
    def of_weights(cls, path: Path) -> "RunFolder":
        """The run whose folder a file of weights lies in. Raises UserError if it lies in none."""
        # As it is named first, for a run's folder may be a link to another place.
        found = (cls.at(file.parent.parent) for file in (path.absolute(), path.resolve()))
        folder = next((run for run in found if run is not None and run.settings.is_file()), None)
        if folder is None:
            raise UserError(
                f"{path} lies in no run's folder: {SETTINGS}, beside its folder {WEIGHTS}/, has to "
                "say what it was trained on."
            )
        return folder


class TestFolder:
    """The folder of one test, below a run's tests/, and its files."""

    __test__ = False  # pytest takes every class called Test… for tests

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / RECORD
        self.per_image = path / "per_image.csv"
        self.file_report = path / FILE_REPORT
        self.figure = path / "figure.png"
        self.objects = path / "objects.csv"
        self.calibration = path / "calibration.png"
        self.outputs_record = path / "colorized.json"
        self.lock = path / LOCK
        self.images = path / IMAGES
        self.partial_scores = path / ".scores"
        self.outputs = (self.images, path / SAMPLES, path / FRAMES)
        scores = (self.per_image, self.file_report, self.figure, self.objects, self.calibration)
        self.written = (
            self.record,
            *self.outputs,
            self.outputs_record,
            *scores,
            self.partial_scores,
        )
        """All that a test writes, run.json first: without it the rest is no result."""

    @staticmethod
    def sample_folder(sample: Sample) -> str:
        """The folder of a sample's images, relative to the test's: the first is the one ranked."""
        return IMAGES if sample == 0 else f"{SAMPLES}/{sample}"

    def sample_folders(self) -> list[Path]:
        """The folders of all samples that there are, and whatever else lies beside them."""
        return [self.images, *sorted((self.path / SAMPLES).glob("*"))]

    def frames(self, name: str) -> tuple[Path, Path]:
        """The strip and the animation of an image's sampling; `name` is its file's name."""
        stem = self.path / FRAMES / name.removesuffix(".png")
        return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.webp")

    def run(self) -> RunFolder:
        """The run that this is a test of. Raises UserError if the folder lies in none."""
        found = (RunFolder.at(p.parent.parent) for p in (self.path.absolute(), self.path.resolve()))
        folder = next((run for run in found if run is not None), None)
        if folder is None:
            raise UserError(f"{self.path} lies in no run's folder, Results/<run>/seed-<N>/tests/.")
        return folder

    @classmethod
    def all_below(cls, results: Path) -> Iterator["TestFolder"]:
        """Every finished test of a results folder, by name."""
        for path in sorted(results.glob(f"*/seed-*/{TESTS}/*/{RECORD}")):
            yield cls(path.parent)

    @classmethod
    def named(cls, run: str, results: Path) -> list["TestFolder"]:
        """The tests of a run: by its name, its folder, or the folder of one test.

        Raises UserError if there is none.
        """
        folder = results / run if (results / run).is_dir() else Path(run)
        tests = f"{TESTS}/*/{RECORD}"
        patterns = (RECORD, tests, f"seed-*/{tests}")
        found = sorted(path.parent for pattern in patterns for path in folder.glob(pattern))
        if not found:
            raise UserError(f"There is no {RECORD} in {folder}: name a run, its folder or a test.")
        return [cls(path) for path in found]
