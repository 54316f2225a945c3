"""Coloring of a photo at its full resolution, in strips, so that memory hardly grows with it.

The network sees the whole photo, reduced to the size that it was trained at. Only its color is
enlarged, and joined to the photo's own lightness.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.color import join, rgb8_to_lab, rgb_to_lab
from benchmark.colorizer import Colorizer, OnStep, Sampling
from benchmark.figures.images import to_image
from benchmark.inference.hints import SIDE, Hints, spread_hints
from benchmark.inference.upsampling import GuidedColor, Strip, reduce_strips
from benchmark.randomness import derive_seed

STRIP_PIXELS = 2**18
"""The approximate number of pixels of a strip: some 70 MB of intermediate values."""
LONGEST_RATIO = 100
"""The most that the long side of the network's input is of its short side.

So the input is at most as large as a batch of 100 of the squares that it was trained on.
"""


@dataclass(frozen=True)
class PhotoColorizer:
    """A trained model with all that it needs to color photos.

    size: the side in pixels of the squares that it was trained on. seed: of the run; with a photo's
    name it gives the photo's own seed.
    """

    model: Colorizer
    size: int
    seed: int
    sampling: Sampling
    device: torch.device

    def color(
        self,
        image: Image.Image,
        name: str,
        on_step: OnStep | None = None,
        *,
        sample: int = 0,
        strength: float = 1.0,
        hints: Hints | None = None,
    ) -> Tensor:
        """Color an image in 8-bit sRGB in place.

        name: the file name of the photo. on_step: as of `Colorizer.colorize`. sample: the number of
        the draw, of a model that draws. strength: what chroma is multiplied by. hints: colors that
        are given, which strength does not change.
        Returns the model's own output at the size that it works at: sRGB in [0, 1], (3, h, w).
        """
        height, width = network_size(image.height, image.width, self.size)
        lightness = reduce_lightness(image, height, width).to(self.device)
        seeds = [derive_seed(self.seed, name, sample)]
        rgb = self.model.colorize(lightness, seeds=seeds, sampling=self.sampling, on_step=on_step)
        ab = strength * rgb_to_lab(rgb)[:, 1:].cpu()
        join_color(image, ab if hints is None else follow_hints(image, ab, hints))
        return rgb[0]


def network_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Return the height and width at which the network sees a photo: its short side is `size`.

    The long side is at most LONGEST_RATIO times that; a longer photo is compressed along it.
    """
    scale = size / min(height, width)
    sides = (max(size, round(side * scale)) for side in (height, width))
    small_height, small_width = (min(side, LONGEST_RATIO * size) for side in sides)
    return small_height, small_width


def follow_hints(image: Image.Image, ab: Tensor, hints: Hints) -> Tensor:
    """Return the ab of an image, (1, 2, h, w), with the hints' colors spread from their places."""
    side = min(SIDE, *image.size)
    height, width = network_size(image.height, image.width, side)
    lightness = reduce_lightness(image, height, width)
    whole = (0, height)
    color = GuidedColor((height, width), ab, lambda _: lightness, [whole])
    enlarged = color.strip(whole, lightness)
    return spread_hints(lightness, enlarged, hints.reduced(height, width))


def is_compressed(height: int, width: int) -> bool:
    """Whether the network sees a photo compressed along its long side."""
    return max(height, width) > LONGEST_RATIO * min(height, width)


def reduce_lightness(image: Image.Image, height: int, width: int) -> Tensor:
    """Return the L* of an image in 8-bit sRGB, reduced bicubically to (1, 1, height, width)."""
    read = partial(lightness_of, image)
    return reduce_strips(read, [*strips(image)], height, width).clamp(0, 100)


def join_color(image: Image.Image, ab: Tensor) -> None:
    """Replace the color of an image in 8-bit sRGB by `ab`, enlarged along the edges of its L*.

    ab: (1, 2, h, w), over the whole image. The image keeps its lightness.
    """
    read, parts = partial(lightness_of, image), [*strips(image)]
    color = GuidedColor((image.height, image.width), ab, read, parts)
    for strip in parts:  # of which each is read before it is written
        lightness = read(strip)
        rgb = join(lightness, color.strip(strip, lightness))
        image.paste(to_image(rgb[0]), (0, strip[0]))


def strips(image: Image.Image) -> Iterator[Strip]:
    """Yield the first row of each strip of an image, and the row after its last one."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, min(top + rows, image.height)


def lightness_of(image: Image.Image, rows: Strip) -> Tensor:
    """Return the L* of a strip of an image in 8-bit sRGB: (1, 1, rows, W)."""
    top, bottom = rows
    strip = np.array(image.crop((0, top, image.width, bottom)))
    return rgb8_to_lab(torch.from_numpy(strip).permute(2, 0, 1)[None])[:, :1].clamp(0, 100)
