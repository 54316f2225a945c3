"""Crops are exact windows of an image or its mirror image; they depend on the seed and the step."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare
from torch import Tensor

from benchmark.data.augmentation import augment, stored_size
from benchmark.randomness import Randomness

SIDE, SIZE = 18, 14
MARGIN = SIDE - SIZE


def source(n: int) -> Tensor:
    """Return images in which the channels of a pixel encode its column, its row and its image."""
    position = torch.arange(SIDE) / 256
    columns, rows = position.expand(SIDE, SIDE), position[:, None].expand(SIDE, SIDE)
    image = (torch.arange(n) / n)[:, None, None].expand(n, SIDE, SIDE)
    return torch.stack([columns.expand(n, -1, -1), rows.expand(n, -1, -1), image], 1).contiguous()


def draw(n: int, seed: int = 0, step: int = 0) -> Tensor:
    return augment(source(n), SIZE, "crop", Randomness(seed, step, torch.device("cpu")))


def windows(images: Tensor) -> list[tuple[int, int, bool]]:
    """Return (left, top, mirrored) of each crop, after a check that it is exactly that window."""
    found = []
    for row, (whole, window) in enumerate(zip(source(len(images)), images, strict=True)):
        mirrored = bool(window[0, 0, 0] > window[0, 0, -1])
        upright = window.flip(-1) if mirrored else window
        left, top = (round(float(value) * 256) for value in upright[:2, 0, 0])
        expected = whole[:, top : top + SIZE, left : left + SIZE]
        assert torch.equal(upright, expected), row
        found.append((left, top, mirrored))
    return found


def test_every_crop_is_a_window_and_all_are_equally_likely() -> None:
    counts = Counter(windows(draw(2000)))
    possible = [
        (left, top, mirrored)
        for left in range(MARGIN + 1)
        for top in range(MARGIN + 1)
        for mirrored in (False, True)
    ]
    assert set(counts) == set(possible)
    assert chisquare([counts[window] for window in possible]).pvalue > 0.001


@pytest.mark.parametrize("value", [0.0, 1 - 2**-24])
def test_the_smallest_and_the_largest_draw_give_windows_inside_the_image(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Randomness, "uniform", lambda self, *shape: torch.full(shape, value))
    expected = (0, 0, True) if value == 0 else (MARGIN, MARGIN, False)
    assert windows(draw(3)) == [expected] * 3


def test_the_same_seed_and_step_give_the_same_images() -> None:
    assert torch.equal(draw(16, seed=1, step=5), draw(16, seed=1, step=5))


def test_different_steps_and_seeds_give_different_crops() -> None:
    first = windows(draw(16, seed=1, step=5))
    assert windows(draw(16, seed=1, step=6)) != first
    assert windows(draw(16, seed=2, step=5)) != first
    assert windows(draw(16, seed=5, step=1)) != first


def test_images_of_one_batch_are_cropped_differently() -> None:
    assert len(set(windows(draw(16)))) > 8


def test_without_a_margin_images_are_only_flipped() -> None:
    rng = Randomness(0, 0, torch.device("cpu"))
    whole = source(32)
    images = augment(whole, SIDE, "crop", rng)
    kept = [torch.equal(a, b) for a, b in zip(images, whole, strict=True)]
    flipped = [torch.equal(a.flip(-1), b) for a, b in zip(images, whole, strict=True)]
    assert all(a != b for a, b in zip(kept, flipped, strict=True))
    assert 4 < sum(kept) < 28


def test_images_are_stored_with_a_margin_for_crops() -> None:
    for size in (16, 32, 64, 100, 256):
        assert size < stored_size(size, "crop") < 1.2 * size
        assert stored_size(size, "resized_crop") == 1.5 * size


@pytest.mark.parametrize("value", [0.0, 0.4, 1 - 2**-24])
def test_a_resized_crop_is_the_window_that_was_drawn_without_aliasing(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's bilinear filter is the reference; a flat image stays flat."""
    monkeypatch.setattr(Randomness, "uniform", lambda self, *shape: torch.full(shape, value))
    side, size = 96, 64
    noise = torch.randint(256, (2, 3, side, side), generator=torch.Generator().manual_seed(0))
    rng = Randomness(0, 0, torch.device("cpu"))
    drawn = augment(noise / 255, size, "resized_crop", rng)
    window = size + int(value * (side - size + 1))
    start = int(value * (side - window + 1))
    for whole, crop in zip(noise.byte(), drawn, strict=True):
        box = (start, start, start + window, start + window)
        image = Image.fromarray(whole.permute(1, 2, 0).numpy()).crop(box)
        resized = np.array(image.resize((size, size), Image.Resampling.BILINEAR))
        expected = torch.from_numpy(resized).permute(2, 0, 1)
        upright = crop.flip(-1) if value < 0.5 else crop
        assert (upright * 255 - expected).abs().max() <= 1


def test_resized_crops_have_all_sizes_and_places() -> None:
    """The slope of a ramp gives the side of a window, and its value the place."""
    ramp = (torch.arange(96) / 96).expand(400, 3, 96, 96).contiguous()
    crops = augment(ramp, 64, "resized_crop", Randomness(1, 2, torch.device("cpu")))
    row = crops[:, 0, 32]
    sides = ((row[:, 40] - row[:, 20]).abs() * 96 / 20 * 64).round()
    assert (sides.min(), sides.max()) == (64, 96)
    assert len(set(sides.tolist())) > 25
    smallest = row[sides < 70].amin(1) * 96
    assert smallest.min() < 3
    assert smallest.max() > 22
