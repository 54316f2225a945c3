"""The outputs of a test as written: where each lies, and the coloring of those that are missing."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, takewhile
from pathlib import Path

import torch
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import progress
from benchmark.data.cache import ImageSet
from benchmark.data.reading import read_whole
from benchmark.device import device_name
from benchmark.errors import UserError
from benchmark.evaluation.observer import Observer
from benchmark.evaluation.sharing import Helpers, Task, color_batch
from benchmark.figures.frames import Frames
from benchmark.figures.images import save_png
from benchmark.files import remove, sha256_of_file
from benchmark.randomness import derive_seed
from benchmark.results.environment import environment
from benchmark.results.folders import MEAN, Sample, TestFolder, comparable, fit_name
from benchmark.results.records import OutputsRecord, Provenance, Timing
from benchmark.results.schema import read_record, write_record

FRAMES_AT_ONCE = 8
"""The most images whose frames are kept in memory together."""
LONGEST_STEM = 180
"""Bytes of an output's name without its suffix. File systems take 255 in all, of which a number and
the name of a temporary file need some."""


class Outputs:
    """The outputs of a test in its folder: the first sample in images/, the others in samples/.

    names: the file name of each output, by default from the names of the inputs.
    """

    def __init__(
        self, folder: TestFolder, inputs: ImageSet, names: Sequence[str] | None = None
    ) -> None:
        self.folder = folder
        self.inputs = inputs
        self.names = file_names(inputs) if names is None else names

    def path(self, row: int, sample: Sample = 0) -> Path:
        """The file of an image's sample: PNG, 8 bits."""
        return self.folder.path / self.relative_path(row, sample)

    def relative_path(self, row: int, sample: Sample = 0) -> str:
        """The file of an image's sample relative to the test's folder, as per_image.csv has it."""
        return f"{TestFolder.sample_folder(sample)}/{self.names[row]}"

    def count_samples(self) -> int:
        """The number of samples that every image has, counted from the first."""
        rows = range(len(self.inputs))
        complete = (all(self.path(row, sample).is_file() for row in rows) for sample in count())
        return sum(1 for _ in takewhile(bool, complete))

    def hashes(self, sample: Sample = 0) -> list[str]:
        """The SHA-256 of each file of a sample. Raises UserError for a missing file."""
        found = []
        for row in range(len(self.inputs)):
            path = self.path(row, sample)
            if not path.is_file():
                raise UserError(f"{path} is missing: test again.")
            found.append(sha256_of_file(path))
        return found

    def read(self, row: int, sample: Sample = 0) -> Tensor:
        """Decode one output, uint8 (3, S, S). Raises UserError if it cannot be read."""
        return torch.from_numpy(read_whole(self.path(row, sample)))

    def pairs(
        self, sample: Sample = 0, observer: Observer | None = None, rows: range | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each output of a sample and its truth, uint8 (3, S, S); show it to the observer.

        rows: those of the images; all by default.
        """
        for row in range(len(self.inputs)) if rows is None else rows:
            output = self.read(row, sample)
            if observer is not None:
                observer.observe(sample, row, output)
            yield output, self.inputs.rgb8[row]

    def all_samples(self, samples: int, batch: int = 16) -> Iterator[Tensor]:
        """Yield all samples of the next `batch` images, uint8 (K, B, 3, S, S)."""
        for rows in torch.split(torch.arange(len(self.inputs)), batch):
            of_sample = [
                torch.stack([self.read(row, sample) for row in rows.tolist()])
                for sample in range(samples)
            ]
            yield torch.stack(of_sample)

    # ---- provenance --------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The versions and the commit that the outputs were made with; the present ones if none."""
        done = self._record()
        return done.environment if done is not None and done.environment else environment()

    def timing(self) -> Timing | None:
        """The time of the outputs that were colored so far; None if none was colored here."""
        done = self._record()
        return done.timing() if done is not None else None

    def _record(self) -> OutputsRecord | None:
        try:
            return read_record(self.folder.outputs_record, OutputsRecord)
        except UserError:  # none yet, or one of another version
            return None

    # ---- coloring ----------------------------------------------------------------------------

    def colorize_missing(
        self,
        colorizer: Colorizer,
        provenance: Provenance,
        sampling: Sampling,
        samples: int,
        *,
        device: torch.device,
        batch_size: int,
        label: str,
        helpers: Helpers | None = None,
    ) -> int:
        """Color and write the outputs that are missing, batch by batch; `samples` of each image.

        Returns how many were missing. Outputs of another provenance are deleted first. Seeds are
        derived from the run's seed, the names of the files and the numbers of the samples.
        helpers: further processes that take a part of the batches.
        """
        done = self._record()
        if done is None or done.provenance != provenance:
            self.delete()
            done = None
        missing = self._missing(provenance, samples)
        if not missing:
            return 0
        name = device_name(device)
        if done is None or (done.batch_size, done.device) != (batch_size, name):
            done = OutputsRecord(provenance=provenance, batch_size=batch_size, device=name)
        done = done.model_copy(update={"environment": environment()})
        write_record(self.folder.outputs_record, done)
        if helpers is not None and len(missing) > batch_size:
            with helpers.coloring(
                self.inputs.files, sampling, _batched(missing, batch_size)
            ) as own:
                done = self._color(own, colorizer, sampling, done, device, label)
        left = [task for task in missing if not task.path.is_file()]
        self._color(_batched(left, batch_size), colorizer, sampling, done, device, label)
        return len(missing)

    def _missing(self, provenance: Provenance, samples: int) -> list[Task]:
        paths = (
            (row, sample, self.path(row, sample))
            for sample in range(samples)
            for row in range(len(self.inputs))
        )
        return [
            Task(row, self._seed(provenance, row, sample), path)
            for row, sample, path in paths
            if not path.is_file()
        ]

    def _color(
        self,
        batches: Sequence[Sequence[Task]],
        colorizer: Colorizer,
        sampling: Sampling,
        done: OutputsRecord,
        device: torch.device,
        label: str,
    ) -> OutputsRecord:
        """Color batches and add them to the record, which is written after each."""
        for batch in progress(batches, total=len(batches), label=label, unit="batches"):
            squares = self.inputs.rgb8[[task.row for task in batch]]
            seconds = color_batch(batch, squares, colorizer, sampling, device)
            counts = {"images": done.images + len(batch), "seconds": done.seconds + seconds}
            done = done.model_copy(update=counts)
            write_record(self.folder.outputs_record, done)
        return done

    def write_frames(
        self,
        colorizer: Colorizer,
        provenance: Provenance,
        sampling: Sampling,
        count: int,
        *,
        device: torch.device,
        batch_size: int,
    ) -> list[Path]:
        """Write the sampling steps of the first `count` images where missing; return all files.

        The images are colored a second time, with the same seeds and so the same results; frames
        do not affect the recorded time.
        """
        files = {
            row: self.folder.frames(self.names[row]) for row in range(min(count, len(self.inputs)))
        }
        missing = [row for row, paths in files.items() if not all(p.is_file() for p in paths)]
        at_once = min(FRAMES_AT_ONCE, batch_size)
        batches = [missing[i : i + at_once] for i in range(0, len(missing), at_once)]
        for batch in progress(batches, total=len(batches), label="frames", unit="batches"):
            frames = Frames()
            rgb = colorizer.colorize(
                self._lightness(batch, device),
                seeds=[self._seed(provenance, row, 0) for row in batch],
                sampling=sampling,
                on_step=frames,
            )
            for position, row in enumerate(batch):
                frames.save(position, rgb[position], *files[row])
        return [path for paths in files.values() for path in paths]

    def _lightness(self, rows: list[int], device: torch.device) -> Tensor:
        return rgb_to_lightness(rgb_from_8bit(self.inputs.rgb8[rows]).to(device))

    def _seed(self, provenance: Provenance, row: int, sample: int) -> int:
        return derive_seed(provenance.seed, self.inputs.files[row].name, sample)

    def take(self, samples: Sequence[Iterable[Tensor]]) -> None:
        """Make the images of another program, sRGB (3, S, S), the outputs of each sample, in order.

        Files that hold them already stay, with what was measured of them; all others go.
        """
        folders = {self.folder.path / TestFolder.sample_folder(i) for i in range(len(samples))}
        if len(samples) > 1:
            folders.add(self.folder.path / TestFolder.sample_folder(MEAN))
        others = [path for path in self.folder.sample_folders() if path not in folders]
        others += [
            path for folder in folders for path in folder.glob("*") if path.name not in self.names
        ]
        for path in (*others, self.folder.outputs_record):
            self._change(path)
        for sample, images in enumerate(samples):
            for row, rgb in enumerate(images):
                if not self._holds(row, sample, rgb_to_8bit(rgb)):
                    self._change(self.path(row, sample))
                    save_png(self.path(row, sample), rgb)

    def _holds(self, row: int, sample: Sample, rgb8: Tensor) -> bool:
        try:
            return torch.equal(self.read(row, sample), rgb8)
        except UserError:  # none yet, or a damaged one
            return False

    def _change(self, path: Path) -> None:
        """Remove a file, and the record first: the folder is no result until it is complete."""
        if os.path.lexists(path):
            remove(self.folder.record)
            remove(path)

    def delete(self) -> None:
        """Delete whatever is in the place of the outputs, of their records and of their scores."""
        for path in self.folder.written:
            remove(path)

    # ---- the mean of several samples ---------------------------------------------------------

    def mean(self, row: int, samples: int) -> Tensor:
        """The mean of an image's samples in Lab, sRGB (3, S, S)."""
        rgb8 = torch.stack([self.read(row, sample) for sample in range(samples)])
        lab = rgb_to_lab(rgb_from_8bit(rgb8)).mean(dim=0, keepdim=True)
        return join(lab[:, :1], lab[:, 1:])[0]

    def write_means(self, samples: int) -> None:
        """Write the mean of each image's samples."""
        for row in range(len(self.inputs)):
            save_png(self.path(row, MEAN), self.mean(row, samples))


def _batched(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def file_names(images: ImageSet) -> list[str]:
    """A PNG's name for each image: its path with __ for /, shortened if it is too long.

    Names are numbered where two would collide, which they also do if they differ in upper and lower
    case or in how their accents are encoded alone: not every file system tells those apart.
    """
    names: list[str] = []
    taken = set[str]()
    for image in images.files:
        stem = Path(image.name).with_suffix("").as_posix().replace("/", "__")
        stem = fit_name(stem, LONGEST_STEM)
        choices = chain([stem], (f"{stem}~{number}" for number in count(2)))
        chosen = next(choice for choice in choices if comparable(choice) not in taken)
        taken.add(comparable(chosen))
        names.append(f"{chosen}.png")
    return names
