"""Contract 3: what `outsiders/<name>.py` defines, `class Model(Outsider)`: a public colorizer.

An outsider is a colorizer that others trained, or that needs no training. It colors a test exactly
as a model does, with its published weights, and gets a row that says what it is.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.color import lightness_to_rgb, rgb_to_lightness
from benchmark.colorizer import Colorizer
from benchmark.results.outsider import OutsiderFacts

EXEMPLAR_SIZE = 64
"""The side in pixels to which exemplars are cropped and reduced."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights that can be downloaded.

    sha256: of the file, as 64 hexadecimal digits. megabytes: its size in 10⁶ bytes.
    """

    url: str
    sha256: str
    megabytes: int

    @property
    def name(self) -> str:
        """The name of the file, in torch's cache too."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Variant:
    """One of an outsider's published networks; `file` is None if there is nothing to learn."""

    facts: OutsiderFacts
    file: PublishedFile | None = None


class Outsider(Colorizer):
    """A colorizer that was not trained here; `predict` is as every colorizer defines it.

    What a contributor writes in `outsiders/<name>.py`, and when each part is used:

    - a module docstring, whose first line is the summary that `main.py list outsiders` shows, and
      `NEEDS = "..."`, a literal text that it shows too: what the user has to have.
    - `class Model(Outsider)` with `variants`: its published networks by name, the first one the
      default. Every fact in them is of a source that docs/outsiders.md names.
    - `build_network(variant)`: the network, with the names and shapes of the published tensors. It
      is built without memory for weights, which `load` then brings.
    - `tensors_of(contents)`: only where the file of weights is more than a dictionary of tensors.
    - `predict(lightness, ...)`: feeds `self.network` as its authors do, and returns ab of the size
      of the input.
    - `uses_exemplars = True`, where colors come from other images: then `take_exemplars` is called
      before the first image.

    An outsider opens no file and picks no device; the harness finds, downloads and checks its
    weights (benchmark/outsider_weights.py).
    """

    variants: ClassVar[Mapping[str, Variant]]
    safe_types: ClassVar[tuple[type, ...]] = ()
    """Further types that its file of weights holds, each harmless to create."""
    uses_exemplars: ClassVar[bool] = False

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.variant = variant
        with torch.device("meta"):
            self.network: Any = self.build_network(variant)

    @staticmethod
    @abstractmethod
    def build_network(variant: str) -> nn.Module | None:
        """Build the network of a variant, in the order and with the names of its weights."""

    @staticmethod
    def tensors_of(contents: Any) -> Mapping[str, Tensor]:
        """Return the tensors of a file's contents; a file of another kind may raise anything."""
        tensors: Mapping[str, Tensor] = contents
        return tensors

    @final
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the weights. Raises RuntimeError unless names and shapes are those of the network.

        The weights are float32 and get no gradients.
        """
        floats = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
        self.network.load_state_dict(floats, strict=True, assign=True)
        self.requires_grad_(False)

    def take_exemplars(self, rgb8: Tensor) -> None:
        """Take the images that colors come from, uint8 (N, 3, EXEMPLAR_SIZE, EXEMPLAR_SIZE)."""
        raise NotImplementedError


def resize(
    image: Tensor,
    size: tuple[int, int],
    mode: Literal["nearest", "bilinear", "bicubic"],
    **how: bool,
) -> Tensor:
    """Resize (B, C, H, W) to (B, C, *size), unless it has that size. how: for example antialias."""
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size, mode=mode, **how)  # type: ignore[arg-type]


def resize_gray(
    lightness: Tensor, side: int, mode: Literal["bilinear", "bicubic"], *, antialias: bool
) -> Tensor:
    """Resize the gray image of L* (B, 1, H, W) to a square, sRGB in [0, 1], (B, 3, side, side).

    Public colorizers resize the image in sRGB, whatever they are fed with.
    """
    gray = lightness_to_rgb(lightness)
    return resize(gray, (side, side), mode, antialias=antialias).clamp(0, 1)


def resize_lightness(lightness: Tensor, side: int) -> Tensor:
    """Resize L* as Pillow's bicubic filter resizes its gray image: (B, 1, side, side)."""
    if tuple(lightness.shape[2:]) == (side, side):
        return lightness
    return rgb_to_lightness(resize_gray(lightness, side, "bicubic", antialias=True))
