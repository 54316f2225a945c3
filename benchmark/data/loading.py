"""Loading of the images for training, for validation and for the test."""

from dataclasses import dataclass, replace

import torch

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Statistics
from benchmark.data.cache import ImageSet
from benchmark.data.decoded_splits import decode_splits, show_splits
from benchmark.data.examination import examine
from benchmark.data.manifest import digest_of
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.report import FileReport
from benchmark.data.shortage import SplitCounts, require_images
from benchmark.data.sources import Sources
from benchmark.data.split_names import Split
from benchmark.results.records import TrainingRecord, TrainingSet
from benchmark.settings import Settings

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


def load_training(sources: Sources, settings: Settings, *, is_tested: bool = False) -> TrainingData:
    """Load the images for training and validation as the settings ask.

    Test images are loaded too, so that no copy of one is trained on. Messages name what is left
    out. is_tested: whether a test is to follow. UserError if a split has no image.
    """
    examination = examine(sources, settings)
    examination.show(sources)
    needed: list[Split] = ["train", "val", "test"] if is_tested else ["train", "val"]
    examination.require(sources, needed)
    train, val = examination.train, examination.val
    statistics = measure(train)
    training_set = TrainingSet(
        name=sources.name,
        n_train=len(train),
        n_val=len(val),
        n_unusable=examination.n_unusable,
        n_near_copies=examination.n_near_copies or None,
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
        report=examination.splits.report(),
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
    loaded = decode_splits(sources, split_seed, {"test": preprocessing}, cached=cached)
    images, splits = loaded.sets["test"], loaded.splits
    if not quiet:
        show_splits(sources, loaded, only="test")
    counts: dict[Split, SplitCounts] = {
        "train": SplitCounts.of_files(len(splits.train)),
        "val": SplitCounts.of_files(len(splits.val)),
        "test": SplitCounts(loaded.found_in("test"), *[len(images)] * 3),
    }
    require_images(sources, splits, len(loaded.files), counts, ["test"])
    return replace(images, failures=loaded.failures["test"], passed_over=loaded.passed_over)


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


def overlap(images: ImageSet, trained: TrainingRecord) -> list[str]:
    """Return the names of the test images that were trained on, by file or by decoded pixels."""
    known = {*trained.train_digests, *trained.train_contents}
    contents = images.contents or [""] * len(images)
    pairs = zip(images.files, contents, strict=True)
    return [file.name for file, content in pairs if not known.isdisjoint((file.digest, content))]
