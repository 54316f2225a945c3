"""Degraded images look old in L* alone, in the same way each time, and each in its own way."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.data.augmentation import augment, validation_squares
from benchmark.data.degradation import degrade, degrade_alike
from benchmark.data.preprocessing import Preprocessing, square_of
from benchmark.randomness import Noise, Randomness
from tests.support import blobs

CPU = torch.device("cpu")


@given(seed=st.integers(0, 2**32), height=st.integers(20, 70), width=st.integers(20, 70))
def test_color_stays_and_an_image_is_degraded_as_it_is_alone(
    seed: int, height: int, width: int
) -> None:
    """Chroma is reduced at the same hue where the new L* cannot have it."""
    rgb = rgb_from_8bit(blobs(3, 80)[..., :height, :width])
    seeds = [seed, seed + 1, seed + 2]
    degraded = degrade(rgb, Noise(seeds, CPU))
    alone = degrade(rgb[1:2], Noise(seeds[1:2], CPU))
    torch.testing.assert_close(degraded[1:2], alone, atol=2e-3, rtol=0)
    assert degraded.shape == rgb.shape
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    before, after = (rgb_to_lab(x)[:, 1:] for x in (rgb, degraded))
    chroma, left = before.norm(dim=1), after.norm(dim=1)
    assert (left <= chroma + 0.5).all()
    parallel = (before * after).sum(1)
    assert (parallel >= chroma * left - 0.5 * chroma - 1e-3).all()


def test_every_degradation_changes_about_half_of_the_images() -> None:
    rgb = rgb_from_8bit(blobs(1, 64)).expand(400, -1, -1, -1)
    degraded = degrade(rgb, Noise(range(400), CPU))
    moved = (rgb_to_lab(degraded) - rgb_to_lab(rgb))[:, :1].abs().mean(dim=(1, 2, 3))
    # Four degradations with probability 1/2, and three scratches: 1 of 128 stays as it is.
    unchanged = float((moved < 0.01).float().mean())
    assert 0 < unchanged < 0.05
    assert 1 < moved.mean() < 10


def test_an_image_is_degraded_the_same_each_time_whatever_stands_beside_it() -> None:
    rgb8 = blobs(70, 32)
    degraded = degrade_alike(rgb8)
    assert not torch.equal(degraded, rgb8)
    assert torch.equal(degraded, degrade_alike(rgb8))
    order = torch.randperm(70)
    difference = degrade_alike(rgb8[order]).int() - degraded[order].int()
    assert difference.abs().max() <= 1


def test_training_draws_degradations_and_validation_repeats_them() -> None:
    rgb8 = blobs(8, 36)
    rgb = rgb_from_8bit(rgb8)
    first, second = (augment(rgb, 32, "crop", Randomness(0, step, CPU), "old") for step in (0, 1))
    plain = augment(rgb, 32, "crop", Randomness(0, 0, CPU))
    assert not torch.equal(first, second)
    rng = Randomness(0, 0, CPU)
    rng.uniform(8, 3)  # the draws of the crops
    assert torch.equal(first, degrade(plain, partial(rng.normal, 8)))
    assert torch.equal(validation_squares(rgb8, 32, "old"), validation_squares(rgb8, 32, "old"))
    middle = validation_squares(rgb8, 32, "none")
    assert torch.equal(middle, rgb8[:, :, 2:34, 2:34])


@pytest.mark.parametrize("size", [32, 50])
def test_a_degraded_square_is_described_and_has_its_own_place_in_the_cache(size: int) -> None:
    image = Image.fromarray(blobs(1, 64)[0].permute(1, 2, 0).numpy())
    old, plain = Preprocessing(size, degrade="old"), Preprocessing(size)
    assert old.label != plain.label
    assert plain.describe().keys() < old.describe().keys()
    square = square_of(image, plain)
    expected = degrade_alike(torch.from_numpy(square)[None])[0].numpy()
    np.testing.assert_array_equal(square_of(image, old), expected)
