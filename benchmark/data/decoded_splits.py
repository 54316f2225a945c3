"""The splits of a dataset with their images decoded, and what there is to say of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.console import info, shorten
from benchmark.data.cache import MOST_OF_TEST, Cache, ImageSet
from benchmark.data.manifest import DIGESTS, Digests, ImageFile
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.report import FileReport
from benchmark.data.shortage import WORDS
from benchmark.data.sources import Sources
from benchmark.data.split_names import Split, splits_in
from benchmark.data.splits import HELD_OUT, Splits, split, warn_of_splits_in_test

FEW = 200
"""Image files; more leave some that can be used in every split, and are worth a faster decoding."""


@dataclass(frozen=True)
class DecodedSplits:
    """Decoded splits.

    files: all image files of the dataset and of the folder of test images, before any was left out.
    passed_over: why other files of these folders are not read.
    """

    splits: Splits
    sets: dict[str, ImageSet]
    failures: dict[str, dict[str, str]]
    passed_over: dict[str, str]
    files: list[ImageFile]

    def found_in(self, key: Split) -> int:
        """The number of a split's files, with those that cannot be used."""
        return len(self.sets[key]) + len(self.failures[key])

    def report(self) -> FileReport:
        """What there is to say of the files of these splits."""
        failures = {name: why for part in self.failures.values() for name, why in part.items()}
        notes = {name: why for part in self.sets.values() for name, why in part.notes.items()}
        return FileReport(failures, notes, self.passed_over)


def decode_splits(
    sources: Sources,
    split_seed: int,
    squares: Mapping[str, Preprocessing],
    *,
    cached: bool = True,
) -> DecodedSplits:
    """Decode the named splits, each as squares of its own.

    A few files are split without those that cannot be used, so that each split gets one that can,
    and copies of an image in several formats are held out together. For that they are decoded
    whole, also where the squares may be `scaled`.
    """
    digests = Digests(sources.cache / DIGESTS if cached else None)
    dataset, tests = sources.images(digests), sources.tests(digests)
    digests.save()
    cache = Cache(sources.cache if cached else None)
    files, reasons, contents = dataset.files, dict[ImageFile, str](), dict[str, str]()
    failures: dict[str, str] = {}
    if len(files) <= FEW:
        squares = {name: replace(square, scaled=False) for name, square in squares.items()}
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
        # Without a cache each square would be decoded whenever it is read.
        most = MOST_OF_TEST if name == "test" and cached else None
        sets[name] = cache.load(getattr(splits, name), preprocessing, most)
        left_out: list[ImageFile] = getattr(all_splits, name)
        unusable[name] = {file.name: reasons[file] for file in left_out if file in reasons}
        unusable[name] |= sets[name].failures
    cache.show_growth()
    passed_over = dataset.passed_over | tests.passed_over
    return DecodedSplits(splits, sets, unusable, passed_over, [*files, *tests.files])


def _without_replacement(splits: Splits) -> set[ImageFile]:
    """The files of validation and test folders: where they cannot be used, no others are drawn."""
    given = {*splits.reserved}
    given |= {*splits.val} if splits.origins["val"] != HELD_OUT else set()
    return given | ({*splits.test} if splits.origins["test"] != HELD_OUT else set())


def show_splits(sources: Sources, loaded: DecodedSplits, only: Split | None = None) -> None:
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
