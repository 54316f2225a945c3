"""Loading of the images for training, for validation and for the test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Statistics
from benchmark.console import info, shorten
from benchmark.data.augmentation import stored_size
from benchmark.data.cache import Cache, ImageSet
from benchmark.data.copies import exact_copies, near_copies
from benchmark.data.manifest import DIGESTS, Digests, ImageFile, digest_of
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import is_grayscale
from benchmark.data.report import FileReport
from benchmark.data.shortage import WORDS, SplitCounts, require_images
from benchmark.data.sources import Sources
from benchmark.data.split_names import Split, splits_in
from benchmark.data.splits import HELD_OUT, Splits, split, warn_of_splits_in_test
from benchmark.metrics.images import colorfulness
from benchmark.results.records import TrainingRecord, TrainingSet
from benchmark.settings import Settings

FEW = 200  # image files; more leave some that can be used in every split
MOST_VALIDATION_IMAGES = 512  # more would take time in each epoch and not make it more certain


@dataclass(frozen=True)
class TrainingData:
    """The images of a training.

    train: images at `stored_size` of the training size, with a margin for crops. val: images for
    validation, at the training size. statistics: those of ab over `train`. training_set: what a run
    records of the images. train_digests, train_contents: SHA-256 of each file of `train`, and of
    its decoded pixels. report: what is left out, of all splits.
    """

    train: ImageSet
    val: ImageSet
    statistics: Statistics
    training_set: TrainingSet
    train_digests: list[str]
    train_contents: list[str]
    report: FileReport


@dataclass(frozen=True)
class _Loaded:
    """Decoded splits. found: the number of image files before any was left out. passed_over: of
    the dataset and of the folder of test images."""

    splits: Splits
    sets: dict[str, ImageSet]
    failures: dict[str, dict[str, str]]
    passed_over: dict[str, str]
    found: int

    def found_in(self, key: Split) -> int:
        """The number of a split's files, with those that cannot be used."""
        return len(self.sets[key]) + len(self.failures[key])

    def report(self) -> FileReport:
        """What there is to say of the files of these splits."""
        failures = {name: why for part in self.failures.values() for name, why in part.items()}
        notes = {name: why for part in self.sets.values() for name, why in part.notes.items()}
        return FileReport(failures, notes, self.passed_over)


def load_training(sources: Sources, settings: Settings, *, is_tested: bool = False) -> TrainingData:
    """Load the images for training and validation as the settings ask.

    Test images are loaded too, so that no copy of one is trained on. Messages name what is left
    out. is_tested: whether a test is to follow. UserError if a split has no image.
    """
    size = settings.size
    stored = stored_size(size, settings.augmentation)
    sides = {"train": stored, "val": size, "test": size, "reserved": size}
    squares = {name: Preprocessing(side) for name, side in sides.items()}
    needed: list[Split] = ["train", "val", "test"] if is_tested else ["train", "val"]
    loaded = _load(sources, settings.split_seed, squares)
    sets, splits = loaded.sets, loaded.splits
    _show_splits(sources, loaded)
    tests = (sets["test"], sets["reserved"])
    val = _drop_copies(sets["val"], "validation", tests, "the test")
    train = _drop_copies(sets["train"], "training", tests, "the test")
    train = _drop_copies(train, "training", [val], "validation")
    _warn_of_near_copies(train, "training", sets["test"])
    _warn_of_near_copies(val, "validation", sets["test"])
    n_own, train = len(train), _drop_grayscale(train, settings)
    n_test = len(sets["test"])
    counts: dict[Split, SplitCounts] = {
        "train": SplitCounts(loaded.found_in("train"), len(sets["train"]), n_own, len(train)),
        "val": SplitCounts(loaded.found_in("val"), len(sets["val"]), len(val), len(val)),
        "test": SplitCounts(loaded.found_in("test"), n_test, n_test, n_test),
    }
    require_images(sources, splits, loaded.found, counts, needed)
    statistics = measure(train)
    training_set = TrainingSet(
        name=sources.name,
        n_train=len(train),
        n_val=len(val),
        n_unusable=len(loaded.failures["train"]) + len(loaded.failures["val"]),
        manifest=digest_of(train.files + val.files),
        ab_mean=list(statistics.ab_mean),
    )
    # Ordered by content, so that the first images are the same whatever the files are called.
    order = sorted(range(len(val)), key=lambda row: val.files[row].digest)
    return TrainingData(
        train=train,
        val=val.select(order[:MOST_VALIDATION_IMAGES]),
        statistics=statistics,
        training_set=training_set,
        train_digests=sorted(image.digest for image in train.files),
        train_contents=sorted(train.contents),
        report=loaded.report(),
    )


def load_test(
    sources: Sources,
    preprocessing: Preprocessing,
    split_seed: int,
    *,
    cached: bool = True,
    quiet: bool = False,
) -> ImageSet:
    """Load the test images as squares, grayscale ones included.

    cached: whether the cache of decoded images and of digests may be used and written. quiet:
    whether the messages about these images were shown before. UserError if there are none.
    """
    loaded = _load(sources, split_seed, {"test": preprocessing}, cached=cached)
    images, splits = loaded.sets["test"], loaded.splits
    if not quiet:
        _show_splits(sources, loaded, only="test")
    counts: dict[Split, SplitCounts] = {
        "train": SplitCounts.of_files(len(splits.train)),
        "val": SplitCounts.of_files(len(splits.val)),
        "test": SplitCounts(loaded.found_in("test"), *[len(images)] * 3),
    }
    require_images(sources, splits, loaded.found, counts, ["test"])
    return replace(images, failures=loaded.failures["test"], passed_over=loaded.passed_over)


def _load(
    sources: Sources,
    split_seed: int,
    squares: Mapping[str, Preprocessing],
    *,
    cached: bool = True,
) -> _Loaded:
    """Decode the named splits, each as squares of its own.

    A few files are split without those that cannot be used, so that each split gets one that can,
    and copies of an image in several formats are held out together.
    """
    digests = Digests(sources.cache / DIGESTS if cached else None)
    dataset, tests = sources.images(digests), sources.tests(digests)
    digests.save()
    cache = Cache(sources.cache if cached else None)
    files, reasons, contents = dataset.files, dict[ImageFile, str](), dict[str, str]()
    failures: dict[str, str] = {}
    if len(files) <= FEW:
        decoded = cache.load(files, max(squares.values(), key=lambda square: square.size))
        pairs = zip(decoded.files, decoded.contents, strict=True)
        contents = {file.digest: content for file, content in pairs}
        failures = decoded.failures
    all_splits = splits = split(files, tests.files, split_seed, contents)
    if failures:
        kept = _without_replacement(all_splits)
        reasons = {
            file: failures[file.name]
            for file in files
            if file.name in failures and file not in kept
        }
    if reasons:
        drawn_from = [file for file in files if file not in reasons]
        splits = split(drawn_from, tests.files, split_seed, contents)
    sets, unusable = {}, {}
    for name, preprocessing in squares.items():
        sets[name] = cache.load(getattr(splits, name), preprocessing)
        left_out: list[ImageFile] = getattr(all_splits, name)
        unusable[name] = {file.name: reasons[file] for file in left_out if file in reasons}
        unusable[name] |= sets[name].failures
    cache.show_growth()
    passed_over = dataset.passed_over | tests.passed_over
    return _Loaded(splits, sets, unusable, passed_over, len(files) + len(tests.files))


def _without_replacement(splits: Splits) -> set[ImageFile]:
    """The files of validation and test folders: where they cannot be used, no others are drawn."""
    given = {*splits.reserved}
    given |= {*splits.val} if splits.origins["val"] != HELD_OUT else set()
    return given | ({*splits.test} if splits.origins["test"] != HELD_OUT else set())


def _show_splits(sources: Sources, loaded: _Loaded, only: Split | None = None) -> None:
    """Say how many images each split has and why, and what was left out or may be meant
    otherwise."""
    splits = loaded.splits
    parts: dict[Split, list[ImageFile]]
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    shown = [only] if only else [*parts]
    kinds = Counter(Path(image.name).suffix.lower() for key in shown for image in parts[key])
    formats = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    counts = [f"{len(parts[key])} for {WORDS[key]}{_origin(splits, key)}" for key in shown]
    info(f"Images of {sources.name} ({formats or 'none'}): {', '.join(counts)}.")
    for warning in splits.warnings:
        info(f"Warning: {warning}")
    for key in shown:
        unread = [name for name in loaded.passed_over if key in splits_in(name.rpartition("/")[0])]
        if splits.origins.get(key) == HELD_OUT and unread:
            info(
                f"Warning: no file of the folder for {WORDS[key]} is an image that is read "
                f"({shorten(unread)}), so images are held out for it."
            )
    if sources.named_test_images is not None:
        warn_of_splits_in_test(sources.named_test_images, splits.test)
    loaded.report().show()


def _origin(splits: Splits, key: Split) -> str:
    return f" ({splits.origins[key]})" if key in splits.origins else ""


def _drop_copies(
    images: ImageSet, purpose: str, others: Sequence[ImageSet], place: str
) -> ImageSet:
    """Return `images` without those that are in other sets too, which a message names."""
    copies: dict[int, str] = {}
    for other in others:
        found = exact_copies(images, other)
        copies |= {row: other.files[there].name for row, there in found.items()}
    if not copies:
        return images
    named = [f"{images.files[row].name} (as {name})" for row, name in sorted(copies.items())]
    info(
        f"Warning: images of {purpose} that are in {place} too and were dropped from {purpose} "
        f"({len(copies)}): {shorten(named)}."
    )
    return images.select([row for row in range(len(images)) if row not in copies])


def _warn_of_near_copies(images: ImageSet, purpose: str, test: ImageSet) -> None:
    """Name the test images that look like one of `images`."""
    pairs = [
        f"{test.files[row].name} and {images.files[other].name}"
        for row, other in near_copies(test, images)
    ]
    if pairs:
        info(
            f"Warning: images of the test that look like images of {purpose} and may be copies of "
            f"them ({len(pairs)}): {shorten(pairs)}. Remove one of each pair if they are."
        )


def measure(images: ImageSet, most: int = 1000) -> Statistics:
    """Measure the statistics by which ab is standardized, over at most `most` images.

    They are the mean and the standard deviation of a* and b*, and the 99.9th percentile of the
    absolute standardized values. The images are spread evenly over all.
    """
    rows = torch.linspace(0, len(images) - 1, min(most, len(images))).long()
    chunks = [
        rgb_to_lab(rgb_from_8bit(images.rgb8[part.tolist()]))[:, 1:]
        for part in torch.split(rows, 100)
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
    gray = [is_grayscale(rgb8.numpy()) for rgb8 in images.rgb8]
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
    return images.select([row for row, kept in enumerate(keep) if kept])


def overlap(images: ImageSet, trained: TrainingRecord) -> list[str]:
    """Return the names of the test images that were trained on, by file or by decoded pixels."""
    known = {*trained.train_digests, *trained.train_contents}
    contents = images.contents or [""] * len(images)
    pairs = zip(images.files, contents, strict=True)
    return [file.name for file, content in pairs if not known.isdisjoint((file.digest, content))]
