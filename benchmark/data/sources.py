"""The folders and files of arrays that images are taken from, and the built-in sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmark.console import info, progress
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.finding import describe_passed_over, list_folder, require_image_files
from benchmark.data.importing.destination import RECORD
from benchmark.data.manifest import Digests, Manifest, Selection, scan
from benchmark.data.unpacking import is_npz, unpack
from benchmark.errors import UserError
from benchmark.files import ROOT
from benchmark.results.records import ImageSources

DATASET, TEST_IMAGES = ROOT / "Dataset", ROOT / "TestImages"
SAMPLE = "cartoon"
TEST_FILE = "test.npz"


@dataclass(frozen=True)
class Sources:
    """The folders from which images are loaded.

    name: the name of the dataset. dataset: the folder of images for training, validation and, if
    test_images is None, for tests. test_images: a separate folder of test images, or None.
    cache: the folder of decoded images. is_sample: whether the dataset is the built-in sample.
    selection: chooses from the names of the files of `test_images`; None for all. dataset_file,
    test_file: the files of arrays that the two folders were unpacked from, or None.
    """

    name: str
    dataset: Path
    test_images: Path | None
    cache: Path
    is_sample: bool = False
    selection: Selection | None = None
    dataset_file: Path | None = None
    test_file: Path | None = None

    @property
    def named_dataset(self) -> Path:
        """What the user named as the dataset: its folder, or the file of arrays."""
        return self.dataset_file or self.dataset

    @property
    def named_test_images(self) -> Path | None:
        """What the user named as the test images: their folder, or the file of arrays; or None."""
        return self.test_file or self.test_images

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
        tests = self.named_test_images
        return ImageSources(
            dataset=SAMPLE if self.is_sample else str(self.named_dataset.resolve()),
            test_images=str(tests.resolve()) if tests else None,
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


def cache_of(results: Path) -> Path:
    """The folder of what can be made again, such as decoded images, below a results folder."""
    return results / ".cache"


def locate(dataset: str | None, test_images: str | None, results: Path) -> Sources:
    """Return the folders that `--dataset` and `--test_images` name, by default the project's own.

    A file of arrays is unpacked into the cache. The word `cartoon` stands for the built-in sample,
    which is also used if nothing is named and `Dataset/` holds no images. UserError for a folder or
    file that does not exist or holds no image.
    """
    cache = cache_of(results)
    folder, file, tests, test_file = DATASET, None, None, None
    if dataset and dataset != SAMPLE:
        folder, file = _open("--dataset", Path(dataset), cache)
    if test_images:
        tests, test_file = _open("--test_images", Path(test_images), cache)
    elif _holds_images(TEST_IMAGES):
        tests = TEST_IMAGES
    if dataset == SAMPLE or (dataset is None and not _holds_images(DATASET)):
        if dataset is None:
            info(f"{DATASET.name}/ holds no images: the built-in sample, {SAMPLE}, is used.")
        folder = cache / f"{SAMPLE}-v{cartoon.VERSION}"
        _draw_sample(folder)
        return Sources(SAMPLE, folder, tests, cache, is_sample=True, test_file=test_file)
    if results.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"--results {results} lies in the dataset {folder}, whose images would be those that "
            "models color: name a folder elsewhere."
        )
    if file is not None and not test_images:
        _mention_test_file(file)
    name = _name_of(folder, file)
    return Sources(name, folder, tests, cache, dataset_file=file, test_file=test_file)


def _open(what: str, path: Path, cache: Path) -> tuple[Path, Path | None]:
    """Return the folder of the images that `what` names, and the file that it was unpacked from.

    UserError if there is none or it holds no image.
    """
    if is_npz(path):
        return unpack(what, path, cache), path
    if path.is_file():
        raise UserError(f"{what}: {path} is no folder and no .npz file; name one of these.")
    require_image_files(what, path)
    return path, None


def _name_of(folder: Path, file: Path | None) -> str:
    return folder.resolve().name if file is None else file.stem


def _mention_test_file(path: Path) -> None:
    """Say that a file of test images lies beside that of a dataset, which is not read by itself."""
    beside = path.with_name(TEST_FILE)
    if beside != path and beside.is_file():
        info(f"{beside} is not used: to test on its images, name it with --test_images.")


def locate_test(
    dataset: str | None, truth: str | None, results: Path, option: str = "--truth"
) -> Sources:
    """Return the folders of a test without a training, for which `truth` alone is enough.

    option: the one that names `truth`.
    """
    if truth is None or truth == SAMPLE:
        return locate(dataset or truth, None, results)
    _open(option, Path(truth), cache_of(results))  # for the option's name in an error
    return locate(truth, truth, results)


def locate_folder(option: str, folder: Path, results: Path) -> Sources:
    """Return a folder of which every image is taken, such as exemplars.

    UserError, which names the option, if it does not exist or holds no image.
    """
    cache = cache_of(results)
    images, file = _open(option, folder, cache)
    name = _name_of(images, file)
    return Sources(name, images, images, cache, dataset_file=file, test_file=file)


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
