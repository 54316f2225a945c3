"""The check of a dataset: what its files are, and what a training would do with them."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark.color import rgb_from_8bit
from benchmark.console import progress
from benchmark.data.cache import ImageSet
from benchmark.data.copies import near_pairs
from benchmark.data.decoding.headers import Header, read_header
from benchmark.data.decoding.unusable import CUT_SHORT
from benchmark.data.examination import Examination
from benchmark.data.loading import measure
from benchmark.data.manifest import ImageFile
from benchmark.data.reading import is_grayscale
from benchmark.data.sources import Sources
from benchmark.data.split_names import Split
from benchmark.metrics.images import colorfulness
from benchmark.results.check import CheckedSplit, CheckRecord, Copies, Spread
from benchmark.settings import Augmentation, Settings, Truncated

NEAR_GRAY = 15.0
"""The colorfulness below which an image is nearly gray."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class DefaultRules:
    """The rules of a training with the default settings, but for what was asked for."""

    size: int = Settings.model_fields["size"].default
    truncated: Truncated = Settings.model_fields["truncated"].default
    augmentation: Augmentation = Settings.model_fields["augmentation"].default
    split_seed: int = Settings.model_fields["split_seed"].default
    drop_grayscale: bool = Settings.model_fields["drop_grayscale"].default
    drop_near_copies: bool = Settings.model_fields["drop_near_copies"].default
    min_colorfulness: float = Settings.model_fields["min_colorfulness"].default


@dataclass(frozen=True)
class Colors:
    """The names of the images that are gray, and of further ones that are nearly so."""

    grayscale: list[str]
    near_gray: list[str]


def check(sources: Sources, examination: Examination) -> CheckRecord:
    """Describe the files of a dataset and what a training would do with them."""
    splits, sets = examination.splits, examination.splits.sets
    files = [*{image.path: image for image in splits.files}.values()]  # a folder may be both
    headers = _read_headers([image.path for image in files])
    known = [header for header in headers if header is not None]
    failures = dict(splits.report().failures)
    colors = _colors(sets.values())
    copies = [*_copies(sets.values())]
    alike = {(one.name, one.other) for one in copies}
    look_alikes = [
        Copies(name=name, other=other)
        for name, other in near_pairs([*sets.values()])
        if (name, other) not in alike
    ]
    statistics = measure(examination.train) if len(examination.train) else None
    used = {"train": examination.train, "val": examination.val, "test": examination.test}
    return CheckRecord(
        dataset=str(sources.named_dataset),
        test_images=str(sources.named_test_images) if sources.named_test_images else None,
        files=len(files),
        bytes=sum(map(_size_of, files)),
        suffixes=_counted(image.path.suffix.lower() for image in files),
        formats=_counted(header.format for header in known),
        modes=_counted(header.mode for header in known),
        sizes=_counted(f"{header.width}×{header.height}" for header in known),
        profiles=_counted(header.profile for header in known if header.profile),
        width=_spread([header.width for header in known]),
        height=_spread([header.height for header in known]),
        splits={
            key: CheckedSplit(
                origin=splits.splits.origins.get(key, ""),
                files=splits.found_in(key),
                used=len(used[key]),
            )
            for key in SPLITS
        },
        warnings=splits.splits.warnings,
        unreadable=failures,
        truncated=[name for name, reason in failures.items() if reason == CUT_SHORT],
        noted=dict(splits.report().notes),
        passed_over=splits.passed_over,
        grayscale=colors.grayscale,
        near_gray=colors.near_gray,
        near_gray_below=NEAR_GRAY,
        copies=copies,
        look_alikes=look_alikes,
        in_training_and_test=[
            Copies(name=one.name, other=one.other)
            for one in examination.findings
            if one.other and one.place == "the test"
        ],
        ab_mean=list(statistics.ab_mean) if statistics else None,
        ab_std=list(statistics.ab_std) if statistics else None,
        skipped=len(files) - sum(map(len, used.values())) + len(splits.passed_over),
    )


def _size_of(image: ImageFile) -> int:
    try:
        return image.path.stat().st_size
    except OSError:  # removed meanwhile, or not readable
        return 0


def _read_headers(paths: Sequence[Path]) -> list[Header | None]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = progress(pool.map(read_header, paths), total=len(paths), label="reading headers")
        return list(found)


def _counted(values: Iterable[str]) -> dict[str, int]:
    """The number of each value, the most frequent first."""
    return dict(Counter(values).most_common())


def _spread(values: Sequence[int]) -> Spread | None:
    if not values:
        return None
    return Spread(least=min(values), median=median(values), most=max(values))


def _colors(sets: Iterable[ImageSet]) -> Colors:
    grayscale, near_gray = list[str](), list[str]()
    for images in sets:
        for image, rgb8 in zip(images.files, images.rgb8, strict=True):
            if is_grayscale(rgb8.numpy()):
                grayscale.append(image.name)
            elif float(colorfulness(rgb_from_8bit(rgb8[None]))) < NEAR_GRAY:
                near_gray.append(image.name)
    return Colors(sorted(grayscale), sorted(near_gray))


def _copies(sets: Iterable[ImageSet]) -> Iterator[Copies]:
    """Yield each image whose file, or whose decoded pixels, are those of one before it."""
    by_digest, by_pixels = dict[str, str](), dict[str, str]()
    for images in sets:
        for image, content in zip(images.files, images.contents, strict=True):
            other = by_digest.get(image.digest, by_pixels.get(content))
            if other is not None and other != image.name:
                yield Copies(name=image.name, other=other)
            by_digest.setdefault(image.digest, image.name)
            by_pixels.setdefault(content, image.name)
