"""The way from noise to color, for people: a strip of images and an animation.

Both show, at each step of a coloring, the state that the step starts from and the estimate of the
image that is made of it: noise turns into color in the one, the colors settle in the other.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_8bit
from benchmark.figures.images import grid, save_grid
from benchmark.files import replacing

COLUMNS, MOMENTS = 12, 60
"""The most that a strip shows, its end included, and the most of an animation before its end."""
SIDE = 256
"""About how many pixels the longer side of an image has in an animation."""
LENGTH, QUICKEST, SLOWEST, HOLD = 3000, 50, 250, 1500
"""Milliseconds: of an animation up to its end, of one of its images, and of its end."""


@dataclass(frozen=True)
class Moment:
    """What there is at a step, uint8, (B, 3, H, W) each; of one image (3, H, W)."""

    title: str
    state: Tensor
    estimate: Tensor


class Frames:
    """The `on_step` of a coloring, which keeps what is shown of it.

    No more than `MOMENTS` of the steps are kept, in 8 bits and on the CPU, so memory does not grow
    with their number.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.moments: list[Moment] = []

    def __call__(self, step: int, steps: int, state: Tensor, estimate: Tensor) -> None:
        self.steps = steps
        if step in spread(steps, MOMENTS):
            seen = [rgb_to_8bit(rgb).cpu() for rgb in (state, estimate)]
            self.moments.append(Moment(f"step {step}", *seen))

    def save(self, row: int, image: Tensor, strip: Path, animation: Path) -> None:
        """Write the way of one image of the batch: a strip (PNG), and an animation (WebP).

        image: what the way ended in, sRGB (3, H, W). RuntimeError if no step was ever told of.
        """
        if not self.moments:
            raise RuntimeError("a model whose sampling has `steps` must call on_step at each")
        way = [Moment(each.title, each.state[row], each.estimate[row]) for each in self.moments]
        end = rgb_to_8bit(image).cpu()
        save_strip(strip, way, end)
        save_animation(animation, way, end, self.steps)


def spread(total: int, most: int) -> list[int]:
    """At most `most` (≥ 2) of 1 … total, as evenly as may be, the first and the last included."""
    if total <= most:
        return list(range(1, total + 1))
    return [1 + i * (total - 1) // (most - 1) for i in range(most)]


def save_strip(path: Path, way: list[Moment], end: Tensor) -> None:
    """PNG: a row of states, a row of estimates, and where both end; uint8 (3, H, W) each."""
    chosen = [way[place - 1] for place in spread(len(way), COLUMNS - 1)]
    columns = {each.title: _pair(each.state, each.estimate) for each in chosen}
    columns["image"] = _pair(end, end)
    save_grid(path, columns, row_titles=("state", "estimate"))


def save_animation(path: Path, way: list[Moment], end: Tensor, steps: int) -> None:
    """WebP without loss, repeated for ever: state beside estimate, then the end, held a while."""
    shown = [(f"{each.title} of {steps}", each.state, each.estimate) for each in way]
    sheets = [
        grid({title: _one(state), "estimate": _one(estimate)}, SIDE)
        for title, state, estimate in [*shown, ("image", end, end)]
    ]
    each = min(max(LENGTH // len(way), QUICKEST), SLOWEST)
    with replacing(path) as part:
        sheets[0].save(
            part,
            format="WEBP",
            save_all=True,
            append_images=sheets[1:],
            duration=[each] * len(way) + [HOLD],
            loop=0,
            lossless=True,
        )


def _one(rgb8: Tensor) -> Tensor:
    return rgb_from_8bit(rgb8[None])


def _pair(above: Tensor, below: Tensor) -> Tensor:
    return rgb_from_8bit(torch.stack([above, below]))
