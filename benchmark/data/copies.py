"""Copies of images in two sets: the same pixels in another file, and images that look the same."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.color import rgb_from_8bit
from benchmark.data.cache import ImageSet
from benchmark.data.rows import Rows

AT_ONCE = 256
SIDE = 16
"""The side of the thumbnails by which images are compared."""
NEAREST, NEAR, OF_CONTRAST = 3 / 255, 10 / 255, 0.35
"""Two images look the same if the root mean square distance of their thumbnails, sRGB in [0, 1], is
below OF_CONTRAST times the standard deviation of one, but at least NEAREST and at most NEAR."""


def exact_copies(images: ImageSet, others: ImageSet) -> dict[int, int]:
    """Map the rows of images that `others` holds too to the rows there.

    Their files have the same content, or the same decoded pixels, whatever the format and the
    comments.
    """
    by_file = {image.digest: row for row, image in enumerate(others.files)}
    by_pixels = {content: row for row, content in enumerate(others.contents)}
    copies = {row: by_pixels[c] for row, c in enumerate(images.contents) if c in by_pixels}
    same = {r: by_file[i.digest] for r, i in enumerate(images.files) if i.digest in by_file}
    return copies | same


def near_copies(images: ImageSet, others: ImageSet) -> Iterator[tuple[int, int]]:
    """Yield the rows of images and of the image in `others` that looks the same, or its mirror.

    Such images were resized or compressed again, or differ in details.
    """
    if not len(images) or not len(others):
        return
    these, those = (thumbnails(one.rgb8) for one in (images, others))
    both = torch.cat([those.flatten(1), those.flip(-1).flatten(1)])
    for start in range(0, len(these), AT_ONCE):
        part = these[start : start + AT_ONCE]
        distances, nearest = _distances(part, both).min(dim=1)
        near = distances < _limits(part)
        for index in near.nonzero().flatten().tolist():
            yield start + index, int(nearest[index]) % len(others)


def near_pairs(sets: Sequence[ImageSet]) -> Iterator[tuple[str, str]]:
    """Yield the names of the images that look the same as another of any set, or its mirror.

    Each pair is yielded once, an image with the first of those before it that it looks like.
    """
    names = [image.name for one in sets for image in one.files]
    if not names:
        return
    these = torch.cat([thumbnails(one.rgb8) for one in sets if len(one)])
    plain, mirrored = these.flatten(1), these.flip(-1).flatten(1)
    for start in range(0, len(these), AT_ONCE):
        part = these[start : start + AT_ONCE]
        end = start + len(part)  # the images before the last of this part
        distances = torch.minimum(_distances(part, plain[:end]), _distances(part, mirrored[:end]))
        near = (distances < _limits(part)[:, None]).tril(start - 1)
        first = near.int().argmax(dim=1)
        for index in near.any(dim=1).nonzero().flatten().tolist():
            yield names[start + index], names[int(first[index])]


def _distances(these: Tensor, those: Tensor) -> Tensor:
    """Root mean square distances: (A, 3, SIDE, SIDE) and (B, 3 · SIDE²) → (A, B)."""
    return torch.cdist(these.flatten(1), those) / those.shape[1] ** 0.5


def _limits(images: Tensor) -> Tensor:
    """The distance below which another image looks the same: (A, 3, SIDE, SIDE) → (A,)."""
    return (OF_CONTRAST * images.std(dim=(2, 3)).mean(dim=1)).clamp(NEAREST, NEAR)


def thumbnails(rgb8: Rows) -> Tensor:
    """Reduce uint8 (N, 3, S, S) to sRGB in [0, 1], (N, 3, SIDE, SIDE), bilinear, antialiased."""
    parts = (rgb_from_8bit(rgb8[start : start + 256]) for start in range(0, len(rgb8), 256))
    size = (SIDE, SIDE)
    return torch.cat([F.interpolate(x, size, mode="bilinear", antialias=True) for x in parts])
