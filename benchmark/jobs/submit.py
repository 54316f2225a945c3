"""Images that another program colored: scored like a model's, in a run's folder of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from benchmark.color import (
    join,
    lightness_to_rgb,
    rgb_from_8bit,
    rgb_to_8bit,
    rgb_to_lab,
    rgb_to_lightness,
)
from benchmark.console import info, shorten
from benchmark.data.cache import ImageSet
from benchmark.data.loading import load_test
from benchmark.data.pairs import images_by_name
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import UnusableImage, read_square, read_whole
from benchmark.data.report import FileReport
from benchmark.data.sources import Sources
from benchmark.errors import UserError
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import test_baselines
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.outputs import Outputs, file_names
from benchmark.files import replacing
from benchmark.leaderboard import formats, write
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import RunFolder, TestFolder, require_run_name
from benchmark.results.outsider import OutsiderFacts
from benchmark.results.records import RunRecord, Submission, SubmissionRecord
from benchmark.results.schema import write_record
from benchmark.settings import Settings

SPLIT_SEED: int = Settings.model_fields["split_seed"].default


@dataclass(frozen=True)
class Entry:
    """The images that are handed in: a folder, the name of their row, and how they are prepared.

    seed: of the program's run; runs of one name with several seeds become one row. samples: of each
    image; several lie in the folders 0, 1, … of `folder`. facts: what is known of the program.
    """

    folder: Path
    name: str
    seed: int
    resize: bool
    lightness: Literal["own", "input"]
    samples: int = 1
    facts: OutsiderFacts | None = None

    def folders(self) -> list[Path]:
        """The folder of each sample. Raises UserError unless there are as many as `samples`."""
        if self.samples == 1:
            return [self.folder]
        if (self.folder / f"{self.samples}").is_dir():
            raise UserError(
                f"{self.folder} holds more samples than --samples {self.samples}: it has a folder "
                f"{self.samples}, and the first sample is in the folder 0."
            )
        return [self.folder / f"{sample}" for sample in range(self.samples)]


def export_inputs(out: Path, sources: Sources, test_images: TestImages) -> int:
    """Write the test's inputs for another program: gray PNG files; returns how many.

    An output is later looked for under the name of its input.
    """
    try:
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:  # for example a name that is too long
        reason = error.strerror or error
        raise UserError(f"{out} cannot be used ({reason}): name a new folder.") from error
    if taken:
        raise UserError(f"{out} exists and is no empty folder: name a new folder for the inputs.")
    images = load_test_images(sources, test_images)
    for name, rgb8 in zip(file_names(images), images.rgb8, strict=True):
        gray = lightness_to_rgb(rgb_to_lightness(rgb_from_8bit(rgb8[None])))[0]
        one_channel = rgb_to_8bit(gray.mean(dim=0))  # the three differ by rounding
        with replacing(out / name) as part:
            Image.fromarray(one_channel.numpy()).save(part, format="PNG")
    return len(images)


def submit(
    entry: Entry, sources: Sources, test_images: TestImages, results: Path, suite: MetricSuite
) -> RunRecord:
    """Score a folder against the test images and give it a row. Raises UserError for bad input."""
    require_run_name("--name", entry.name)
    folder = RunFolder(results, entry.name, entry.seed)
    require_untrained(f"--name {entry.name}", folder)
    images = load_test_images(sources, test_images)
    samples = [match(sample, images) for sample in entry.folders()]
    for files in samples:
        for _ in read_outputs(files, images, entry, test_images.preprocessing):
            pass  # every image is checked before any is written
    setup = evaluate.prepare(images, sources.name, test_images, suite=suite, cache=sources.cache)
    test_baselines(results, setup, None)
    candidate = evaluate.Candidate(
        folder,
        entry.name,
        kind="submitted",
        submission=Submission(lightness=entry.lightness, resized=entry.resize),
        outsider=entry.facts,
    )
    outputs = Outputs(setup.folder(candidate), images)
    with evaluate.lock(outputs.folder):
        preprocessing = test_images.preprocessing
        outputs.take([read_outputs(files, images, entry, preprocessing) for files in samples])
        write_submission(folder, sources)
        record = evaluate.score_outputs(candidate, outputs, setup)
        show_row(results, setup, outputs.folder)  # before another process may replace the row
    return record


def load_test_images(sources: Sources, test_images: TestImages) -> ImageSet:
    """Load the images of a test without a training. Raises UserError for a wrong folder."""
    images = load_test(test_images.chosen_from(sources), test_images.preprocessing, SPLIT_SEED)
    test_images.require_complete(images)
    return images


def require_untrained(what: str, folder: RunFolder) -> None:
    """Raise UserError, which begins with `what`, if a run's folder holds a training."""
    if folder.settings.exists() or folder.weights.exists():
        raise UserError(f"{what}: {folder.path} is a run that was trained here.")


def write_submission(folder: RunFolder, sources: Sources) -> None:
    """Record in a run's folder that its images are of another program, and what they show."""
    submission = SubmissionRecord(model=folder.run, images=sources.record())
    write_record(folder.submission, submission)


def show_row(results: Path, setup: evaluate.TestSetup, folder: TestFolder) -> None:
    """Finish a test of another program: list its files, write the leaderboard, print the table."""
    FileReport.of(setup.images).write(folder.file_report)
    print(formats.markdown(write(results).for_protocol(setup.protocol.hash)))
    info(f"The images, the figure and the scores are in {folder.path}.")


def match(folder: Path, images: ImageSet) -> list[Path]:
    """Find the file of each test image, by its name without the suffix.

    An image of a sub-folder may have its name there or the name that `export_inputs` gave it, with
    __ for /. Raises UserError that names images which are missing, superfluous or ambiguous.
    """
    found = images_by_name(folder)
    matched: list[Path] = []
    missing: list[str] = []
    for image, name in zip(images.files, file_names(images), strict=True):
        stems = (Path(name).stem, Path(image.name).with_suffix("").as_posix())
        known = next((stem for stem in stems if stem in found), None)
        if known is None:
            missing.append(Path(name).stem)
        else:
            matched.append(found.pop(known))
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of {len(images)} test images: {shorten(missing)}."
        )
    if found:
        raise UserError(
            f"{folder} holds {len(found)} images that are not of the test: {shorten(list(found))}."
        )
    return matched


def read_outputs(
    files: Sequence[Path], images: ImageSet, entry: Entry, preprocessing: Preprocessing
) -> Iterator[Tensor]:
    """Yield the outputs to be scored, sRGB (3, S, S). Raises UserError for one of another size."""
    for path, truth8 in zip(files, images.rgb8, strict=True):
        rgb = rgb_from_8bit(_read(path, preprocessing, entry.resize))
        if entry.lightness == "input":
            lightness = rgb_to_lightness(rgb_from_8bit(truth8[None]))
            rgb = join(lightness, rgb_to_lab(rgb[None])[:, 1:])[0]
        yield rgb


def _read(path: Path, preprocessing: Preprocessing, resize: bool) -> Tensor:
    if resize:
        try:
            return torch.from_numpy(read_square(path, preprocessing))
        except UnusableImage as error:
            raise UserError(f"{path} cannot be used: {error}.") from error
    image = torch.from_numpy(read_whole(path))
    (height, width), size = image.shape[1:], preprocessing.size
    if (height, width) != (size, size):
        raise UserError(
            f"{path} is {width}×{height}, and the test is {size}×{size}: color the inputs that "
            "`main.py inputs` writes, or ask for --resize, which prepares outputs as the test's "
            "images are prepared."
        )
    return image
