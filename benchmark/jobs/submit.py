"""Images that another program colored: scored like a model's, in a run's folder of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from benchmark import leaderboard
from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.console import info, shorten
from benchmark.data.cache import ImageSet
from benchmark.data.loading import Sources, load_test
from benchmark.data.reading import (
    Preprocessing,
    UnusableImage,
    images_by_name,
    read_square,
    read_whole,
)
from benchmark.errors import UserError
from benchmark.evaluation import evaluate as evaluation
from benchmark.evaluation.outputs import Outputs, file_names
from benchmark.figures.images import gray_of, save_png
from benchmark.files import replacing, write_json
from benchmark.results.folders import RunFolder, require_run_name
from benchmark.results.records import RunRecord, Submission
from benchmark.settings import Settings
from benchmark.metrics.table import MetricSuite


@dataclass(frozen=True)
class Entry:
    """What was handed in: a folder of images, under which name, and how it is to be taken.

    seed: of the program's run, where several of it are handed in; they become one row.
    """

    folder: Path
    name: str
    seed: int
    resize: bool
    lightness: Literal["own", "input"]


def export_inputs(out: Path, sources: Sources, size: int) -> int:
    """Write the test's inputs for another program: gray PNGs of `size`; returns how many.

    An image's name is the one under which its coloring is looked for.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is no empty folder: inputs are written into a new one.")
    images = load_test(sources, size, SPLIT_SEED)
    for name, rgb8 in zip(file_names(images), images.rgb8, strict=True):
        gray = gray_of(rgb_to_lightness(rgb_from_8bit(rgb8[None])))[0]
        one_channel = rgb_to_8bit(gray.mean(dim=0))  # which differ by rounding
        with replacing(out / name) as part:
            Image.fromarray(one_channel.numpy()).save(part, format="PNG")
    return len(images)


def submit(
    entry: Entry, sources: Sources, size: int, results: Path, suite: MetricSuite
) -> RunRecord:
    """Score a folder against the test images and give it a row. UserError for what is wrong."""
    require_run_name("--name", entry.name)
    folder = RunFolder(results, entry.name, entry.seed)
    if folder.weights.exists():
        raise UserError(f"--name {entry.name}: {folder.path} is a run that was trained here.")
    images = load_test(sources, size, SPLIT_SEED)
    files = match(entry.folder, images)
    for _ in read_outputs(files, images, entry):
        pass  # all are looked at before any is written
    setup = evaluation.prepare(images, sources.name, size, suite=suite)
    evaluation.test_baselines(results, setup, None)
    candidate = evaluation.Candidate(
        folder,
        entry.name,
        kind="submitted",
        submission=Submission(lightness=entry.lightness, resized=entry.resize),
    )
    place = Outputs(setup.folder(candidate), images)
    with evaluation.lock(place.folder):
        place.delete()
        for row, rgb in enumerate(read_outputs(files, images, entry)):
            save_png(place.path(row), rgb)
        write_json(folder.settings, {"model": entry.name, "images": sources.describe()})
        record = evaluation.score_outputs(candidate, place, setup)
    found = leaderboard.write(results)
    print(leaderboard.formats.markdown(found.for_protocol(setup.protocol.hash)))
    info(f"Images, figure and scores: {place.folder}")
    return record


SPLIT_SEED: int = Settings.model_fields["split_seed"].default


def match(folder: Path, images: ImageSet) -> list[Path]:
    """The file of each test image, by its name without the suffix.

    An image of a sub-folder may be called as it is there or as `export_inputs` called it, with __
    for /. UserError that names what is missing, what is too much, and what is there twice.
    """
    found = images_by_name(folder)
    matched: list[Path] = []
    missing: list[str] = []
    for image, name in zip(images.files, file_names(images), strict=True):
        stems = (Path(name).stem, Path(image.name).with_suffix("").as_posix())
        known = next((stem for stem in stems if stem in found), None)
        if known is None:
            missing.append(Path(name).stem)
        else:
            matched.append(found.pop(known))
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of {len(images)} test images: {shorten(missing)}."
        )
    if found:
        raise UserError(
            f"{folder} holds {len(found)} images that are not of the test: {shorten(list(found))}."
        )
    return matched


def read_outputs(files: Sequence[Path], images: ImageSet, entry: Entry) -> Iterator[Tensor]:
    """The outputs as they are to be scored, sRGB (3, S, S). UserError for one of another size."""
    size = images.rgb8.shape[-1]
    for path, truth8 in zip(files, images.rgb8, strict=True):
        rgb = rgb_from_8bit(_read(path, size, entry.resize))
        if entry.lightness == "input":
            lightness = rgb_to_lightness(rgb_from_8bit(truth8[None]))
            rgb = join(lightness, rgb_to_lab(rgb[None])[:, 1:])[0]
        yield rgb


def _read(path: Path, size: int, resize: bool) -> Tensor:
    if resize:
        try:
            return torch.from_numpy(read_square(path, Preprocessing(size)))
        except UnusableImage as error:
            raise UserError(f"{path} cannot be used: {error}.") from error
    image = torch.from_numpy(read_whole(path))
    height, width = image.shape[1:]
    if (height, width) != (size, size):
        raise UserError(
            f"{path} is {width}×{height}, and the test is {size}×{size}: color the inputs that "
            "`main.py inputs` writes, or ask for --resize (short side, then the center)."
        )
    return image
