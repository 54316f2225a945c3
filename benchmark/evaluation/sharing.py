"""The coloring of a test by several processes, one for each device: each takes every n-th batch.

A batch is the same whatever process colors it, so the outputs do not depend on their number.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmark.checkpoints import load_weights
from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling
from benchmark.console import info
from benchmark.data.cache import Cache
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing
from benchmark.device import make_fabric
from benchmark.figures.images import save_png


class Task(NamedTuple):
    """One output: the row of its image, the seed of its sampling, and the file to write."""

    row: int
    seed: int
    path: Path


def color_batch(
    tasks: Sequence[Task],
    rgb8: Tensor,
    colorizer: Colorizer,
    sampling: Sampling,
    device: torch.device,
) -> float:
    """Color images, uint8 (B, 3, S, S), from their L* alone; returns the seconds of that alone."""
    lightness = rgb_to_lightness(rgb_from_8bit(rgb8).to(device))
    before = time.perf_counter()
    rgb = colorizer.colorize(lightness, seeds=[task.seed for task in tasks], sampling=sampling)
    rgb = rgb.cpu()  # wait for a GPU, which computes asynchronously
    seconds = time.perf_counter() - before
    for task, one in zip(tasks, rgb, strict=True):
        save_png(task.path, one)
    return seconds


@dataclass(frozen=True)
class Helpers:
    """Further processes that color a part of a test's batches, one for each of `devices`.

    model, weights, sha256: the model, its file of weights and the hash of that file. cache,
    preprocessing: what the squares of the images are read from.
    """

    devices: tuple[str, ...]
    model: str
    weights: Path
    sha256: str
    cache: Path
    preprocessing: Preprocessing

    @contextmanager
    def coloring(
        self, files: Sequence[ImageFile], sampling: Sampling, batches: Sequence[Sequence[Task]]
    ) -> Iterator[Sequence[Sequence[Task]]]:
        """Start the processes and yield the batches that are left for this one; wait for them.

        files: of all images, by row. A process that fails is named; its outputs are missing then.
        """
        shares = len(self.devices) + 1
        context = torch.multiprocessing.get_context("spawn")
        processes: list[SpawnProcess] = []
        for number, device in enumerate(self.devices, start=1):
            share = batches[number::shares]
            rows = sorted({task.row for batch in share for task in batch})
            place = {row: i for i, row in enumerate(rows)}
            moved = [[task._replace(row=place[task.row]) for task in batch] for batch in share]
            arguments = (self, device, [files[row] for row in rows], sampling.model_dump(), moved)
            process = context.Process(target=_color_share, args=arguments, daemon=True)
            process.start()
            processes.append(process)
        try:
            yield batches[0::shares]
            for process in processes:
                process.join()
        finally:
            for process in processes:
                process.terminate()
                process.join()
        for device, process in zip(self.devices, processes, strict=True):
            if process.exitcode:
                info(f"The process on device {device} failed; its images are colored here.")


def _color_share(
    helpers: Helpers,
    device: str,
    files: Sequence[ImageFile],
    sampling: dict[str, Any],
    batches: Sequence[Sequence[Task]],
) -> None:
    """What a process does: load the weights and its images, and color its batches."""
    on = make_fabric(device, "32").device
    weights = load_weights(helpers.weights, helpers.model, on, expected_sha256=helpers.sha256)
    images = Cache(helpers.cache).load(files, helpers.preprocessing)
    chosen = weights.model.sampling_class(**sampling)
    for batch in batches:
        squares = images.rgb8[[task.row for task in batch]]
        color_batch(batch, squares, weights.model, chosen, on)
