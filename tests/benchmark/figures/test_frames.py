"""Strips and animations of the steps of a sampling, pixel by pixel, and the memory they need."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from benchmark.color import rgb_from_8bit
from benchmark.figures.frames import ANIMATION_FRAMES, STRIP_COLUMNS, Frames, spread
from benchmark.figures.images import GAP, HEAD, MARGIN

SIZE = 32


def any_images(count: int) -> Tensor:
    """Return different random 8-bit images as sRGB in [0, 1], (count, 3, S, S)."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, 3, SIZE, SIZE)
    return rgb_from_8bit(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))


def sampled(steps: int) -> tuple[Frames, Tensor, Tensor]:
    """Return the frames of two images, and the states and estimates of the second, (steps, …)."""
    frames = Frames()
    states, estimates = any_images(2 * steps).unflatten(0, (steps, 2)), any_images(steps)
    for step, (state, estimate) in enumerate(zip(states, estimates, strict=True), start=1):
        frames(step, steps, state, torch.stack([state[0], estimate]))
    return frames, states[:, 1], estimates


def pixels(image: Image.Image) -> Tensor:
    """Return an image as sRGB in [0, 1], (3, H, W)."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255


def cell(sheet: Tensor, row: int, column: int, side: int, left: int = 0) -> Tensor:
    """Return one image of a grid, reduced to its original size."""
    y, x = HEAD + GAP + row * (side + GAP), left + GAP + column * (side + GAP)
    scale = side // SIZE
    return sheet[:, y : y + side, x : x + side][:, ::scale, ::scale]


@given(st.integers(1, 4000), st.integers(2, 100))
def test_steps_are_spread_evenly_from_the_first_to_the_last(total: int, most: int) -> None:
    chosen = spread(total, most)
    assert len(chosen) == min(total, most)
    assert (chosen[0], chosen[-1]) == (1, total)
    gaps = set(np.diff(chosen).tolist())
    assert all(gap >= 1 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("steps", [1, 5, 30])
def test_a_strip_shows_states_above_estimates_and_ends_in_the_final_image(
    steps: int, tmp_path: Path
) -> None:
    frames, states, estimates = sampled(steps)
    final = any_images(3)[2]
    frames.save(1, final, tmp_path / "strip.png", tmp_path / "animation.webp")
    with Image.open(tmp_path / "strip.png") as image:
        sheet = pixels(image)
    columns = min(steps + 1, STRIP_COLUMNS)
    assert sheet.shape[2] == MARGIN + GAP + columns * (128 + GAP)
    for column, step in enumerate(spread(steps, STRIP_COLUMNS - 1)):
        assert torch.equal(cell(sheet, 0, column, 128, MARGIN), states[step - 1])
        assert torch.equal(cell(sheet, 1, column, 128, MARGIN), estimates[step - 1])
    for row in range(2):
        assert torch.equal(cell(sheet, row, columns - 1, 128, MARGIN), final)


@pytest.mark.parametrize(("steps", "each"), [(1, 250), (20, 150)])
def test_an_animation_shows_all_steps_and_pauses_at_the_final_image(
    steps: int, each: int, tmp_path: Path
) -> None:
    frames, states, estimates = sampled(steps)
    final = any_images(3)[2]
    frames.save(1, final, tmp_path / "strip.png", tmp_path / "animation.webp")
    with Image.open(tmp_path / "animation.webp") as image:
        assert image.info["loop"] == 0  # repeats forever
        assert image.n_frames == steps + 1  # type: ignore[attr-defined]
        shown = [*zip(states, estimates, strict=True), (final, final)]
        for index, (state, estimate) in enumerate(shown):
            image.seek(index)
            sheet = pixels(image)
            assert torch.equal(cell(sheet, 0, 0, 256), state)
            assert torch.equal(cell(sheet, 0, 1, 256), estimate)
            assert image.info["duration"] == (each if index < steps else 1500)


def test_only_the_steps_of_the_animation_are_kept_in_memory() -> None:
    frames = Frames()
    batch = torch.rand(2, 3, SIZE, SIZE)
    for step in range(1, 1001):
        frames(step, 1000, batch, batch)
    titles = [frame.title for frame in frames.kept]
    assert (len(titles), titles[0], titles[-1]) == (ANIMATION_FRAMES, "step 1", "step 1000")
    kept = [image for frame in frames.kept for image in (frame.state, frame.estimate)]
    assert {image.dtype for image in kept} == {torch.uint8}


def test_a_model_that_reports_no_step_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on_step"):
        Frames().save(0, torch.rand(3, SIZE, SIZE), tmp_path / "a.png", tmp_path / "a.webp")
    assert not list(tmp_path.iterdir())
