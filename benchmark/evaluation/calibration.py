"""The calibration of a model's colors, which is known on the built-in sample `cartoon`.

Its ambiguous objects have one of five paints, drawn with known probabilities, and nothing in L*
shows which. So over many objects, and over many samples of one, a calibrated sampler predicts each
paint as often as the truth has it. A regression predicts none: the mean of the paints is brown.

`find_painted` finds the objects of a test, `predicted_paint` classifies one object in one output,
`calibrate` and `object_table` summarize the paints of all objects in all samples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.console import info
from benchmark.data.cache import ImageSet
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.cartoon.canvas import lab_to_srgb
from benchmark.data.cartoon.sample import PAINTS
from benchmark.data.preprocessing import Preprocessing, fit_square
from benchmark.results.records import Calibration, Estimate, PaintShares
from benchmark.statistics import LEVEL, RESAMPLES, SEED, resampled_sums

NONE = "none"
PROBABILITIES: Mapping[str, float] = MappingProxyType(
    {name: paint.probability for name, paint in PAINTS.items()} | {NONE: 0.0}
)
"""The probability of each outcome in the truth, the same for every object."""

FEWEST_PIXELS = 6
"""Objects with fewer wholly painted pixels, at the size of the test, are left out.

The majority of six pixels does not depend on a single one. Of the 322 objects of the sample's test
this leaves 314 at 96×96, 312 at 64×64 and 305 at 32×32.
"""

SPILL = 0.1
"""A pixel is wholly painted if the weights by which it was resized from painted pixels add up to 1
within this much. In such pixels the truth is within NEAR of its paint: in all of them at sizes from
32×32 to 128×128, in 99.99 % at 256×256, which is three times the size of the drawing.
"""

NEAR = min(math.dist(p.lab[1:], q.lab[1:]) for p, q in combinations(PAINTS.values(), 2)) / 2
"""The largest distance in the a*, b* plane at which a color counts as a paint.

It is half the distance of the two nearest paints, 18.5: the largest at which no color counts as two
paints. A paint may lose a third of its chroma or turn by 19 degrees. At half its chroma (27 away)
it counts as none; so do gray (54 away), the mean of all paints (44 or more) and the mean of any two
(22 or more), except blue and violet, whose mean lies on the edge.
"""

_PAINT_AB = torch.tensor([paint.lab[1:] for paint in PAINTS.values()])


# ---- the objects of a test -----------------------------------------------------------------------


@dataclass(frozen=True)
class PaintedObject:
    """An object of ambiguous paint in a test image.

    number: counts the painted objects of the image, from 1. paint: its true paint.
    mask: bool (S, S), its wholly painted pixels.
    """

    file: str
    number: int
    kind: str
    paint: str
    mask: Tensor


@dataclass(frozen=True)
class PaintedObjects:
    """The painted objects of a test; row i holds those of image i: none, one or several.

    n_left_out: the number of objects that are too small or too hidden to be classified.
    """

    by_image: tuple[tuple[PaintedObject, ...], ...]
    n_left_out: int

    @property
    def objects(self) -> list[PaintedObject]:
        """All objects, image after image."""
        return [painted for row in self.by_image for painted in row]


def find_painted(images: ImageSet, preprocessing: Preprocessing) -> PaintedObjects | None:
    """Find the painted objects of test images by the scenes and masks beside the files.

    None unless every image is one of a written sample `cartoon`, and at least one object has
    FEWEST_PIXELS wholly painted pixels. None, with a message, also where a scene is damaged.
    """
    paths = [image.path.resolve() for image in images.files]
    if not all(cartoon.has_scene(path) for path in paths):
        return None
    rows, n_left_out = [], 0
    for image, path in zip(images.files, paths, strict=True):
        try:
            found = _painted_in(image.name, cartoon.scene_path(path), preprocessing)
        except (OSError, ValueError, LookupError, TypeError) as error:
            info(f"The scene of {path} is damaged, so calibration is left out: {error}.")
            return None
        large = tuple(painted for painted in found if int(painted.mask.sum()) >= FEWEST_PIXELS)
        rows.append(large)
        n_left_out += len(found) - len(large)
    return PaintedObjects(tuple(rows), n_left_out) if any(rows) else None


def _painted_in(file: str, scene: Path, preprocessing: Preprocessing) -> list[PaintedObject]:
    numbers = cartoon.read_mask(scene)
    return [
        PaintedObject(
            file,
            placed.mask,
            placed.kind,
            placed.paint,
            painted_pixels(numbers == placed.mask, preprocessing),
        )
        for placed in cartoon.read_scene(scene).objects
        if placed.paint is not None
    ]


def painted_pixels(mask: NDArray[np.bool_], preprocessing: Preprocessing) -> Tensor:
    """Find the wholly painted pixels of the test's square: mask (H, W) of the file → bool (S, S).

    The mask goes through the same crop and filter as the image, as a plane of weights; with
    the negative weights of Lanczos they may add up to more than 1.
    """
    plane = Image.fromarray(mask.astype(np.float32))
    weights = np.asarray(fit_square(plane, preprocessing))
    return torch.from_numpy(np.abs(weights - 1) <= SPILL)


# ---- the paint of one object ---------------------------------------------------------------------


def predicted_paint(rgb8: Tensor, mask: Tensor) -> str:
    """Name the paint of an object in an output, or `none`: uint8 (3, S, S), bool (S, S) → name.

    Each pixel has the paint within NEAR of its a*, b*, if there is one, and the object has the
    paint of more than half of its pixels. Pixels are classified one by one, since the mean of an
    object that is half orange and half magenta is red, and since bleeding color shifts a mean.
    """
    if rgb8.shape[1:] != mask.shape:
        raise ValueError(f"an image {tuple(rgb8.shape)} does not fit a mask {tuple(mask.shape)}")
    ab = rgb_to_lab(rgb_from_8bit(rgb8[:, mask])[None, :, :, None])[0, 1:, :, 0].T
    near = torch.linalg.vector_norm(ab[:, None] - _PAINT_AB, dim=2) < NEAR
    pixels = near.sum(dim=0)
    most = int(pixels.argmax())
    return list(PAINTS)[most] if 2 * int(pixels[most]) > len(ab) else NONE


def outcome_colors() -> dict[str, tuple[float, float, float]]:
    """The color of each paint, sRGB in [0, 1], and of `none`, which has the mean of the paints."""
    colors = {name: _unit_rgb(np.array(paint.lab)) for name, paint in PAINTS.items()}
    mean = sum(paint.probability * np.array(paint.lab) for paint in PAINTS.values())
    return {**colors, NONE: _unit_rgb(np.asarray(mean))}


def _unit_rgb(lab: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (lab_to_srgb(lab) / 255).tolist()
    return red, green, blue


# ---- all objects in all samples ------------------------------------------------------------------


def calibrate(objects: PaintedObjects, samples: Sequence[Sequence[str]]) -> Calibration:
    """Compare the predicted paints with their distribution in the truth.

    samples: the predicted paint of each object, for each sample.
    """
    found, counts = objects.objects, _counts(samples)
    kinds = np.array([painted.kind for painted in found])
    files = np.array([painted.file for painted in found])
    truth = _counts([[painted.paint for painted in found]])
    per_object, per_object_perfect = None, None
    if len(samples) > 1:
        per_object = _mean(total_variation(counts), files)
        per_object_perfect = float(perfect_sampler(len(samples)).mean())
    return Calibration(
        n_samples=len(samples),
        n_left_out=objects.n_left_out,
        probabilities=dict(PROBABILITIES),
        overall=_paint_shares(counts, truth, files),
        kinds={
            str(kind): _paint_shares(*(values[kinds == kind] for values in (counts, truth, files)))
            for kind in sorted(set(kinds))
        },
        per_object=per_object,
        per_object_perfect=per_object_perfect,
    )


def object_table(objects: PaintedObjects, samples: Sequence[Sequence[str]]) -> pd.DataFrame:
    """One row an object: its image, kind and true paint, the share of samples with each outcome,
    and the total variation between these shares and PROBABILITIES."""
    found, counts = objects.objects, _counts(samples)
    table = pd.DataFrame(
        {
            "file": [painted.file for painted in found],
            "object": [painted.number for painted in found],
            "kind": [painted.kind for painted in found],
            "pixels": [int(painted.mask.sum()) for painted in found],
            "paint": [painted.paint for painted in found],
            "samples": len(samples),
        }
    )
    shares = pd.DataFrame(counts / len(samples), columns=list(PROBABILITIES))
    return table.join(shares).assign(total_variation=total_variation(counts))


def total_variation(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Total variation between shares and PROBABILITIES: counts (..., 6) → (...), from 0 to 1.

    It is half the sum of the absolute differences: the share of draws that should have differed.
    """
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.abs(shares - list(PROBABILITIES.values())).sum(axis=-1) / 2


def perfect_sampler(draws: int) -> NDArray[np.float64]:
    """The total variation of `draws` draws from PROBABILITIES, simulated RESAMPLES times."""
    rng = np.random.default_rng(SEED)
    return total_variation(rng.multinomial(draws, list(PROBABILITIES.values()), RESAMPLES))


def _counts(samples: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Count each outcome of each object: K samples of O objects → (O, 6)."""
    taken = np.array(samples)
    return np.stack([(taken == name).sum(axis=0) for name in PROBABILITIES], axis=-1)


def _paint_shares(
    counts: NDArray[np.int64], truth: NDArray[np.int64], files: NDArray[np.str_]
) -> PaintShares:
    by_image = _by_image(counts, files)
    total, resampled = by_image.sum(axis=0), resampled_sums(by_image)
    parts = resampled / resampled.sum(axis=1, keepdims=True)
    perfect = perfect_sampler(int(total.sum()))
    perfect_high = float(np.quantile(perfect, LEVEL))
    apart = _estimate(float(total_variation(total)), total_variation(resampled), len(by_image))
    if apart.low is not None and apart.value <= perfect_high:
        # Resampling adds variance, so its interval never reaches down to 0 by itself.
        apart = apart.model_copy(update={"low": 0.0})
    return PaintShares(
        n_objects=len(counts),
        n_images=len(by_image),
        shares={
            name: _estimate(float(total[column] / total.sum()), parts[:, column], len(by_image))
            for column, name in enumerate(PROBABILITIES)
        },
        total_variation=apart,
        truth=float(total_variation(truth.sum(axis=0))),
        perfect=float(perfect.mean()),
        perfect_high=perfect_high,
    )


def _mean(values: NDArray[np.float64], files: NDArray[np.str_]) -> Estimate:
    """The mean over objects of one value each, with its interval over images."""
    sums = _by_image(np.stack([values, np.ones_like(values)], axis=-1), files)
    resampled = resampled_sums(sums)
    total, count = sums.sum(axis=0)  # in the order of the images' names, whatever theirs is here
    return _estimate(float(total / count), resampled[:, 0] / resampled[:, 1], len(sums))


def _by_image(values: NDArray[Any], files: NDArray[np.str_]) -> NDArray[Any]:
    """Sum the values of the objects of each image: (O, C) → (images, C)."""
    names, rows = np.unique(files, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]), values.dtype)
    np.add.at(sums, rows, values)
    return sums


def _estimate(value: float, resampled: NDArray[np.float64], n_images: int) -> Estimate:
    if n_images < 2:
        return Estimate(value=value, low=None, high=None)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Estimate(value=value, low=low, high=high)
