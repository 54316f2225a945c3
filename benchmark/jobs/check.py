"""The check of a dataset before a training: a report, a sheet of images, the colors' histogram."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.color import rgb8_to_lab
from benchmark.console import info, output, shorten
from benchmark.data.cache import ImageSet
from benchmark.data.check import NEAR_GRAY, DefaultRules, check
from benchmark.data.examination import Examination, examine
from benchmark.data.finding import describe_passed_over
from benchmark.data.shortage import WORDS
from benchmark.data.sources import Sources, locate
from benchmark.errors import UserError
from benchmark.figures.dataset import ab_counts, save_ab_histogram, save_contact_sheet
from benchmark.files import remove
from benchmark.results.check import CheckRecord, Copies, Spread
from benchmark.results.folders import FILE_REPORT
from benchmark.results.schema import write_record

RECORD, SHEET, HISTOGRAM = "check.json", "contact_sheet.png", "ab_histogram.png"
SHOWN, SHOWN_PAIRS = 24, 12
"""The most images of a group on the sheet, and the most pairs of one."""
CHECKS = "checks"
"""The folder below the results in which each dataset has one."""


@dataclass(frozen=True)
class Checked:
    """A check that was written. lacking: why a training cannot begin, or ""."""

    folder: Path
    record: CheckRecord
    lacking: str


def check_dataset(
    dataset: str, test_images: str | None, rules: DefaultRules, results: Path, out: Path | None
) -> Checked:
    """Check a dataset as a training would read it, and write what was found.

    out: the folder to write into, by default one of the dataset's name below the results.
    UserError for a folder that does not exist or holds no image.
    """
    sources = locate(dataset, test_images, results)
    folder = out or results / CHECKS / sources.name
    examination = examine(sources, rules)
    examination.show(sources)
    record = check(sources, examination)
    save_contact_sheet(folder / SHEET, _groups(examination, record))
    _save_histogram(folder / HISTOGRAM, examination.train, sources)
    examination.splits.report().write(folder / FILE_REPORT)
    write_record(folder / RECORD, record)
    lacking = ""
    try:
        examination.require(sources, ["train", "val", "test"])
    except UserError as error:
        lacking = str(error)
    return Checked(folder, record, lacking)


def show(checked: Checked) -> None:
    """Print a check as lines of data, and say where its files are."""
    for line in _lines(checked.record):
        output(line)
    names = [RECORD, SHEET, HISTOGRAM]
    info(f"Written: {', '.join(str(checked.folder / name) for name in names)}.")
    if checked.lacking:
        info(checked.lacking)


def _lines(record: CheckRecord) -> Iterator[str]:
    yield f"image files: {record.files} ({record.bytes / 1e6:,.1f} MB)"
    yield f"suffixes: {_counts(record.suffixes)}"
    yield f"formats: {_counts(record.formats)}; modes: {_counts(record.modes)}"
    yield f"sizes: {_counts(record.sizes)}"
    yield f"width: {_spread(record.width)}; height: {_spread(record.height)}"
    yield f"color profiles: {_counts(record.profiles)}"
    for key, found in record.splits.items():
        name = WORDS[key]  # type: ignore[index]
        origin = f" ({found.origin})" if found.origin else ""
        yield f"{name}: {found.used} of {found.files} files used{origin}"
    if record.ab_mean is not None and record.ab_std is not None:
        for name, mean, std in zip(("a*", "b*"), record.ab_mean, record.ab_std, strict=True):
            yield f"{name} of the images for training: mean {mean:.2f}, deviation {std:.2f}"
    yield f"unreadable: {_named([*record.unreadable])}"
    yield f"of these cut short: {_named(record.truncated)}"
    yield f"passed over: {describe_passed_over(record.passed_over) or 'none'}"
    yield f"grayscale: {_named(record.grayscale)}"
    yield f"nearly gray (colorfulness below {NEAR_GRAY:g}): {_named(record.near_gray)}"
    yield f"copies: {_pairs(record.copies)}"
    yield f"look alike: {_pairs(record.look_alikes)}"
    yield f"in training or validation and in the test: {_pairs(record.in_training_and_test)}"
    yield f"files that no split would use: {record.skipped}"


def _counts(counts: dict[str, int]) -> str:
    return shorten([f"{count} of {name}" for name, count in counts.items()]) or "none"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "unknown"
    return f"{spread.least} to {spread.most}, median {spread.median:g}"


def _named(names: Sequence[str]) -> str:
    return f"{len(names)} ({shorten(names)})" if names else "none"


def _pairs(pairs: Sequence[Copies]) -> str:
    return _named([f"{pair.name} as {pair.other}" for pair in pairs])


# ---- figures -------------------------------------------------------------------------------------


def _groups(
    examination: Examination, record: CheckRecord
) -> dict[str, Sequence[NDArray[np.uint8]]]:
    """The groups of the sheet: examples of each split, and what deserves a look."""
    sets = examination.splits.sets
    places = {
        image.name: (images, row)
        for images in sets.values()
        for row, image in enumerate(images.files)
    }

    def pixels(names: Sequence[str]) -> list[NDArray[np.uint8]]:
        return [places[name][0].rgb8[places[name][1]].numpy() for name in names if name in places]

    def of_split(images: ImageSet) -> list[NDArray[np.uint8]]:
        rows = torch.linspace(0, len(images) - 1, min(SHOWN, len(images))).long().tolist()
        return [images.rgb8[row].numpy() for row in rows]

    def of_pairs(pairs: Sequence[Copies]) -> list[NDArray[np.uint8]]:
        return pixels([name for pair in pairs[:SHOWN_PAIRS] for name in (pair.name, pair.other)])

    used = {"training": examination.train, "validation": examination.val, "test": examination.test}
    groups: dict[str, Sequence[NDArray[np.uint8]]] = {
        f"{name} ({len(images)})": of_split(images) for name, images in used.items()
    }
    gray, near, copies = record.grayscale, record.near_gray, record.copies + record.look_alikes
    groups[f"grayscale ({len(gray)})"] = pixels(gray[:SHOWN])
    groups[f"nearly gray ({len(near)})"] = pixels(near[:SHOWN])
    groups[f"copies and look-alikes, in pairs ({len(copies)})"] = of_pairs(copies)
    shared = record.in_training_and_test
    groups[f"of training or validation, each before its likeness in the test ({len(shared)})"] = (
        of_pairs(shared)
    )
    return groups


def _save_histogram(path: Path, images: ImageSet, sources: Sources) -> None:
    """Write the histogram of ab over the images for training; without any, there is no file."""
    remove(path)
    if not len(images):
        return
    labs = (rgb8_to_lab(images.rgb8[start : start + 64]) for start in range(0, len(images), 64))
    parts = [ab_counts(lab[:, 1:].transpose(0, 1).flatten(1).numpy()) for lab in labs]
    title = f"{sources.name}: {len(images)} images for training"
    save_ab_histogram(path, np.sum(parts, axis=0), title)
