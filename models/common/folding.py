"""Normalization with constant statistics, folded into the convolution before it.

In eval mode a batch normalization multiplies each channel by a constant and adds another, which the
weights and the bias of the convolution can do themselves. A frozen encoder then takes about three
fifths of the time.
"""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

PROBE_SIDE = 64
"""Side in pixels of the image by which a folded network is compared with the original."""


class Folded:
    """The folded copy of a network whose weights rarely change, made anew when they do.

    original: in eval mode, from images (B, 3, H, W) to a list of maps. It is only read.
    """

    def __init__(self, original: nn.Module) -> None:
        self._original = original
        self._copy: nn.Module | None = None
        self._state: list[Any] = []

    def network(self) -> nn.Module:
        """Return the copy with the weights that the original has now; they get no gradient."""
        state = [
            (x.data_ptr(), x._version, x.device, x.dtype)
            for x in chain(self._original.parameters(), self._original.buffers())
        ]
        if self._copy is None or state != self._state:
            self._copy, self._state = fold(self._original), state
        return self._copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "Folded":
        """Return one for the copy of the network; it folds anew when it is first used."""
        return Folded(copy.deepcopy(self._original, memo))


@torch.no_grad()
def fold(network: nn.Module) -> nn.Module:
    """Return a copy with each normalization folded, or an unchanged one if its maps would differ.

    A normalization is taken to belong to the convolution that is registered just before it. Where a
    network computes them in another order, its maps of a random image show it.
    """
    plain = copy.deepcopy(network).requires_grad_(False)
    folded = copy.deepcopy(plain)
    _fold_children(folded)
    parameter = next(plain.parameters())
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, PROBE_SIDE, PROBE_SIDE, generator=generator).to(parameter)
    with torch.autocast(parameter.device.type, enabled=False):
        same = _close(folded(image), plain(image))
    return folded if same else plain


def _fold_children(module: nn.Module) -> None:
    before: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            fused = fuse_conv_bn_eval(before, child)
            before.weight, before.bias = fused.weight, fused.bias
            # timm's normalization is followed by a dropout, which is off here, and an activation.
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            _fold_children(child)
        before = child


def _close(maps: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(
        float((x - y).abs().max()) <= 1e-3 * float(y.abs().max())
        for x, y in zip(maps, expected, strict=True)
    )
