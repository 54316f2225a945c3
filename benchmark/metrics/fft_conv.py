"""Convolutions of small maps by the Fourier transform, with a fraction of the multiplications.

Measured on one thread of a CPU: LPIPS of images of 64×64 is 1.6 times as fast, where AlexNet's
later layers have maps of 7×7 (2.2 times) and 3×3 (1.7 times). Larger maps are convolved as usual.
At 32×32, whose maps are smaller, it takes twice as long.

With zero padding, a convolution of n×n values with 2p + 1 weights a side is a cyclic convolution of
side n + p: what wraps around meets zeros. The Fourier transform turns it into one complex product
for each frequency. Half of these are conjugates of the others, and a complex product is three real
ones (Gauss). So 121 products replace 49 · 25 for 7×7 values and 5×5 weights, and 22 replace 81 for
3×3 and 3×3. See Winograd, Arithmetic Complexity of Computations, 1980; for networks, Lavin and Gray
2016.
"""

import math

import torch
from torch import Tensor, nn

SIDES = {3: 3, 5: 7}
"""Side of a kernel → side of the largest maps; larger ones would need too large a spectrum."""


def use_fft_convolutions(network: nn.Module) -> None:
    """Replace every convolution in `network` that FftConv2d can replace, at any depth."""
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Conv2d) and _keeps_size(layer):
            setattr(network, name, FftConv2d(layer))
        else:
            use_fft_convolutions(layer)


def _keeps_size(layer: nn.Conv2d) -> bool:
    side = layer.kernel_size[0]
    shape = (layer.kernel_size, layer.padding, layer.stride, layer.dilation, layer.groups)
    return side in SIDES and shape == ((side, side), (side // 2, side // 2), (1, 1), (1, 1), 1)


class FftConv2d(nn.Module):
    """A convolution of stride 1 that keeps the size; maps of at most SIDES go through the FFT."""

    forth: Tensor
    back: Tensor
    spectrum: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        taps = convolution.kernel_size[0]
        self.side = SIDES[taps]
        length = self.side + taps // 2
        forth, back = cyclic_products(length)
        # PyTorch's convolution is a correlation: tap t multiplies the value at t - taps // 2.
        places = (taps // 2 - torch.arange(taps)) % length
        weight = convolution.weight.detach().double()
        spectrum = torch.einsum("ryx,oiyx->rio", forth[:, places][:, :, places], weight)
        inside = slice(self.side)
        self.register_buffer("forth", forth[:, inside, inside].float(), persistent=False)
        self.register_buffer("back", back[:, inside, inside].float(), persistent=False)
        self.register_buffer("spectrum", spectrum.float().contiguous(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H, W), channels last in memory."""
        batch, channels, height, width = maps.shape
        if max(height, width) > self.side:
            result: Tensor = self.convolution(maps)
            return result
        forth, back = (matrix[:, :height, :width].flatten(1) for matrix in (self.forth, self.back))
        pixels = maps.permute(2, 3, 0, 1).reshape(height * width, batch * channels)
        products = torch.bmm((forth @ pixels).view(-1, batch, channels), self.spectrum)
        result = (back.T @ products.flatten(1)).view(height, width, batch, -1)
        if self.convolution.bias is not None:
            result += self.convolution.bias
        return result.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def cyclic_products(length: int) -> tuple[Tensor, Tensor]:
    """Express the cyclic convolution of length × length values by R real products, in float64.

    Returns `forth` and `back`, both (R, length, length), of which
    (x ∗ w)[i, j] = Σ_r back[r, i, j] · ⟨forth[r], x⟩ · ⟨forth[r], w⟩.
    """
    places = torch.arange(length, dtype=torch.float64) * 2 * math.pi / length
    forth, back = [], []
    for u in range(length):
        for v in range(length):
            phase = u * places[:, None] + v * places
            real, imaginary = phase.cos(), -phase.sin()
            conjugate = (-u % length, -v % length)
            if conjugate == (u, v):  # the spectrum of real values is real here
                forth += [real]
                back += [real]
            elif conjugate > (u, v):  # Re = m1 - m2 and Im = m3 - m1 - m2, for both of the two
                forth += [real, imaginary, real + imaginary]
                back += [2 * (real - imaginary), -2 * (real + imaginary), 2 * imaginary]
    return torch.stack(forth), torch.stack(back) / length**2
