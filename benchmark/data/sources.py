"""The folders and files of arrays that images are taken from, and the built-in sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmark.console import info, progress
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.finding import describe_passed_over, list_folder, require_image_files
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
    selection: chooses from the names of the files of `test_images`; None for all. unpacked_from:
    the file of arrays that a folder was unpacked from, for those that were.
    """

    name: str
    dataset: Path
    test_images: Path | None
    cache: Path
    is_sample: bool = False
    selection: Selection | None = None
    unpacked_from: Mapping[Path, Path] = field(default_factory=dict)

    def given(self, folder: Path) -> Path:
        """Return what the user named: the folder, or the file that it was unpacked from."""
        return self.unpacked_from.get(folder, folder)

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
        tests = self.given(self.test_images) if self.test_images else None
        return ImageSources(
            dataset=SAMPLE if self.is_sample else str(self.given(self.dataset).resolve()),
            test_images=str(tests.resolve()) if tests else None,
        )


def _scan(folder: Path, digests: Digests, selection: Selection | None = None) -> Manifest:
    found = scan(folder, digests, selection)
    if folder.resolve() in (DATASET, TEST_IMAGES):  # they hold a file of the project itself
        found.passed_over.pop("README.md", None)
    return found


def _holds_images(folder: Path) -> bool:
    """Whether one of the project's own folders holds images; files that are not read are named."""
    found = list_folder(folder)
    found.passed_over.pop("README.md", None)
    if not found.images and found.passed_over:
        others = describe_passed_over(found.passed_over)
        info(f"Warning: {folder.name}/ holds no image that is read, but {others}.")
    return bool(found.images)


def locate(dataset: str | None, test_images: str | None, results: Path) -> Sources:
    """Return the folders that `--dataset` and `--test_images` name, by default the project's own.

    A file of arrays is unpacked into the cache. The word `cartoon` stands for the built-in sample,
    which is also used if nothing is named and `Dataset/` holds no images. UserError for a folder or
    file that does not exist or holds no image.
    """
    cache = results / ".cache"
    unpacked_from = dict[Path, Path]()
    folder, tests = DATASET, None
    if dataset and dataset != SAMPLE:
        folder = _open("--dataset", Path(dataset), cache, unpacked_from)
    if test_images:
        tests = _open("--test_images", Path(test_images), cache, unpacked_from)
    elif _holds_images(TEST_IMAGES):
        tests = TEST_IMAGES
    if dataset == SAMPLE or (dataset is None and not _holds_images(DATASET)):
        if dataset is None:
            info(f"{DATASET.name}/ holds no images: the built-in sample, {SAMPLE}, is used.")
        folder = cache / f"{SAMPLE}-v{cartoon.VERSION}"
        _draw_sample(folder)
        return Sources(SAMPLE, folder, tests, cache, is_sample=True, unpacked_from=unpacked_from)
    if results.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"--results {results} lies in the dataset {folder}, whose images would be those that "
            "models color: name a folder elsewhere."
        )
    if folder in unpacked_from and not test_images:
        _mention_test_file(unpacked_from[folder])
    name = _name_of(folder, unpacked_from)
    return Sources(name, folder, tests, cache, unpacked_from=unpacked_from)


def _open(what: str, path: Path, cache: Path, unpacked_from: dict[Path, Path]) -> Path:
    """Return a folder that was named by `what`, or that of the images of a file of arrays, which is
    noted in `unpacked_from`. UserError if there is none or it holds no image."""
    if not is_npz(path):
        require_image_files(what, path)
        return path
    folder = unpack(what, path, cache)
    unpacked_from[folder] = path
    return folder


def _name_of(folder: Path, unpacked_from: Mapping[Path, Path]) -> str:
    return unpacked_from[folder].stem if folder in unpacked_from else folder.resolve().name


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
    _open(option, Path(truth), results / ".cache", {})  # for the option's name in an error
    return locate(truth, truth, results)


def locate_folder(option: str, folder: Path, results: Path) -> Sources:
    """Return a folder of which every image is taken, such as exemplars.

    UserError, which names the option, if it does not exist or holds no image.
    """
    cache, unpacked_from = results / ".cache", dict[Path, Path]()
    images = _open(option, folder, cache, unpacked_from)
    name = _name_of(images, unpacked_from)
    return Sources(name, images, images, cache, unpacked_from=unpacked_from)


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
