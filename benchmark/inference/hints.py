"""Colors that a user gives for parts of a photo, spread along its lightness.

The networks here take no hints, so what is spread is the difference between the given colors and
those of the model, by the optimization of Levin, Lischinski and Weiss (Colorization using
optimization, 2004): neighbors of similar lightness get similar differences. It fades with the
distance, and where no color was given near, the model's color stays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu
from torch import Tensor

from benchmark.color import rgb8_to_lab
from benchmark.errors import UserError

OPAQUE = 128
"""The alpha, of 255, from which on a pixel of the hints gives a color."""
SIDE = 256
"""The short side in pixels, of the photo reduced, at which colors are spread."""
FADING = 3e-5
"""What a difference loses from neighbor to neighbor: in a plain region, a line of hints fades to a
third over some 110 pixels, of SIDE."""
LEAST_VARIANCE = 2e-6
"""The least variance of lightness, in [0, 1], in a window of 3×3 pixels."""
SPREAD = 0.6
"""The share of a window's variance that its weights are made with, as the paper's authors do."""


@dataclass(frozen=True)
class Hints:
    """Colors for some pixels of a photo. ab: float32 (1, 2, H, W); given: bool (1, 1, H, W)."""

    ab: Tensor
    given: Tensor

    def reduced(self, height: int, width: int) -> "Hints":
        """Return the hints of the reduced photo: a pixel has the mean of the colors in it."""
        given = self.given.float()
        share = F.adaptive_avg_pool2d(given, (height, width))
        total = F.adaptive_avg_pool2d(self.ab * given, (height, width))
        return Hints(total / share.clamp(min=1e-6), share > 0)


def read_hints(path: Path, size: tuple[int, int]) -> Hints:
    """Read hints: an image with alpha, which gives a color where it is opaque.

    size: (width, height) of the photo, as it is shown. UserError if the file cannot be read, has
    another size or no alpha, or gives no color.
    """
    try:
        with Image.open(path) as image:
            has_alpha = image.has_transparency_data
            rgba = np.array(image.convert("RGBA"))
    except FileNotFoundError:
        raise UserError(f"--hint: there is no image {path}; check the path.") from None
    except Exception as error:  # whatever a damaged file makes Pillow raise
        raise UserError(f"--hint: {path} cannot be decoded; save it as PNG.") from error
    height, width = rgba.shape[:2]
    if (width, height) != size:
        raise UserError(
            f"--hint: {path} has {width}×{height} pixels and the photo {size[0]}×{size[1]}; draw "
            "the hints on a layer of the photo's size."
        )
    if not has_alpha:
        raise UserError(
            f"--hint: {path} has no transparent pixels, so it would give every color; save the "
            "hints alone, as PNG with a transparent background."
        )
    given = rgba[..., 3] >= OPAQUE
    if not given.any():
        raise UserError(f"--hint: {path} has no opaque pixel; draw some colors.")
    rgb8 = torch.from_numpy(np.ascontiguousarray(rgba[..., :3])).permute(2, 0, 1)[None]
    return Hints(rgb8_to_lab(rgb8)[:, 1:], torch.from_numpy(given)[None, None])


def spread_hints(lightness: Tensor, ab: Tensor, hints: Hints) -> Tensor:
    """Return ab with the hints' colors where they are given, and spread from there along L*.

    lightness: (1, 1, h, w) in [0, 100]. ab: of the model, (1, 2, h, w); hints: of that size.
    """
    height, width = lightness.shape[2:]
    given = hints.given.flatten().numpy()
    matrix = _system(lightness[0, 0].double().numpy() / 100, given)
    wanted = (hints.ab - ab).flatten(2)[0].double().numpy() * given
    found = np.ascontiguousarray(splu(matrix).solve(wanted.T).T)
    return ab + torch.from_numpy(found).float().view(1, 2, height, width)


def _system(lightness: NDArray[np.float64], given: NDArray[np.bool_]) -> csc_matrix:
    """The equations of the differences d: d is as wanted where it is given, and elsewhere
    (1 + FADING) d = Σ w d over the neighbors, whose weights w add up to 1."""
    height, width = lightness.shape
    index = np.arange(height * width).reshape(height, width)
    padded = np.pad(lightness, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    variance = windows.var(axis=(2, 3))
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    places = [_shifted(index, -1, *shift) for shift in shifts]
    squares = np.stack([(_shifted(lightness, np.nan, *s) - lightness) ** 2 for s in shifts])
    # So that the nearest neighbor in lightness has at least a weight of 0.01.
    nearest = np.nanmin(squares, axis=0)
    spread = np.maximum(np.maximum(SPREAD * variance, -nearest / np.log(0.01)), LEAST_VARIANCE)
    weights = np.nan_to_num(np.exp(-squares / spread))
    weights /= weights.sum(axis=0)
    free = ~given.reshape(height, width)
    rows, columns, values = [index.ravel()], [index.ravel()], [np.ones(index.size)]
    values[0][free.ravel()] += FADING
    for place, weight in zip(places, weights, strict=True):
        used = (place >= 0) & free
        rows.append(index[used])
        columns.append(place[used])
        values.append(-weight[used])
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csc_matrix(entries, shape=(index.size, index.size))


def _shifted(plane: NDArray[Any], outside: float, down: int, right: int) -> NDArray[Any]:
    """The plane whose pixel (y, x) is that at (y + down, x + right), or `outside`."""
    height, width = plane.shape
    padded = np.pad(plane, 1, constant_values=outside)
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
