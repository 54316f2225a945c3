"""The images of a test, as written: where each lies, and coloring those that are missing."""

import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import progress
from benchmark.data.cache import ImageSet
from benchmark.data.reading import read_whole
from benchmark.device import device_name
from benchmark.errors import UserError
from benchmark.figures.frames import Frames
from benchmark.figures.images import save_png
from benchmark.files import sha256_of_file, write_json
from benchmark.randomness import derive_seed
from benchmark.results.environment import environment
from benchmark.results.records import Strict, Timing, read_part

MEAN = "mean"
"""Stands for the mean of all samples where the number of a sample may stand."""
Sample = int | str
AT_ONCE = 8
"""The most images whose frames are kept in memory together."""


class Provenance(Strict):
    """Who makes the images: where this is the same, an image that is there is the right one.

    inputs: a hash of the test images by their names, since files and seeds follow these.
    """

    weights_sha256: str | None
    inputs: str
    seed: int
    sampling: dict[str, Any]
    protocol_hash: str


class Progress(Strict):
    """colorized.json: the maker, and how long its images took so far on the device in use.

    environment: versions and commit when the last of them were made.
    """

    provenance: Provenance
    images: int = 0
    seconds: float = 0.0
    batch_size: int = 0
    device: str = ""
    environment: dict[str, str] = {}


class Outputs:
    """The outputs of a test below its folder: the first sample in images/, others in samples/."""

    def __init__(self, folder: Path, inputs: ImageSet, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.inputs = inputs
        self.names = file_names(inputs) if names is None else names
        self._progress = folder / "colorized.json"

    def path(self, row: int, sample: Sample = 0) -> Path:
        """The file of an image's sample: PNG, 8 bits."""
        return self.folder / self.place(row, sample)

    def place(self, row: int, sample: Sample = 0) -> str:
        """The same below the test's folder, as per_image.csv has it."""
        part = "images" if sample == 0 else f"samples/{sample}"
        return f"{part}/{self.names[row]}"

    def samples_there(self) -> int:
        """How many samples of every image there are, counted from the first."""
        rows = range(len(self.inputs))
        complete = (all(self.path(row, sample).is_file() for row in rows) for sample in count())
        return sum(1 for _ in takewhile(bool, complete))

    def hashes(self, sample: Sample = 0) -> list[str]:
        """SHA-256 of each file of a sample. UserError for one that is not there."""
        found = []
        for row in range(len(self.inputs)):
            path = self.path(row, sample)
            if not path.is_file():
                raise UserError(f"{path} is missing: test again.")
            found.append(sha256_of_file(path))
        return found

    def read(self, row: int, sample: Sample = 0) -> Tensor:
        """One image as written, uint8 (3, S, S). UserError if it cannot be read."""
        return torch.from_numpy(read_whole(self.path(row, sample)))

    def beside_truth(self, sample: Sample = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image of a sample and its truth, uint8 (3, S, S) each."""
        for row, truth in enumerate(self.inputs.rgb8):
            yield self.read(row, sample), truth

    def all_samples(self, samples: int, batch: int = 16) -> Iterator[Tensor]:
        """The samples of some images after another, uint8 (K, B, 3, S, S)."""
        for rows in torch.split(torch.arange(len(self.inputs)), batch):
            of_sample = [
                torch.stack([self.read(row, sample) for row in rows.tolist()])
                for sample in range(samples)
            ]
            yield torch.stack(of_sample)

    def made_in(self) -> dict[str, str]:
        """Versions and commit that the images were made with; the present ones if not here."""
        done = self._done()
        return done.environment if done is not None and done.environment else environment()

    def _done(self) -> Progress | None:
        try:
            return read_part(self._progress, Progress)
        except UserError:  # none yet, or of another version
            return None

    def timing(self) -> Timing | None:
        """Of the images colored so far; None if none was colored here."""
        done = self._done()
        if done is None or not done.images:
            return None
        return Timing(
            ms_per_image=round(1000 * done.seconds / done.images, 3),
            batch_size=done.batch_size,
            device=done.device,
        )

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
    ) -> int:
        """Color and write what is not there yet, one batch after another; `samples` an image.

        Returns how many images were colored.

        Images of another maker are deleted first. Seeds follow the run's seed, the files' names
        and the samples' numbers.
        """
        done = self._done()
        if done is None or done.provenance != provenance:
            self.delete()
            done = None
        missing = [
            (row, sample)
            for sample in range(samples)
            for row in range(len(self.inputs))
            if not self.path(row, sample).is_file()
        ]
        if not missing:
            return 0
        where = device_name(device)
        if done is None or (done.batch_size, done.device) != (batch_size, where):
            done = Progress(provenance=provenance, batch_size=batch_size, device=where)
        done = done.model_copy(update={"environment": environment()})
        batches = [missing[i : i + batch_size] for i in range(0, len(missing), batch_size)]
        for batch in progress(batches, total=len(batches), label=label, unit="batches"):
            lightness = self._lightness([row for row, _ in batch], device)
            seeds = [self._seed(provenance, row, sample) for row, sample in batch]
            before = time.perf_counter()
            rgb = colorizer.colorize(lightness, seeds=seeds, sampling=sampling)
            rgb = rgb.cpu()  # the clock stops when it is there
            seconds = time.perf_counter() - before
            for (row, sample), one in zip(batch, rgb, strict=True):
                save_png(self.path(row, sample), one)
            done = done.model_copy(
                update={
                    "images": done.images + len(batch),
                    "seconds": done.seconds + seconds,
                }
            )
            write_json(self._progress, done.model_dump())
        return len(missing)

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
        """Write the way from noise to each of the first `count` images, if not there yet.

        They are colored once more for it, and their seeds make them the same images: so it does
        not matter whether these are there already, and watching costs nothing that is timed.
        Returns the files of all of them.
        """
        files = {row: self._frames(row) for row in range(min(count, len(self.inputs)))}
        missing = [row for row, paths in files.items() if not all(p.is_file() for p in paths)]
        at_once = min(AT_ONCE, batch_size)
        batches = [missing[i : i + at_once] for i in range(0, len(missing), at_once)]
        for batch in progress(batches, total=len(batches), label="frames", unit="batches"):
            frames = Frames()
            rgb = colorizer.colorize(
                self._lightness(batch, device),
                seeds=[self._seed(provenance, row, 0) for row in batch],
                sampling=sampling,
                on_step=frames,
            )
            for place, row in enumerate(batch):
                frames.save(place, rgb[place], *files[row])
        return [path for paths in files.values() for path in paths]

    def _frames(self, row: int) -> tuple[Path, Path]:
        """The strip and the animation of an image."""
        stem = self.names[row].removesuffix(".png")
        return self.folder / f"frames/{stem}.png", self.folder / f"frames/{stem}.webp"

    def _lightness(self, rows: list[int], device: torch.device) -> Tensor:
        return rgb_to_lightness(rgb_from_8bit(self.inputs.rgb8[rows]).to(device))

    def _seed(self, provenance: Provenance, row: int, sample: int) -> int:
        return derive_seed(provenance.seed, self.inputs.files[row].name, sample)

    def delete(self) -> None:
        """Delete all images; what was said of them goes first."""
        (self.folder / "run.json").unlink(missing_ok=True)
        for part in ("images", "samples", "frames"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        self._progress.unlink(missing_ok=True)

    def mean(self, row: int, samples: int) -> Tensor:
        """The mean of an image's samples in Lab, sRGB (3, S, S)."""
        rgb8 = torch.stack([self.read(row, sample) for sample in range(samples)])
        lab = rgb_to_lab(rgb_from_8bit(rgb8)).mean(dim=0, keepdim=True)
        return join(lab[:, :1], lab[:, 1:])[0]

    def write_means(self, samples: int) -> None:
        """Write the mean of each image's samples."""
        for row in range(len(self.inputs)):
            save_png(self.path(row, MEAN), self.mean(row, samples))


def file_names(images: ImageSet) -> list[str]:
    """A PNG's name for each image: its own without folders, numbered where two would collide."""
    names: dict[str, None] = {}
    for image in images.files:
        stem = Path(image.name).with_suffix("").as_posix().replace("/", "__")
        choices = chain([stem], (f"{stem}~{number}" for number in count(2)))
        names[next(f"{choice}.png" for choice in choices if f"{choice}.png" not in names)] = None
    return list(names)
