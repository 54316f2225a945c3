"""Convolutions of small maps with a fraction of the multiplications.

Of a picture of 64×64, AlexNet's later layers see maps of 7×7 and 3×3. Along an axis, the convolution
of n values between p zeros on each side is a cyclic one of length n + p, for what wraps around meets
the zeros. The Fourier transform turns a cyclic convolution into one complex product a frequency, and
a complex product is three real ones (Gauss). Along both axes, that is 169 multiplications for 7×7
values and 5×5 weights in place of 49 · 25, and 25 for 3×3 and 3×3 in place of 81. See Winograd,
Arithmetic Complexity of Computations, 1980; for networks, Lavin and Gray 2016.
"""

import math

import torch
from torch import Tensor, nn


SIDES = {3: 3, 5: 7}
"""The side of a small map, by the side of the kernel: beyond it the weights' spectra grow too large."""


def faster_for_small_maps(network: nn.Module) -> None:
    """Replace the convolutions that SmallMapConv2d can stand for, at any depth of `network`."""
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Conv2d) and _keeps_the_size(layer):
            setattr(network, name, SmallMapConv2d(layer, SIDES[layer.kernel_size[0]]))
        else:
            faster_for_small_maps(layer)


def _keeps_the_size(layer: nn.Conv2d) -> bool:
    side = layer.kernel_size[0]
    facts = (layer.kernel_size, layer.padding, layer.stride, layer.dilation, layer.groups)
    return side in SIDES and facts == ((side, side), (side // 2, side // 2), (1, 1), (1, 1), 1)


class SmallMapConv2d(nn.Module):
    """A convolution as given, faster for maps of at most side × side.

    convolution: of odd kernel, stride 1, and as much padding as keeps the size of a map.
    """

    spectrum: Tensor
    forth: Tensor
    back: Tensor

    def __init__(self, convolution: nn.Conv2d, side: int) -> None:
        super().__init__()
        self.convolution, self.side = convolution, side
        taps = convolution.kernel_size[0]
        forth, back = products_of_cyclic(side + taps // 2)
        # What PyTorch calls a convolution is a correlation: tap t looks at place t - taps // 2, and
        # a convolution's at its negative.
        places = (taps // 2 - torch.arange(taps)) % (side + taps // 2)
        weight = convolution.weight.detach().double().permute(2, 3, 1, 0)
        spectrum = torch.einsum("ay,bx,yxio->abio", forth[:, places], forth[:, places], weight)
        self.register_buffer("spectrum", spectrum.flatten(0, 1).float(), persistent=False)
        self.register_buffer("forth", forth[:, :side].float(), persistent=False)
        self.register_buffer("back", back[:side].float(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H, W), channels last in memory."""
        batch, channels, height, width = maps.shape
        if max(height, width) > self.side:
            result: Tensor = self.convolution(maps)
            return result
        products = len(self.forth)
        x = maps.permute(2, 3, 0, 1).reshape(height, width, batch * channels)
        x = self.forth[:, :height] @ (self.forth[:, :width] @ x).flatten(1)
        y = torch.bmm(x.view(products**2, batch, channels), self.spectrum)
        y = self.back[:height] @ y.view(products, -1)
        y = self.back[:width] @ y.view(height, products, -1)
        y = y.view(height, width, batch, -1)
        if self.convolution.bias is not None:
            y += self.convolution.bias
        return y.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def products_of_cyclic(length: int) -> tuple[Tensor, Tensor]:
    """Matrices `forth` (r, length), `back` (length, r) of a cyclic convolution by r products:

    x ∗ w = back @ ((forth @ x) * (forth @ w)), in float64.
    """
    places = 2 * math.pi * torch.arange(length, dtype=torch.float64) / length
    forth, back = [], []
    for frequency in range(length // 2 + 1):
        real, imaginary = torch.cos(frequency * places), -torch.sin(frequency * places)
        if 2 * frequency in (0, length):  # where the spectrum is real
            forth += [real]
            back += [real / length]
        else:  # the frequency and its negative: Re = m1 - m2, Im = m3 - m1 - m2 of the product
            forth += [real, imaginary, real + imaginary]
            back += [
                2 * (real - imaginary) / length,
                -2 * (real + imaginary) / length,
                2 * imaginary / length,
            ]
    return torch.stack(forth), torch.stack(back, dim=1)
