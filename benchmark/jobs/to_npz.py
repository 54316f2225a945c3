"""A folder of images as two files of arrays, for programs that read those."""

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmark.console import info
from benchmark.data.arrays import Squares, decode_squares, stratify, write_npz
from benchmark.data.finding import require_image_files
from benchmark.data.normalization import RANGES
from benchmark.data.report import FileReport
from benchmark.data.split_names import SplitFolders
from benchmark.errors import UserError
from benchmark.files import replacing
from benchmark.results.arrays import METADATA, ArrayFile, ArraySettings, ArraysMetadata
from benchmark.results.schema import write_record

TRAIN, TEST = "train.npz", "test.npz"
GRAYSCALE = "luma of sRGB as in Pillow's mode L (ITU-R BT.601); not L* of CIE Lab"
MASK = "below a folder of masks, by its name"


@dataclass(frozen=True)
class Files:
    """The image files of a folder by name, and why others are left out, by name."""

    images: dict[str, Path]
    masks: dict[str, str]
    passed_over: dict[str, str]


def to_npz(folder: Path, out: Path, settings: ArraySettings, *, overwrite: bool) -> ArraysMetadata:
    """Write train.npz, test.npz and metadata.json into `out`; returns what is in them.

    Messages name the files that cannot be used. Raises UserError for a folder without images, for a
    share that leaves one of the two files without images, and before a file is written over.
    """
    targets = [out / name for name in (TRAIN, TEST, METADATA)]
    for path in targets:
        if os.path.lexists(path) and not overwrite:
            raise UserError(f"{path} exists: name another folder, or replace it with --overwrite.")
    files = _find(folder)
    # All three are put in place after the last one is written, metadata.json first.
    with (
        replacing(targets[0]) as train,
        replacing(targets[1]) as test,
        replacing(targets[2]) as metadata,
        tempfile.TemporaryFile(dir=out) as stream,
    ):
        squares = decode_squares(files.images.items(), settings.size, stream)
        FileReport(squares.failures | files.masks, squares.notes, files.passed_over).show()
        _require_two(folder, squares)
        rows = stratify(squares.categories, squares.contents, settings.test_size, settings.seed)
        written = {
            name: write_npz(path, squares, chosen, settings.normalize)
            for name, path, chosen in zip((TRAIN, TEST), (train, test), rows, strict=True)
        }
        left_out = {**squares.failures, **files.masks, **files.passed_over}
        described = _describe(folder, settings, written, left_out)
        write_record(metadata, described)
    return described


def _find(folder: Path) -> Files:
    """Find the images; a message says if their folders are splits or hold masks."""
    found = require_image_files("DIR", folder)
    paths = {path.relative_to(folder).as_posix(): path for path in found.images}
    folders = SplitFolders([*paths])
    masks = {name: MASK for name in paths if folders.is_mask(name)}
    if origins := folders.origins():
        splits = ", ".join(f"{split} {origin}" for split, origin in origins.items())
        info(
            f"Warning: {folder} has folders of splits ({splits}), which become categories: both "
            "files get images of each. Name one of these folders as DIR to use its images alone."
        )
    images = {name: path for name, path in paths.items() if name not in masks}
    return Files(images, masks, found.passed_over)


def _require_two(folder: Path, squares: Squares) -> None:
    if len(squares.categories) < 2:
        raise UserError(
            f"DIR: of the image files in {folder}, {len(squares.categories)} can be used, and two "
            "are needed, one for each file; add images."
        )


def _describe(
    folder: Path, settings: ArraySettings, files: dict[str, ArrayFile], left_out: dict[str, str]
) -> ArraysMetadata:
    return ArraysMetadata(
        source=str(folder.resolve()),
        settings=settings,
        normalization=settings.normalize,
        dtype="uint8" if settings.normalize == "none" else "float32",
        range=[*map(float, RANGES[settings.normalize])],
        grayscale=GRAYSCALE,
        categories=[*files[TRAIN].categories],
        files=files,
        left_out=dict(Counter(left_out.values()).most_common()),
    )
