"""Pairs of images that have the same name in two folders."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmark.data.finding import find_images
from benchmark.data.formats import suffixes
from benchmark.data.reading import read_whole
from benchmark.errors import UserError


def images_by_name(folder: Path) -> dict[str, Path]:
    """Map the names of the image files below `folder` to their paths.

    A name is the path within the folder, with forward slashes and without the suffix. UserError if
    the folder does not exist or holds no image, or if two files differ in their suffix alone.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(
                f"{found[name]} and {path} differ in their suffix alone: remove one of them."
            )
        found[name] = path
    if not found:
        known = ", ".join(sorted(suffixes()))
        raise UserError(f"{folder} holds no image to score: add files that end in {known}.")
    return found


def read_pairs(outputs: Path, truths: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (output, truth) for each name that is in both folders, uint8 (3, H, W) each.

    The pairs are in the order of their names, which are compared without their suffixes. UserError
    for a folder without images, and for an image without a counterpart, with a counterpart of
    another size, or that cannot be decoded.
    """
    by_name, truth_by_name = images_by_name(outputs), images_by_name(truths)
    for name in sorted(by_name.keys() ^ truth_by_name.keys()):
        found, other = (by_name, truths) if name in by_name else (truth_by_name, outputs)
        raise UserError(
            f"{found[name]} has no counterpart in {other}: every image needs one of the same name."
        )
    for name in sorted(by_name):
        output, truth = (
            torch.from_numpy(read_whole(paths[name])) for paths in (by_name, truth_by_name)
        )
        if output.shape != truth.shape:
            raise UserError(
                f"{by_name[name]} and {truth_by_name[name]} are not of one size: "
                "an output needs the size of its truth."
            )
        yield output, truth
