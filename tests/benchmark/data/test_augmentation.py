"""Crops are exact windows of an image or its mirror image; they depend on the seed and the step."""

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from benchmark.data.augmentation import random_crop_and_flip, stored_size
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
    return random_crop_and_flip(source(n), SIZE, Randomness(seed, step, torch.device("cpu")))


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
    images = random_crop_and_flip(whole, SIDE, rng)
    kept = [torch.equal(a, b) for a, b in zip(images, whole, strict=True)]
    flipped = [torch.equal(a.flip(-1), b) for a, b in zip(images, whole, strict=True)]
    assert all(a != b for a, b in zip(kept, flipped, strict=True))
    assert 4 < sum(kept) < 28


def test_images_are_stored_with_a_margin_for_crops() -> None:
    for size in (16, 32, 64, 100, 256):
        assert size < stored_size(size) < 1.2 * size
