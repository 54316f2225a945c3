"""Loading of images from the folders that a user names, for training and for tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Statistics
from benchmark.console import info, progress, shorten
from benchmark.data.augmentation import stored_size
from benchmark.data.cache import Cache, ImageSet
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.finding import find_images
from benchmark.data.manifest import Digests, ImageFile, Splits, digest_of, scan, split
from benchmark.data.reading import Preprocessing, is_grayscale
from benchmark.errors import UserError
from benchmark.files import ROOT
from benchmark.metrics.images import colorfulness
from benchmark.results.records import ImageSources, TrainingSet
from benchmark.settings import Settings

DATASET, TEST_IMAGES = ROOT / "Dataset", ROOT / "TestImages"
SAMPLE = "cartoon"
MOST_VALIDATION_IMAGES = 512  # more would take time in each epoch and not make it more certain


@dataclass(frozen=True)
class Sources:
    """The folders from which images are loaded.

    name: the name of the dataset. dataset: the folder of images for training, validation and, if
    test_images is None, for tests. test_images: a separate folder of test images, or None.
    cache: the folder of decoded images. is_sample: whether the dataset is the built-in sample.
    """

    name: str
    dataset: Path
    test_images: Path | None
    cache: Path
    is_sample: bool = False

    def record(self) -> ImageSources:
        """Return what `locate` needs to find the same images again, as a run records it."""
        return ImageSources(
            dataset=SAMPLE if self.is_sample else str(self.dataset.resolve()),
            test_images=str(self.test_images.resolve()) if self.test_images else None,
        )


@dataclass(frozen=True)
class TrainingData:
    """The images of a training.

    train: images at `stored_size` of the training size, with a margin for crops. val: images for
    validation, at the training size. statistics: those of ab over `train`. training_set: what a run
    records of the images. train_digests: SHA-256 of each file of `train`.
    """

    train: ImageSet
    val: ImageSet
    statistics: Statistics
    training_set: TrainingSet
    train_digests: list[str]


def has_images(folder: Path) -> bool:
    """Whether there is a folder with an image file somewhere below it."""
    return folder.is_dir() and next(find_images(folder), None) is not None


def locate(dataset: str | None, test_images: str | None, results: Path) -> Sources:
    """Return the folders that `--dataset` and `--test_images` name, by default the project's own.

    The word `cartoon` stands for the built-in sample, which is also used if nothing is named and
    `Dataset/` holds no images. UserError for a folder that does not exist or holds no image.
    """
    cache = results / ".cache"
    for option, given in (("--dataset", dataset), ("--test_images", test_images)):
        if given and given != SAMPLE:
            _require_images(option, Path(given))
    tests = Path(test_images) if test_images else None
    if tests is None and has_images(TEST_IMAGES):
        tests = TEST_IMAGES
    if dataset == SAMPLE or (dataset is None and not has_images(DATASET)):
        if dataset is None:
            info(f"{DATASET.name}/ holds no images: the built-in sample, {SAMPLE}, is used.")
        folder = cache / f"{SAMPLE}-v{cartoon.VERSION}"
        _draw_sample(folder)
        return Sources(SAMPLE, folder, tests, cache, is_sample=True)
    folder = Path(dataset) if dataset else DATASET
    return Sources(folder.resolve().name, folder, tests, cache)


def _require_images(option: str, folder: Path) -> None:
    if not has_images(folder):
        exists = folder.is_dir()
        problem = "holds no image; add some" if exists else "does not exist; check the path"
        raise UserError(f"{option}: the folder {folder} {problem}.")


def locate_test(dataset: str | None, truth: str | None, results: Path) -> Sources:
    """Return the folders of a test without a training, for which `--truth` alone is enough."""
    if truth is None or truth == SAMPLE:
        return locate(dataset or truth, None, results)
    _require_images("--truth", Path(truth))
    return locate(truth, truth, results)


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


def splits_of(sources: Sources, split_seed: int) -> Splits:
    """Split the images of the folders into those for training, validation and test, by content."""
    digests = Digests(sources.cache / "digests.json")
    images = scan(sources.dataset, digests)
    if sources.is_sample:  # the masks below scenes/ are image files, too, but not of the dataset
        images = [image for image in images if not image.name.startswith("scenes/")]
    tests = scan(sources.test_images, digests) if sources.test_images else []
    digests.save()
    return split(images, tests, split_seed)


def load_training(sources: Sources, settings: Settings) -> TrainingData:
    """Load the images for training and validation as the settings ask.

    Messages name what is left out. UserError if no image is left for one of the two.
    """
    splits = splits_of(sources, settings.split_seed)
    for warning in splits.warnings:
        info(f"Warning: {warning}")
    cache = Cache(sources.cache)
    train = cache.load(splits.train, Preprocessing(stored_size(settings.size)))
    val = cache.load(splits.val, Preprocessing(settings.size))
    _report_failures(train.failures | val.failures)
    train = _drop_grayscale(train, settings)
    if not len(train):
        raise UserError(
            f"{sources.dataset} holds no image that can be trained on: add images in color."
        )
    if not len(val):
        raise UserError(f"{sources.dataset} leaves no image for validation: add more images.")
    statistics = measure(train)
    training_set = TrainingSet(
        name=sources.name,
        n_train=len(train),
        n_val=len(val),
        n_unusable=len(train.failures) + len(val.failures),
        manifest=digest_of(train.files + val.files),
        ab_mean=list(statistics.ab_mean),
    )
    train_digests = sorted(image.digest for image in train.files)
    # Ordered by content, so that the first images are the same whatever the files are called.
    order = sorted(range(len(val)), key=lambda row: val.files[row].digest)
    rows = order[:MOST_VALIDATION_IMAGES]
    val = ImageSet([val.files[row] for row in rows], val.rgb8[rows], val.failures)
    return TrainingData(train, val, statistics, training_set, train_digests)


def load_test(sources: Sources, size: int, split_seed: int, *, cached: bool = True) -> ImageSet:
    """Load the test images at `size` pixels, grayscale ones included.

    cached: whether decoded images are taken from the cache and put there. UserError if there are
    none.
    """
    cache, files = Cache(sources.cache), splits_of(sources, split_seed).test
    images = cache.load(files, Preprocessing(size), packs=cached)
    _report_failures(images.failures)
    if not len(images):
        folder = sources.test_images or sources.dataset
        raise UserError(
            f"{folder} holds no image to test on: add images, or name a folder with --test_images."
        )
    return images


def measure(images: ImageSet, most: int = 1000) -> Statistics:
    """Measure the statistics by which ab is standardized, over at most `most` images.

    They are the mean and the standard deviation of a* and b*, and the 99.9th percentile of the
    absolute standardized values. The images are spread evenly over all.
    """
    rows = torch.linspace(0, len(images) - 1, min(most, len(images))).long()
    chunks = [
        rgb_to_lab(rgb_from_8bit(images.rgb8[part]))[:, 1:] for part in torch.split(rows, 100)
    ]
    ab = torch.cat(chunks).transpose(0, 1).flatten(1)
    # A deviation below 1 is that of nearly gray images, whose noise must not be amplified.
    mean, std = ab.mean(1), ab.std(1).clamp(min=1.0)
    standardized = ((ab - mean[:, None]) / std[:, None]).abs().flatten()
    # The k-th smallest value is the quantile; torch.quantile refuses more than 16 million values.
    limit = standardized.kthvalue(max(1, round(0.999 * len(standardized)))).values
    a_mean, b_mean = mean.tolist()
    a_std, b_std = std.tolist()
    return Statistics((a_mean, b_mean), (a_std, b_std), float(limit))


def _drop_grayscale(images: ImageSet, settings: Settings) -> ImageSet:
    """Return the images that the settings allow for training, and report all others."""
    gray = [is_grayscale(rgb8) for rgb8 in images.rgb8.numpy()]
    if any(gray):
        names = [image.name for image, found in zip(images.files, gray, strict=True) if found]
        kept = "trained on, since drop_grayscale is false"
        what = "not trained on" if settings.drop_grayscale else kept
        info(f"{len(names)} grayscale files are {what}: {shorten(names)}.")
    keep = [not (found and settings.drop_grayscale) for found in gray]
    if settings.min_colorfulness:
        values = [float(colorfulness(rgb_from_8bit(one[None]))) for one in images.rgb8]
        dull = sum(value < settings.min_colorfulness for value in values)
        info(
            f"{dull} images less colorful than {settings.min_colorfulness:g} are left out, "
            "as min_colorfulness asks."
        )
        keep = [k and v >= settings.min_colorfulness for k, v in zip(keep, values, strict=True)]
    return images if all(keep) else images.select(keep)


def _report_failures(failures: dict[str, str]) -> None:
    if failures:
        listed = [f"{name} ({reason})" for name, reason in failures.items()]
        info(f"{len(failures)} files cannot be used and are left out: {shorten(listed)}.")


def overlap(images: list[ImageFile], train_digests: list[str]) -> list[str]:
    """Return the names of the test images that were trained on."""
    trained = set(train_digests)
    return [image.name for image in images if image.digest in trained]
