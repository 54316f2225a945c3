"""Convolutions of small maps equal PyTorch's and replace only the layers that they can replace."""

import pytest
import torch
from torch import nn

from benchmark.metrics.fft_conv import SIDES, FftConv2d, cyclic_products, use_fft_convolutions


@pytest.mark.parametrize(("length", "products"), [(4, 22), (9, 121)])
def test_cyclic_products_are_a_cyclic_convolution(length: int, products: int) -> None:
    generator = torch.Generator().manual_seed(length)
    x, w = torch.randn(2, length, length, dtype=torch.float64, generator=generator)
    transform, inverse = cyclic_products(length)
    assert len(transform) == len(inverse) == products
    spectrum = (transform * x).sum(dim=(1, 2)) * (transform * w).sum(dim=(1, 2))
    expected = torch.fft.ifft2(torch.fft.fft2(x) * torch.fft.fft2(w)).real
    torch.testing.assert_close(torch.einsum("rij,r->ij", inverse, spectrum), expected)


@pytest.mark.parametrize("taps", SIDES)
@pytest.mark.parametrize("bias", [True, False])
def test_maps_of_any_size_are_convolved_as_pytorch_does(taps: int, bias: bool) -> None:
    generator = torch.Generator().manual_seed(taps)
    reference = nn.Conv2d(6, 8, taps, padding=taps // 2, bias=bias).requires_grad_(False)
    faster, side = FftConv2d(reference), SIDES[taps]
    for height, width in ((side, side), (1, side), (side - 1, 2), (side, side + 1), (12, 9)):
        maps = torch.randn(3, 6, height, width, generator=generator)
        torch.testing.assert_close(faster(maps), reference(maps), atol=1e-5, rtol=1e-5)


def test_only_plain_convolutions_that_keep_the_size_are_replaced() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 5, padding=2)),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2)),
    ).requires_grad_(False)
    maps = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(0))
    expected = network(maps)
    use_fft_convolutions(network)
    replaced = {name for name, layer in network.named_modules() if isinstance(layer, FftConv2d)}
    assert replaced == {"0.0", "1"}
    torch.testing.assert_close(network(maps), expected, atol=1e-5, rtol=1e-5)
