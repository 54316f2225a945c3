"""The parts of adversarial training: the discriminator, its losses and its augmentation.

The discriminator classifies color at the resolution at which generators decide it, and its input
holds all of L. With color at full size, it would reward generators for adding a fine texture of
color that photos do not have.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmark.randomness import Randomness

AdversarialLoss = Literal["hinge", "bce"]
Augmentation = Callable[[Tensor], Tensor]


class Discriminator(nn.Module):
    """A network that classifies, for each patch, whether its color is real given L.

    This is the PatchGAN of Isola et al. 2017, section 3.2.2. It is fully convolutional. Spectral
    norm in every layer (Miyato et al. 2018) bounds its Lipschitz constant, and so the gradient that
    it gives to a generator.

    channels: those of color. patch_size: side of the patches of L, in pixels. widths: channels of
    the layers, each of which halves the size.
    """

    def __init__(self, channels: int, patch_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.patch_size = patch_size
        before = [patch_size**2 + channels, *widths[:-1]]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
            for inputs, outputs in zip(before, widths, strict=True)
        )
        # No bias: while logits lie within the margins of the hinge loss, its gradients from real
        # and from generated color cancel.
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False))

    def discriminator_input(self, lightness: Tensor, color: Tensor) -> Tensor:
        """Join standardized L (B, 1, H, W) and color (B, C, H, W) to the input of the network.

        Each patch of L becomes channels, so no pixel of L is lost; color is averaged over each
        patch. The result is (B, patch_size² + C, H/patch_size, W/patch_size).
        """
        patches = F.pixel_unshuffle(lightness, self.patch_size)
        return torch.cat([patches, F.avg_pool2d(color, self.patch_size)], dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits (B, 1, h, w) and the features of each layer for a `discriminator_input`."""
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.last(x), features


def discriminator_loss(real: Tensor, fake: Tensor, kind: AdversarialLoss) -> Tensor:
    """Return the discriminator's loss of logits for real and generated color.

    hinge: Lim and Ye 2017, eq. 9. bce: binary cross-entropy (Goodfellow et al. 2014).
    """
    real, fake = real.float(), fake.float()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, kind: AdversarialLoss) -> Tensor:
    """Return the generator's loss of logits for generated color.

    hinge: Lim and Ye 2017, eq. 10. bce: the non-saturating cross-entropy (Goodfellow et al. 2014).
    """
    return -fake.float().mean() if kind == "hinge" else F.softplus(-fake.float()).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Return the mean L1 distance between features, with equal weight for each layer.

    Wang et al. 2018 (pix2pixHD), eq. 4.
    """
    distances = [F.l1_loss(f.float(), r.detach().float()) for r, f in zip(real, fake, strict=True)]
    return torch.stack(distances).mean()


def augmentation(rng: Randomness, count: int, height: int, width: int) -> Augmentation:
    """Return a random shift and cutout of the discriminator's `count` inputs, as a function.

    This is the differentiable augmentation of Zhao et al. 2020 without changes of color. The
    function maps (count, C, height, width) to the same shape. It applies the same draw in each
    call, so that features of real and generated color can be matched. A shift is at most an
    eighth of each side; the cutout is half as high and half as wide as the input.
    """
    draws = rng.uniform(count, 4)
    sides = (height, width)  # as Python numbers too, since reading a tensor would wait for the GPU
    size = torch.tensor(sides, device=draws.device)
    largest = size // 8
    shift = ((2 * largest + 1) * draws[:, :2]).long() - largest
    corner = (size * draws[:, 2:]).long() - size // 4  # the cutout may cross the border

    def positions(axis: int) -> Tensor:
        return torch.arange(sides[axis], device=draws.device).expand(count, -1)

    def source(axis: int) -> Tensor:
        """Return indices into inputs that are padded by one row or column of 0 on each side."""
        return (positions(axis) - shift[:, axis, None] + 1).clamp(0, sides[axis] + 1)

    def in_cutout(axis: int) -> Tensor:
        offset = positions(axis) - corner[:, axis, None]
        return (offset >= 0) & (offset < sides[axis] // 2)

    image = torch.arange(count, device=draws.device)[:, None, None]
    rows, columns = source(0)[:, :, None], source(1)[:, None, :]
    kept = ~(in_cutout(0)[:, :, None] & in_cutout(1)[:, None, :])[:, None]

    def apply(x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        return padded[image, rows, columns].permute(0, 3, 1, 2) * kept

    return apply
