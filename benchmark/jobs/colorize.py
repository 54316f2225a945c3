"""Color photos at their full resolution."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.color import lightness_to_rgb, rgb_from_8bit, rgb_to_lightness
from benchmark.console import info, progress, shorten, silenced
from benchmark.data.reading import open_photo
from benchmark.device import make_fabric
from benchmark.errors import UserError, first_line
from benchmark.figures.frames import Frames
from benchmark.figures.images import save_grid
from benchmark.inference.formats import require_quality, require_sides, save_photo
from benchmark.inference.hints import read_hints
from benchmark.inference.metadata import read_metadata
from benchmark.inference.photo import LONGEST_RATIO, PhotoColorizer, is_compressed
from benchmark.inference.targets import SHEET, Target, names_file, plan_targets, require_free
from benchmark.jobs.job import require_frames
from benchmark.jobs.weights import find_weights, is_file, sampling_of, training_of
from benchmark.results.folders import RunFolder

THUMBNAIL = 320
"""The long side in pixels of a photo on a sheet."""


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


ALL = "all"
"""Stands for every model that has weights."""


def find_trained(
    names: Sequence[str],
    folder: RunFolder,
    weights: str,
    sampling: dict[str, Any],
    device: str | None,
    *,
    run: str | None,
) -> list[Trained]:
    """Return the trained models of these names, or of ALL, each once.

    folder: of the first one's run; the others lie beside it. run: the name that was typed. For
    several models, each gets the values of `sampling` that it has. UserError for options that only
    one model can have, and if there is no trained model.
    """
    if [*names] == [ALL]:
        names = [entry.name for entry in registry.entries() if entry.broken is None]
        names = [name for name in names if _has_weights(name, _beside(folder, name), weights)]
        if not names:
            raise UserError(
                f"{folder.path.parent.parent} has no trained model: train one, such as with "
                "`python main.py --model unet`."
            )
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        own_folder = folder if run else _beside(folder, names[0])
        return [Trained(names[0], own_folder, weights, sampling, device)]
    if run is not None or is_file(weights):
        option = "--run" if run is not None else "--weights"
        raise UserError(
            f"{option} {run or weights} belongs to one model, and {len(names)} are named: name one."
        )
    for name in names:
        registry.require(name)
    own = {name: registry.load_model(name).sampling_class.model_fields for name in names}
    unknown = [key for key in sampling if not any(key in fields for fields in own.values())]
    if unknown:
        raise UserError(f"No model of {', '.join(names)} has the option {unknown[0]!r}.")
    return [
        Trained(
            name,
            _beside(folder, name),
            weights,
            {key: value for key, value in sampling.items() if key in own[name]},
            device,
        )
        for name in names
    ]


def _beside(folder: RunFolder, name: str) -> RunFolder:
    """The run of the name of a model, in the results and of the seed of `folder`."""
    return RunFolder(folder.path.parent.parent, name, folder.seed)


def _has_weights(name: str, folder: RunFolder, weights: str) -> bool:
    """Whether a model can be loaded; if not, a message says why."""
    try:
        with silenced():
            find_weights(name, folder, weights)
    except UserError as error:
        info(f"{name} is left out: {error}")
        return False
    return True


@dataclass(frozen=True)
class Output:
    """What is written; the fields are named as the options are.

    format: the suffix of files in a folder, without its dot.
    """

    out: Path | None = None
    format: str = "png"
    quality: int | None = None
    overwrite: bool = False
    frames: bool = False
    samples: int = 1
    strength: float = 1.0
    hint: Path | None = None


def colorize_photos(
    arguments: Sequence[Path],
    models: Sequence[Trained],
    output: Output,
    written: Callable[[Path], None],
) -> int:
    """Color photos, and the images of folders, at their full resolution, and write each as a file.

    models: each colors every photo, and where there are several colorings of one there is also a
    sheet of them. Files that exist already are kept, unless they are to be written over.
    written: called with the path of each file that was written. Returns the exit code: 1 if
    some photos failed, each of which a message names, and 2 if none could be colored.
    UserError, before anything is computed, for what cannot work for any photo.
    """
    for trained in models:
        registry.require(trained.model)
        if output.frames:
            require_frames(trained.model)
    labels = {_label(m.model, k, output): (m, k) for m in models for k in range(output.samples)}
    targets, failures = plan_targets(
        arguments, output.out, [*labels], output.frames, f".{output.format}"
    )
    for target in targets:
        if target.label != SHEET:
            require_quality(target.path, output.quality)
    if output.hint is not None and len({target.photo for target in targets}) > 1:
        raise UserError("--hint gives the colors of one photo: name that one alone.")
    todo = _to_do(targets, arguments, output, [*labels])
    for failure in failures:
        info(f"Failed: {failure}")
    work = _Work(output, written, alone=len(targets) == 1 and not failures)
    with progress(None, len(todo), "coloring") as bar:
        for trained in models:
            own = [t for t in todo if t.label != SHEET and labels[t.label][0] is trained]
            colorizer = load_colorizer(trained) if own else None
            for target in own:
                assert colorizer is not None
                work.color(target, colorizer, labels[target.label][1])
                bar.update()
    for target in todo:
        if target.label == SHEET:
            work.make_sheet(target, [t for t in targets if t.photo == target.photo])
    return work.finish(len(failures), len(failures) + len(todo))


def _label(model: str, sample: int, output: Output) -> str:
    return model if output.samples == 1 else f"{model}-sample{sample}"


def _to_do(
    targets: Sequence[Target], arguments: Sequence[Path], output: Output, labels: Sequence[str]
) -> list[Target]:
    """The targets that are not written yet, all of them if they are to be written over.

    UserError if a file is in the way.
    """
    done: list[Target] = []
    if not output.overwrite and not names_file(arguments, output.out, labels):
        done = [target for target in targets if target.is_done]
    todo = [target for target in targets if target not in done]
    require_free(targets, overwrite=True)  # a photo is never written over
    require_free(todo, output.overwrite)
    if done:
        named = shorten([str(target.path) for target in done])
        info(f"Kept, since they exist ({len(done)}): {named}. Color again with --overwrite.")
    return todo


class _Work:
    """The coloring of photos one after another, and what became of them."""

    def __init__(self, output: Output, written: Callable[[Path], None], *, alone: bool) -> None:
        self.output, self.written, self.alone = output, written, alone
        self.failed, self.left_out = 0, Counter[str]()

    def color(self, target: Target, colorizer: PhotoColorizer, sample: int) -> None:
        """Color a photo and write it; a failure is named and counted."""
        try:
            left_out = _color(target, colorizer, self.output, sample)
        except Exception as error:
            if self.alone:
                raise
            reason = str(error) if isinstance(error, UserError) else first_line(error)
            named = str(target.photo) in reason
            info(f"Failed: {reason}" if named else f"Failed: {target.photo}: {reason}")
            self.failed += 1
        else:
            self.left_out.update(left_out)
            self.written(target.path)

    def make_sheet(self, sheet: Target, targets: Sequence[Target]) -> None:
        """Write the sheet of a photo: its gray input, and the colorings that there are."""
        colorings = [t for t in targets if t.label != SHEET and t.path.is_file()]
        if not colorings:
            self.failed += 1  # as each of them is, with its reason
            return
        photo = _thumbnail(sheet.photo)
        gray = lightness_to_rgb(rgb_to_lightness(photo))
        columns = {"input": gray} | {t.label: _thumbnail(t.path) for t in colorings}
        save_grid(sheet.path, columns, side=THUMBNAIL)
        self.written(sheet.path)

    def finish(self, n_failed: int, n_all: int) -> int:
        """Say what became of the photos. Returns the exit code."""
        if self.left_out:
            names = ", ".join(f"{name} ({count})" for name, count in self.left_out.items())
            info(f"Metadata that was left out, with the number of photos: {names}.")
        failed = self.failed + n_failed
        if failed:
            info(f"{failed} of {n_all} could not be colored.")
        return 0 if not failed else 1 if failed < n_all else 2


def _thumbnail(path: Path) -> Tensor:
    """Read an image, reduced to the size of the sheet: sRGB in [0, 1], (1, 3, h, w)."""
    image = open_photo(path)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return rgb_from_8bit(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])


def load_colorizer(trained: Trained) -> PhotoColorizer:
    """Load a trained model to color photos with. UserError without weights that it can read."""
    fabric = make_fabric(trained.device, "32")
    path = find_weights(trained.model, trained.folder, trained.weights)
    weights = load_weights(path, trained.model, fabric.device)
    # Resolved here, so that an error is none of each photo.
    sampling = sampling_of(trained.model, weights, trained.sampling)
    size = training_of(weights).settings["size"]
    return PhotoColorizer(weights.model, size, trained.folder.seed, sampling, fabric.device)


def _color(target: Target, colorizer: PhotoColorizer, output: Output, sample: int) -> list[str]:
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
    hints = None if output.hint is None else read_hints(output.hint, image.size)
    frames = Frames() if target.frames else None
    small = colorizer.color(
        image, photo.name, frames, sample=sample, strength=output.strength, hints=hints
    )
    notes = metadata.notes + save_photo(target.path, image, metadata, output.quality)
    for note in notes:
        info(f"{photo}: {note}.")
    if frames is not None:
        frames.save(0, small, *target.frames)
        info(f"The sampling from noise to color: {', '.join(map(str, target.frames))}")
    return metadata.left_out
