"""Color at full resolution that follows the edges of the photo's lightness.

A model predicts ab at its own size, many times smaller than a photo, and what is enlarged plainly
bleeds over every edge. So around each small pixel ab is taken for a linear function of L*, as by a
guided filter (He, Sun and Tang 2013), whose coefficients alone are enlarged (He and Sun 2015). What
the result, reduced again, differs from the prediction is added, enlarged bicubically, so that no
color is lost to the filter. All works in strips of rows, so that memory hardly grows with a photo.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import box_blur
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

WINDOW = (3, 3)
"""Small pixels over which ab is linear in L*."""
EPSILON = 1e-3 * 100**2
"""The variance of L* (in [0, 100]) in a window below which ab hardly follows it."""

Strip = tuple[int, int]
"""The first row of a strip, and the row after its last one."""


def reduce(planes: Tensor, height: int, width: int) -> Tensor:
    """Reduce (1, C, H, W) bicubically, with antialiasing."""
    return F.interpolate(planes, (height, width), mode="bicubic", antialias=True)


def reduce_strips(
    read: Callable[[Strip], Tensor], strips: Sequence[Strip], height: int, width: int
) -> Tensor:
    """Reduce planes that are read in strips to (1, C, height, width), as `reduce` does.

    read: returns the rows of a strip, (1, C, rows, W).
    """
    # The reduction is separable, so that of the rows can be done strip by strip.
    narrow = []
    for strip in strips:
        rows = read(strip)
        narrow.append(reduce(rows, rows.shape[2], width))
    return reduce(torch.cat(narrow, dim=2), height, width)


class GuidedColor:
    """The ab of a photo at its full resolution.

    size: (height, width) of the photo. ab: (1, 2, h, w), over the whole photo. lightness: returns
    the L* of a strip, (1, 1, rows, width). strips: of the photo, from the top to the bottom.
    """

    def __init__(
        self,
        size: tuple[int, int],
        ab: Tensor,
        lightness: Callable[[Strip], Tensor],
        strips: Sequence[Strip],
    ) -> None:
        self.height, self.width = size
        small = (ab.shape[2], ab.shape[3])
        self.plain, self.slopes, self.offsets = _Planes(ab.float()), None, None
        if self.height <= small[0] or self.width <= small[1]:
            return  # nothing is enlarged
        reduced = reduce_strips(lightness, strips, *small)
        slopes, offsets = _coefficients(reduced, ab.float())
        self.slopes, self.offsets = _Planes(slopes), _Planes(offsets)
        guided = reduce_strips(lambda s: self._guided(s, lightness(s)), strips, *small)
        missing = ab.float() - guided
        self.plain = _Planes(missing)

    def strip(self, strip: Strip, lightness: Tensor) -> Tensor:
        """Return the ab of a strip, (1, 2, rows, W), whose L* is `lightness`, (1, 1, rows, W)."""
        plain = self.plain.enlarge(strip, self.height, self.width, Image.Resampling.BICUBIC)
        return plain if self.slopes is None else plain + self._guided(strip, lightness)

    def _guided(self, strip: Strip, lightness: Tensor) -> Tensor:
        assert self.slopes is not None and self.offsets is not None  # noqa: PT018
        slopes, offsets = (
            planes.enlarge(strip, self.height, self.width, Image.Resampling.BILINEAR)
            for planes in (self.slopes, self.offsets)
        )
        return slopes * lightness + offsets


def _coefficients(lightness: Tensor, ab: Tensor) -> tuple[Tensor, Tensor]:
    """The slopes and offsets of ab over L*, averaged over the windows of each pixel."""

    def mean(planes: Tensor) -> Tensor:
        return box_blur(planes, WINDOW, border_type="replicate")

    mean_l, mean_ab = mean(lightness), mean(ab)
    covariance = mean(lightness * ab) - mean_l * mean_ab
    variance = mean(lightness**2) - mean_l**2
    slopes = covariance / (variance + EPSILON)
    return mean(slopes), mean(mean_ab - slopes * mean_l)


class _Planes:
    """Small planes, (1, C, h, w), of which strips are enlarged."""

    def __init__(self, planes: Tensor) -> None:
        self.height, self.width = planes.shape[2:]
        arrays: list[NDArray[np.float32]] = [*np.ascontiguousarray(planes[0].numpy())]
        self.images = [Image.fromarray(plane) for plane in arrays]

    def enlarge(self, strip: Strip, height: int, width: int, method: Image.Resampling) -> Tensor:
        """Return the rows of a strip at full size, (1, C, rows, width)."""
        top, bottom = strip
        scale = self.height / height
        box = (0, top * scale, self.width, min(bottom * scale, self.height))
        enlarged = [plane.resize((width, bottom - top), method, box) for plane in self.images]
        return torch.from_numpy(np.stack([np.asarray(plane) for plane in enlarged]))[None]
