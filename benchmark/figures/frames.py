"""The sampling of an image from noise to color, drawn as a strip of images and as an animation.

Both show, at each step of a sampler, the state from which the step starts and the estimate of the
final image that the model makes of it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_8bit
from benchmark.figures.images import grid, save_grid
from benchmark.files import replacing

STRIP_COLUMNS = 12
"""The most columns of a strip, the final image included."""
ANIMATION_FRAMES = 60
"""The most frames of an animation, the final image not included."""
SIDE = 256
"""The approximate length in pixels of the longer side of an image in an animation."""
LENGTH, SHORTEST, LONGEST, HOLD = 3000, 50, 250, 1500
"""Milliseconds of an animation: its length up to the last frame, the shortest and the longest time
that one of these frames is shown, and the time of the last frame."""


@dataclass(frozen=True)
class Frame:
    """One step of a sampler as 8-bit images.

    title: the number of the step. state: the image from which the step starts.
    estimate: the final image as the model estimates it at this step.
    Both are uint8, (B, 3, H, W) for a batch and (3, H, W) for one image.
    """

    title: str
    state: Tensor
    estimate: Tensor


class Frames:
    """An `on_step` of `Colorizer.colorize` that keeps the steps to be shown.

    At most ANIMATION_FRAMES steps are kept, in 8 bits and on the CPU, so memory does not grow with
    their number.

    steps: how many steps the sampler takes. kept: the frames of a batch.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.kept: list[Frame] = []

    def __call__(self, step: int, steps: int, state: Tensor, estimate: Tensor) -> None:
        """Keep step `step` (from 1) of `steps`; images in sRGB in [0, 1], (B, 3, H, W)."""
        self.steps = steps
        if step in spread(steps, ANIMATION_FRAMES):
            images = [rgb_to_8bit(rgb).cpu() for rgb in (state, estimate)]
            self.kept.append(Frame(f"step {step}", *images))

    def save(self, row: int, image: Tensor, strip: Path, animation: Path) -> None:
        """Write the frames of one image of the batch: a strip (PNG) and an animation (WebP).

        image: the final image, sRGB in [0, 1], (3, H, W). RuntimeError if no step was reported.
        """
        if not self.kept:
            raise RuntimeError("a model whose sampling has `steps` must call on_step at every step")
        frames = [Frame(each.title, each.state[row], each.estimate[row]) for each in self.kept]
        final = rgb_to_8bit(image).cpu()
        save_strip(strip, frames, final)
        save_animation(animation, frames, final, self.steps)


def spread(total: int, most: int) -> list[int]:
    """Choose at most `most` (≥ 2) of 1 … total, spread evenly, the first and the last included."""
    if total <= most:
        return list(range(1, total + 1))
    return [1 + i * (total - 1) // (most - 1) for i in range(most)]


def save_strip(path: Path, frames: list[Frame], final: Tensor) -> None:
    """Write a PNG with a row of states above a row of estimates; both end in the final image.

    final: uint8 (3, H, W).
    """
    chosen = [frames[place - 1] for place in spread(len(frames), STRIP_COLUMNS - 1)]
    columns = {each.title: _pair(each.state, each.estimate) for each in chosen}
    columns["image"] = _pair(final, final)
    save_grid(path, columns, row_titles=("state", "estimate"))


def save_animation(path: Path, frames: list[Frame], final: Tensor, steps: int) -> None:
    """Write a lossless WebP that repeats forever: state beside estimate, then the final image.

    final: uint8 (3, H, W). steps: how many steps the sampler takes, for the titles.
    """
    titled = [(f"{each.title} of {steps}", each.state, each.estimate) for each in frames]
    sheets = [
        grid({title: _batch_of_one(state), "estimate": _batch_of_one(estimate)}, SIDE)
        for title, state, estimate in [*titled, ("image", final, final)]
    ]
    duration = min(max(LENGTH // len(frames), SHORTEST), LONGEST)
    with replacing(path) as part:
        sheets[0].save(
            part,
            format="WEBP",
            save_all=True,
            append_images=sheets[1:],
            duration=[duration] * len(frames) + [HOLD],
            loop=0,
            lossless=True,
        )


def _batch_of_one(rgb8: Tensor) -> Tensor:
    return rgb_from_8bit(rgb8[None])


def _pair(above: Tensor, below: Tensor) -> Tensor:
    return rgb_from_8bit(torch.stack([above, below]))
