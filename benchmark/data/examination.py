"""Which images of a dataset are trained on, validated on and tested on, and why others are not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from benchmark.color import rgb_from_8bit
from benchmark.console import info, shorten
from benchmark.data.augmentation import stored_size
from benchmark.data.cache import ImageSet
from benchmark.data.copies import exact_copies, near_copies
from benchmark.data.decoded_splits import DecodedSplits, decode_splits, show_splits
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import is_grayscale
from benchmark.data.shortage import SplitCounts, require_images
from benchmark.data.sources import Sources
from benchmark.data.split_names import Split
from benchmark.metrics.images import colorfulness
from benchmark.settings import Augmentation, Truncated

Purpose = Literal["training", "validation"]
Reason = Literal["copy", "near copy", "grayscale", "dull"]
"""Why an image is not used: its pixels are those of an image of another split; it looks like one of
the test; it has no color; it has less colorfulness than the settings ask for."""


class Rules(Protocol):
    """The settings that decide which images are used. `Settings` has them all."""

    @property
    def size(self) -> int: ...
    @property
    def augmentation(self) -> Augmentation: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def drop_grayscale(self) -> bool: ...
    @property
    def drop_near_copies(self) -> bool: ...
    @property
    def min_colorfulness(self) -> float: ...
    @property
    def truncated(self) -> Truncated: ...


@dataclass(frozen=True)
class Finding:
    """An image that is not used as its folder says, or may not be meant to be.

    name: of its file. purpose: the split that it was in. other: the file that it is a copy of, in
    the split `place`. is_dropped: False if the settings keep it all the same.
    """

    name: str
    purpose: Purpose
    reason: Reason
    other: str = ""
    place: str = ""
    is_dropped: bool = True


@dataclass(frozen=True)
class Examination:
    """The images of each split that are used, and the findings on others.

    splits: all that can be decoded. train: at `stored_size` of the training size. own: the number
    of images for training that are no copies.
    """

    splits: DecodedSplits
    train: ImageSet
    val: ImageSet
    test: ImageSet
    findings: list[Finding]
    own: int

    @property
    def n_unusable(self) -> int:
        """The number of files for training and validation that cannot be decoded."""
        return len(self.splits.failures["train"]) + len(self.splits.failures["val"])

    @property
    def n_near_copies(self) -> int:
        """The number of images that were dropped since they look like one of the test."""
        return sum(one.is_dropped for one in self.findings if one.reason == "near copy")

    def show(self, sources: Sources) -> None:
        """Say what each split has and what is left out of it."""
        show_splits(sources, self.splits)
        for message in _messages(self.findings):
            info(message)

    def require(self, sources: Sources, needed: Sequence[Split]) -> None:
        """Raise UserError if a needed split has no image left, with what helps."""
        splits, sets, n_test = self.splits, self.splits.sets, len(self.test)
        n_val = len(self.val)
        counts: dict[Split, SplitCounts] = {
            "train": SplitCounts(
                splits.found_in("train"), len(sets["train"]), self.own, len(self.train)
            ),
            "val": SplitCounts(splits.found_in("val"), len(sets["val"]), n_val, n_val),
            "test": SplitCounts(splits.found_in("test"), n_test, n_test, n_test),
        }
        require_images(sources, splits.splits, len(splits.files), counts, needed)


def examine(sources: Sources, rules: Rules) -> Examination:
    """Decode the images of all splits and find those that are not to be used. Says nothing.

    Copies of test images are left out of training and validation, and those of validation out of
    training; so are those that look like a test image; then grayscale and dull images are left out
    of training, as the rules ask.
    """
    size, stored = rules.size, stored_size(rules.size, rules.augmentation)
    squares = {
        "train": Preprocessing(stored, scaled=True, truncated=rules.truncated),
        "val": Preprocessing(size, scaled=True),
        "test": Preprocessing(size),
        "reserved": Preprocessing(size),
    }
    splits = decode_splits(sources, rules.split_seed, squares)
    sets, findings = splits.sets, list[Finding]()
    tests = (sets["test"], sets["reserved"])
    val = _without(sets["val"], _copies(sets["val"], "validation", tests, "the test"), findings)
    train = sets["train"]
    train = _without(train, _copies(train, "training", tests, "the test"), findings)
    train = _without(train, _copies(train, "training", [val], "validation"), findings)
    drop = rules.drop_near_copies
    train = _without(train, _near_copies(train, "training", sets["test"], drop), findings)
    val = _without(val, _near_copies(val, "validation", sets["test"], drop), findings)
    own = len(train)
    train = _without(train, _without_color(train, rules), findings)
    return Examination(splits, train, val, sets["test"], findings, own)


def _without(images: ImageSet, found: Sequence[Finding], findings: list[Finding]) -> ImageSet:
    """Add to the findings, and return the images that are kept."""
    findings += found
    names = {one.name for one in found if one.is_dropped}
    if not names:
        return images
    return images.select([row for row, f in enumerate(images.files) if f.name not in names])


def _copies(
    images: ImageSet, purpose: Purpose, others: Sequence[ImageSet], place: str
) -> list[Finding]:
    copies: dict[int, str] = {}
    for other in others:
        found = exact_copies(images, other)
        copies |= {row: other.files[there].name for row, there in found.items()}
    return [
        Finding(images.files[row].name, purpose, "copy", name, place)
        for row, name in sorted(copies.items())
    ]


def _near_copies(
    images: ImageSet, purpose: Purpose, test: ImageSet, is_dropped: bool
) -> list[Finding]:
    return [
        Finding(
            images.files[row].name, purpose, "near copy", test.files[other].name, "the test",
            is_dropped,
        )
        for row, other in near_copies(images, test)
    ]  # fmt: skip


def _without_color(images: ImageSet, rules: Rules) -> list[Finding]:
    """Grayscale images, kept or not, and those less colorful than the rules ask for."""
    found = []
    for image, rgb8 in zip(images.files, images.rgb8, strict=True):
        if is_grayscale(rgb8.numpy()):
            kept = not rules.drop_grayscale
            found.append(Finding(image.name, "training", "grayscale", is_dropped=not kept))
            if not kept:
                continue
        if rules.min_colorfulness:
            value = float(colorfulness(rgb_from_8bit(rgb8[None])))
            if value < rules.min_colorfulness:
                found.append(Finding(image.name, "training", "dull"))
    return found


def _messages(findings: Sequence[Finding]) -> Iterator[str]:
    """Sentences on the findings, those on copies by the split and the place of the others."""
    groups: dict[tuple[Reason, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.reason, one.purpose, one.place), []).append(one)
    for reason in get_args(Reason):
        for (own, purpose, place), group in groups.items():
            if own == reason:
                yield _message(reason, purpose, place, group)


def _message(reason: Reason, purpose: str, place: str, group: Sequence[Finding]) -> str:
    count, dropped = len(group), group[0].is_dropped
    named = shorten([f"{one.name} (as {one.other})" if one.other else one.name for one in group])
    if reason == "copy":
        return (
            f"Warning: images of {purpose} that are in {place} too and were dropped from {purpose} "
            f"({count}): {named}."
        )
    if reason == "near copy":
        what = "were dropped from it, which --set drop_near_copies=false prevents"
        return (
            f"Warning: images of {purpose} that look like images of {place}, may be copies of them "
            f"and {what if dropped else 'are kept, as drop_near_copies=false asks'} ({count}): "
            f"{named}."
        )
    if reason == "grayscale":
        kept = "trained on, since drop_grayscale is false"
        return f"{count} grayscale files are {'not trained on' if dropped else kept}: {named}."
    return f"Images less colorful than min_colorfulness asks are left out ({count}): {named}."
