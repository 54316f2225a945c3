"""The folders that images are taken from, and the built-in sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmark.console import info, progress
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.finding import describe_passed_over, list_folder
from benchmark.data.importing.destination import RECORD
from benchmark.data.manifest import Digests, Manifest, Selection, scan
from benchmark.errors import UserError
from benchmark.files import ROOT
from benchmark.results.records import ImageSources

DATASET, TEST_IMAGES = ROOT / "Dataset", ROOT / "TestImages"
SAMPLE = "cartoon"


@dataclass(frozen=True)
class Sources:
    """The folders from which images are loaded.

    name: the name of the dataset. dataset: the folder of images for training, validation and, if
    test_images is None, for tests. test_images: a separate folder of test images, or None.
    cache: the folder of decoded images. is_sample: whether the dataset is the built-in sample.
    selection: chooses from the names of the files of `test_images`; None for all.
    """

    name: str
    dataset: Path
    test_images: Path | None
    cache: Path
    is_sample: bool = False
    selection: Selection | None = None

    def images(self, digests: Digests) -> Manifest:
        """List the files of the dataset."""
        found = _scan(self.dataset, digests)
        if not (self.is_sample or cartoon.is_written_in(self.dataset)):
            return found
        # Below scenes/ are the masks of the sample, which are no images of the dataset.
        files = [image for image in found.files if not image.name.startswith("scenes/")]
        return Manifest(files, {})

    def tests(self, digests: Digests) -> Manifest:
        """List the files of the separate folder of test images; none if there is no such folder."""
        if self.test_images is None:
            return Manifest([], {})
        return _scan(self.test_images, digests, self.selection)

    def record(self) -> ImageSources:
        """Return what `locate` needs to find the same images again, as a run records it."""
        return ImageSources(
            dataset=SAMPLE if self.is_sample else str(self.dataset.resolve()),
            test_images=str(self.test_images.resolve()) if self.test_images else None,
        )


def _scan(folder: Path, digests: Digests, selection: Selection | None = None) -> Manifest:
    found = scan(folder, digests, selection)
    if folder.resolve() in (DATASET, TEST_IMAGES):  # they hold a file of the project itself
        found.passed_over.pop("README.md", None)
    found.passed_over.pop(RECORD, None)
    return found


def _holds_images(folder: Path) -> bool:
    """Whether one of the project's own folders holds images; files that are not read are named."""
    found = list_folder(folder)
    for known in ("README.md", RECORD):
        found.passed_over.pop(known, None)
    if not found.images and found.passed_over:
        others = describe_passed_over(found.passed_over)
        info(f"Warning: {folder.name}/ holds no image that is read, but {others}.")
    return bool(found.images)


def locate(dataset: str | None, test_images: str | None, results: Path) -> Sources:
    """Return the folders that `--dataset` and `--test_images` name, by default the project's own.

    The word `cartoon` stands for the built-in sample, which is also used if nothing is named and
    `Dataset/` holds no images. UserError for a folder that does not exist or holds no image.
    """
    cache = results / ".cache"
    for option, given in (("--dataset", dataset), ("--test_images", test_images)):
        if given and (option, given) != ("--dataset", SAMPLE):
            _require_images(option, Path(given))
    tests = Path(test_images) if test_images else None
    if tests is None and _holds_images(TEST_IMAGES):
        tests = TEST_IMAGES
    if dataset == SAMPLE or (dataset is None and not _holds_images(DATASET)):
        if dataset is None:
            info(f"{DATASET.name}/ holds no images: the built-in sample, {SAMPLE}, is used.")
        folder = cache / f"{SAMPLE}-v{cartoon.VERSION}"
        _draw_sample(folder)
        return Sources(SAMPLE, folder, tests, cache, is_sample=True)
    folder = Path(dataset) if dataset else DATASET
    if results.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"--results {results} lies in the dataset {folder}, whose images would be those that "
            "models color: name a folder elsewhere."
        )
    return Sources(folder.resolve().name, folder, tests, cache)


def _require_images(option: str, folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{option}: the folder {folder} does not exist; check the path.")
    found = list_folder(folder)
    if not found.images:
        others = describe_passed_over(found.passed_over)
        raise UserError(
            f"{option}: the folder {folder} holds no image that is read"
            f"{f', but {others}' if others else ''}; add images."
        )


def locate_test(
    dataset: str | None, truth: str | None, results: Path, option: str = "--truth"
) -> Sources:
    """Return the folders of a test without a training, for which `truth` alone is enough.

    option: the one that names `truth`.
    """
    if truth is None or truth == SAMPLE:
        return locate(dataset or truth, None, results)
    _require_images(option, Path(truth))
    return locate(truth, truth, results)


def locate_folder(option: str, folder: Path, results: Path) -> Sources:
    """Return a folder of which every image is taken, such as exemplars.

    UserError, which names the option, if it does not exist or holds no image.
    """
    _require_images(option, folder)
    return Sources(folder.resolve().name, folder, folder, results / ".cache")


def _draw_sample(folder: Path) -> None:
    bar: tqdm[Any] = progress(None, sum(cartoon.COUNTS.values()), "drawing the sample")
    try:
        with bar:
            cartoon.write_sample(
                folder,
                counts=cartoon.COUNTS,
                on_image=lambda done, total: bar.update(done - bar.n),
            )
    except OSError as error:
        raise UserError(
            f"The built-in sample cannot be drawn into {folder} ({error.strerror or error}): "
            "make room there, or name another folder with --results."
        ) from error
