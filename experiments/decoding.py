"""The speed of decoding photos for training, against a plain loader.

    python -m experiments.decoding --dataset photos                  # one's own
    python -m experiments.decoding --photos 400 --width 1280 --height 960

The plain loader is what many trainings use: one process that opens each file with Pillow, resizes
it, and converts it with scikit-image's rgb2lab. Without --dataset, photos of scikit-image are
enlarged and saved as JPEG. Both decode each file once, without a cache, in alternating rounds.
Prints the images per second of both, their ratio, and how much the squares differ.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from skimage import data as photos_of_skimage
from skimage.color import rgb2lab

from benchmark.color import rgb8_to_lab
from benchmark.data.cache import Cache
from benchmark.data.manifest import Digests, ImageFile, scan
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.rows import in_memory

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
"""Photos that scikit-image contains."""


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """Write JPEG files of random crops of scikit-image's photos, all of one size."""
    rng = np.random.default_rng(0)
    sources = [Image.fromarray(getattr(photos_of_skimage, name)()) for name in PHOTOS]
    for number in range(count):
        source = sources[number % len(sources)]
        side = int(rng.integers(min(source.size) // 2, min(source.size)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in source.size)
        crop = source.crop((left, top, left + side, top + side))
        crop.resize((width, height)).save(folder / f"{number:04d}.jpg", quality=90)


def load_plainly(files: list[ImageFile], size: int) -> np.ndarray:
    """Return Lab, float64 (N, S, S, 3), as a plain loader makes it."""
    squares = []
    for file in files:
        image = Image.open(file.path).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
        squares.append(rgb2lab(np.asarray(image)))
    return np.stack(squares)


def load_scaled(files: list[ImageFile], size: int) -> np.ndarray:
    """Return Lab, float32 (N, 3, S, S), as a training loads it."""
    images = Cache(None).load(files, Preprocessing(size, scaled=True))
    parts = torch.split(in_memory(images.rgb8), 16)  # as batches are converted
    return torch.cat([rgb8_to_lab(part) for part in parts]).numpy()


def seconds_of(
    load: Callable[[list[ImageFile], int], object], files: list[ImageFile], size: int
) -> float:
    begun = time.perf_counter()
    load(files, size)
    return time.perf_counter() - begun


def measure(folder: Path, size: int, rounds: int) -> None:
    """Time both loaders on the images of a folder, and print the figures."""
    files = scan(folder, Digests(None)).files
    plain, scaled = [], []
    for _ in range(rounds):
        plain.append(seconds_of(load_plainly, files, size))
        scaled.append(seconds_of(load_scaled, files, size))
    first, second = (len(files) / float(np.median(times)) for times in (plain, scaled))
    whole, part = (
        in_memory(Cache(None).load(files, Preprocessing(size, scaled=one)).rgb8).int()
        for one in (False, True)
    )
    print(f"{len(files)} files, squares of {size}, medians of {rounds} rounds:")
    print(f"  plain loader      {first:8.1f} images/s")
    print(f"  as for a training {second:8.1f} images/s, {second / first:.1f} times as many")
    print(f"  mean difference from whole decoding {(whole - part).abs().float().mean():.2f} of 255")


def main(
    dataset: Annotated[Path | None, typer.Option(help="Folder of photos.")] = None,
    photos: Annotated[int, typer.Option(min=1, help="Number of photos to draw.")] = 200,
    width: Annotated[int, typer.Option(min=64)] = 1280,
    height: Annotated[int, typer.Option(min=64)] = 960,
    size: Annotated[int, typer.Option(min=16, help="Side of the squares.")] = 72,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Time the decoding of photos for training against a plain loader."""
    if dataset is not None:
        measure(dataset, size, rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), photos, width, height)
        measure(Path(folder), size, rounds)


if __name__ == "__main__":
    typer.run(main)
