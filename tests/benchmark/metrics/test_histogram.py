"""The divergence of two sets' ab colors, compared with NumPy and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from benchmark.metrics.histogram import BINS, ab_divergence, ab_histogram, jensen_shannon


def colors(seed: int, count: int = 4, bins: int = 32, low: int = 0, high: int = 32) -> Tensor:
    """Return unevenly distributed ab (count, 2, 16, 24) in bins `low` to `high` - 1 of each axis.

    No value is near the border of a bin, where float32 and float64 may disagree.
    """
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, 2, 16, 24, generator=generator) ** (1 + seed % 3)
    offset = torch.rand(share.shape, generator=generator)
    position = low + (share * (high - low)).floor() + 0.1 + 0.8 * offset
    return position * (220 / bins) - 110


def histogram(ab: Tensor, bins: int) -> np.ndarray:
    a, b = ab.double().movedim(1, 0).flatten(1).numpy()
    return np.histogram2d(a, b, bins, range=[[-110, 110], [-110, 110]])[0].ravel()


@pytest.mark.parametrize("bins", [8, 32])
def test_the_divergence_equals_scipys_jensen_shannon_divergence(bins: int) -> None:
    for seed in range(3):
        # Half of the colors overlap, and the two sets have different numbers of images.
        p = colors(seed, bins=bins, high=3 * bins // 4)
        q = colors(seed + 1, count=3, bins=bins, low=bins // 4, high=bins)
        expected = jensenshannon(histogram(p, bins), histogram(q, bins)) ** 2
        assert 0.01 < expected < math.log(2)
        divergence = jensen_shannon(ab_histogram(p, bins), ab_histogram(q, bins))
        assert divergence.item() == pytest.approx(expected, abs=1e-5)
        if bins == BINS:
            assert ab_divergence(p, q).item() == divergence.item()


def test_the_divergence_is_0_for_equal_and_ln_2_for_disjoint_colors() -> None:
    p, q = colors(0, high=16), colors(1, low=16)
    assert ab_divergence(p, p).item() == pytest.approx(0, abs=1e-6)
    assert ab_divergence(p, q).item() == pytest.approx(math.log(2), abs=1e-5)
    near = colors(1, low=8)
    torch.testing.assert_close(ab_divergence(p, near), ab_divergence(near, p))


def test_the_divergence_does_not_depend_on_the_positions_of_pixels() -> None:
    p, q = colors(2), colors(1, low=8)
    order = torch.randperm(4 * 16 * 24, generator=torch.Generator().manual_seed(0))
    shuffled = p.movedim(1, 0).flatten(1)[:, order].view(2, 8, 8, 24).movedim(0, 1)
    torch.testing.assert_close(ab_divergence(shuffled, q), ab_divergence(p, q))
    swapped = p.flip(1)  # but it depends on which channel is a*
    assert (ab_divergence(swapped, q) - ab_divergence(p, q)).abs() > 1e-3


def test_the_histogram_of_a_set_is_the_sum_of_its_batches() -> None:
    p, q = colors(0, count=6), colors(1, count=6, low=8)
    for size in (1, 4):
        sums = [sum(map(ab_histogram, ab.split(size))) for ab in (p, q)]
        assert jensen_shannon(*sums).item() == ab_divergence(p, q).item()  # type: ignore[arg-type]
