"""How an image becomes a square: the crop, the filter and the size, which are part of a protocol.

Protocols of the field differ here, and no two give the same pixels: the short side is resized and
the center taken, or the center is cut out and then resized, or the whole image is stretched; and a
bilinear filter averages all pixels that fall on one, as Pillow does, or reads the nearest four
alone, as OpenCV does.
"""

from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmark.data.degradation import degrade_alike
from benchmark.settings import Degradation, Truncated

Filter = Literal["lanczos", "bicubic", "bilinear", "hamming", "box", "nearest"]
FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}
Crop = Literal["center", "whole-pixels", "stretch"]
CROPS: dict[Crop, str] = {
    "center": "center square",
    "whole-pixels": "center square of whole pixels",
    "stretch": "none, stretched to a square",
}
"""What a protocol's record says of each crop."""
ALIASED = " without antialiasing"


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a square.

    size: the side of the square in pixels. filter: of Pillow's resampling filters. crop: `center`
    is the largest centered square, its edges between pixels where that is the center (Pillow's
    `ImageOps.fit`); `whole-pixels` is that square with its edges on pixels (torchvision's
    `CenterCrop` of the short side); `stretch` is the whole image. antialias: False reads the four
    nearest pixels whatever the reduction, as OpenCV's INTER_LINEAR does. degrade: `old` makes the
    square look like that of an old photo. scaled: whether a large JPEG may be decoded at a part of
    its size, and truncated: whether one that is cut short is kept; both concern training alone, and
    no protocol records them.
    Raises ValueError unless filter and crop can be had without antialiasing: `bilinear` alone, and
    not with the crop `center`.
    """

    size: int
    filter: Filter = "lanczos"
    crop: Crop = "center"
    antialias: bool = True
    degrade: Degradation = "none"
    scaled: bool = False
    truncated: Truncated = "skip"

    def __post_init__(self) -> None:
        if not self.antialias and (self.filter != "bilinear" or self.crop == "center"):
            raise ValueError(
                "antialias=false needs the filter bilinear, and another crop than center"
            )

    def describe(self) -> dict[str, str | int]:
        """Return the preprocessing as a protocol records it."""
        filter_ = f"Pillow {self.filter}" if self.antialias else f"{self.filter}{ALIASED}"
        described: dict[str, str | int]
        described = {"size": self.size, "filter": filter_, "crop": CROPS[self.crop]}
        return described if self.degrade == "none" else {**described, "degradation": self.degrade}

    @classmethod
    def described(
        cls, size: int, filter_: str, crop: str, degradation: Degradation = "none"
    ) -> Self:
        """Return the preprocessing that `describe` gave these values. ValueError if none did."""
        crops: dict[str, Crop] = {text: name for name, text in CROPS.items()}
        if crop not in crops:
            raise ValueError(f"the crop {crop!r} is unknown")
        found = cls(
            size,
            filter_.removeprefix("Pillow ").removesuffix(ALIASED),  # type: ignore[arg-type]
            crops[crop],
            not filter_.endswith(ALIASED),
            degradation,
        )
        if filter_.startswith("Pillow ") != found.antialias or found.filter not in FILTERS:
            raise ValueError(f"the filter {filter_!r} is unknown")
        return found

    @property
    def label(self) -> str:
        """A short text that is different for every preprocessing, for the name of a folder."""
        parts = [self.filter, str(self.size)]
        parts += [self.crop] * (self.crop != "center") + ["aliased"] * (not self.antialias)
        parts += [self.degrade] * (self.degrade != "none")
        parts += ["scaled"] * self.scaled + ["truncated"] * (self.truncated == "keep")
        return "-".join(parts)


def square_of(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Cut the square out of a decoded image: uint8 (3, S, S)."""
    square = fit_square(image, preprocessing)
    rgb8 = np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))
    if preprocessing.degrade == "none":
        return rgb8
    return degrade_alike(torch.from_numpy(rgb8)[None])[0].numpy()


def fit_square(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Cut the square out of an image, or of a plane of the same size such as a mask (mode F)."""
    size = (preprocessing.size, preprocessing.size)
    method = FILTERS[preprocessing.filter]
    if preprocessing.antialias and preprocessing.crop == "center":
        return ImageOps.fit(image, size, method=method)
    if preprocessing.crop != "stretch":
        image = _crop_square(image, preprocessing)
    if preprocessing.antialias:
        return image.resize(size, method)
    return _resize_aliased(image, preprocessing.size)


def _crop_square(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Cut out the largest centered square, its edges on pixels."""
    side = min(image.size)
    # A half is rounded to the even number, as torchvision's CenterCrop does.
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _resize_aliased(image: Image.Image, size: int) -> Image.Image:
    """Resize bilinearly from the nearest four pixels, their centers at halves."""
    pixels = np.atleast_3d(np.array(image, np.float32)).transpose(2, 0, 1)
    planes = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    resized = F.interpolate(planes, (size, size), mode="bilinear", align_corners=False)[0]
    if image.mode == "F":
        return Image.fromarray(resized[0].numpy())
    rgb8 = resized.round().clamp(0, 255).byte()
    return Image.fromarray(rgb8.permute(1, 2, 0).numpy())
