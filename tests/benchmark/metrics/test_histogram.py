"""The colors of sets, against other people's implementations."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from benchmark.metrics.histogram import ab_divergence, ab_histogram, jensen_shannon


def colors(seed: int, count: int = 4, bins: int = 32, low: int = 0, high: int = 32) -> Tensor:
    """ab (count, 2, 16, 24) in the bins from `low` to below `high` along each axis, unevenly, and
    clear of the bins' borders, where float32 and float64 may disagree."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, 2, 16, 24, generator=generator) ** (1 + seed % 3)
    offset = torch.rand(share.shape, generator=generator)
    places = low + (share * (high - low)).floor() + 0.1 + 0.8 * offset
    return places * (220 / bins) - 110


def histogram(ab: Tensor, bins: int) -> np.ndarray:
    a, b = ab.double().movedim(1, 0).flatten(1).numpy()
    return np.histogram2d(a, b, bins, range=[[-110, 110], [-110, 110]])[0].ravel()


@pytest.mark.parametrize("bins", [8, 32])
def test_the_divergence_is_jensens_and_shannons(bins: int) -> None:
    for seed in range(3):
        # Half of the colors overlap; and another number of images changes nothing.
        p = colors(seed, bins=bins, high=3 * bins // 4)
        q = colors(seed + 1, count=3, bins=bins, low=bins // 4, high=bins)
        expected = jensenshannon(histogram(p, bins), histogram(q, bins)) ** 2
        assert 0.01 < expected < math.log(2)
        assert ab_divergence(p, q, bins).item() == pytest.approx(expected, abs=1e-5)


def test_the_divergence_lies_between_the_same_and_nothing_in_common() -> None:
    p, q = colors(0, high=16), colors(1, low=16)
    assert ab_divergence(p, p).item() == pytest.approx(0, abs=1e-6)
    assert ab_divergence(p, q).item() == pytest.approx(math.log(2), abs=1e-5)
    near = colors(1, low=8)
    torch.testing.assert_close(ab_divergence(p, near), ab_divergence(near, p))


def test_the_divergence_does_not_see_places() -> None:
    p, q = colors(2), colors(1, low=8)
    places = torch.randperm(4 * 16 * 24, generator=torch.Generator().manual_seed(0))
    shuffled = p.movedim(1, 0).flatten(1)[:, places].view(2, 8, 8, 24).movedim(0, 1)
    torch.testing.assert_close(ab_divergence(shuffled, q), ab_divergence(p, q))
    swapped = p.flip(1)  # a* for b* is another matter
    assert (ab_divergence(swapped, q) - ab_divergence(p, q)).abs() > 1e-3


def test_the_histogram_of_a_set_is_the_sum_of_its_batches() -> None:
    p, q = colors(0, count=6), colors(1, count=6, low=8)
    for size in (1, 4):
        sums = [sum(map(ab_histogram, ab.split(size))) for ab in (p, q)]
        assert jensen_shannon(*sums).item() == ab_divergence(p, q).item()  # type: ignore[arg-type]
