"""Color photos at their full resolution."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.console import info
from benchmark.data.reading import open_photo
from benchmark.device import make_fabric
from benchmark.errors import UserError, first_line
from benchmark.figures.frames import Frames
from benchmark.inference.formats import require_quality, require_sides, save_photo
from benchmark.inference.metadata import read_metadata
from benchmark.inference.photo import LONGEST_RATIO, PhotoColorizer, is_compressed
from benchmark.inference.targets import Target, plan_targets, require_free
from benchmark.jobs.job import require_frames
from benchmark.jobs.weights import find_weights, sampling_of, training_of
from benchmark.results.folders import RunFolder


@dataclass(frozen=True)
class Trained:
    """Which trained model colors, and how it samples.

    folder: of its run. weights, device: as the options of these names. sampling: what was typed.
    """

    model: str
    folder: RunFolder
    weights: str
    sampling: dict[str, Any]
    device: str | None


@dataclass(frozen=True)
class Output:
    """How colored photos are written; the fields are named as the options are."""

    out: Path | None
    quality: int | None
    overwrite: bool
    frames: bool


def colorize_photos(
    arguments: Sequence[Path], trained: Trained, output: Output, written: Callable[[Path], None]
) -> int:
    """Color photos, and the images of folders, at their full resolution, and write each as a file.

    written: called with the path of each photo that was written. Returns the exit code: 1 if
    some photos failed, each of which a message names, and 2 if none could be colored.
    UserError, before anything is computed, for what cannot work for any photo.
    """
    registry.require(trained.model)
    if output.frames:
        require_frames(trained.model)
    targets, failures = plan_targets(arguments, output.out, trained.model, output.frames)
    for target in targets:
        require_quality(target.path, output.quality)
    require_free(targets, output.overwrite)
    colorizer = load_colorizer(trained)
    for failure in failures:
        info(f"Failed: {failure}")
    failed, left_out = len(failures), Counter[str]()
    for target in targets:
        try:
            left_out.update(_color(target, colorizer, output))
        except Exception as error:
            if len(targets) + len(failures) == 1:
                raise
            reason = str(error) if isinstance(error, UserError) else first_line(error)
            named = str(target.photo) in reason
            info(f"Failed: {reason}" if named else f"Failed: {target.photo}: {reason}")
            failed += 1
        else:
            written(target.path)
    if left_out:
        names = ", ".join(f"{name} ({count})" for name, count in left_out.items())
        info(f"Metadata that was left out, with the number of photos: {names}.")
    if failed:
        info(f"{failed} of {len(targets) + len(failures)} could not be colored.")
    return 0 if not failed else 1 if failed < len(targets) + len(failures) else 2


def load_colorizer(trained: Trained) -> PhotoColorizer:
    """Load a trained model to color photos with. UserError without weights that it can read."""
    fabric = make_fabric(trained.device, "32")
    path = find_weights(trained.model, trained.folder, trained.weights)
    weights = load_weights(path, trained.model, fabric.device)
    # Resolved here, so that an error is none of each photo.
    sampling = sampling_of(trained.model, weights, trained.sampling)
    size = training_of(weights).settings["size"]
    return PhotoColorizer(weights.model, size, trained.folder.seed, sampling, fabric.device)


def _color(target: Target, colorizer: PhotoColorizer, output: Output) -> list[str]:
    """Color one photo and write it. Returns the names of the metadata that was left out."""
    photo = target.photo
    metadata = read_metadata(photo)
    image = open_photo(photo)
    require_sides(target.path, image.size)
    if is_compressed(image.height, image.width):
        info(
            f"{photo}: one side is more than {LONGEST_RATIO} times the other, so the model sees it "
            "compressed, and its colors are less certain."
        )
    frames = Frames() if target.frames else None
    small = colorizer.color(image, photo.name, frames)
    notes = metadata.notes + save_photo(target.path, image, metadata, output.quality)
    for note in notes:
        info(f"{photo}: {note}.")
    if frames is not None:
        frames.save(0, small, *target.frames)
        info(f"The sampling from noise to color: {', '.join(map(str, target.frames))}")
    return metadata.left_out
