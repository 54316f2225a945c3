"""What the samples of an image file mean: their range, and which of them are transparent."""

from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngImageFile

from benchmark.data.decoding.tiff import BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO
from benchmark.data.decoding.unusable import UnusableImage, shares_in_range

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # gray of more than 8 bits
ALPHA_MODES = {"LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}
OPAQUE_MODES = {"1": "L", "L": "L", "RGB": "RGB", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
OPAQUE_MODES |= {"P": "RGB", "CMYK": "CMYK", "LAB": "LAB"}
TGA_DESCRIPTOR = 17  # the place of the byte whose lower half is the number of alpha bits
PNG_LEVELS = {"L;2": 3, "L;4": 15}


@dataclass(frozen=True)
class Meaning:
    """What the samples of one file mean, beyond the mode in which Pillow decodes them.

    maximum: the value of white, or of full intensity, of samples wider than 8 bits. inverted:
    whether 0 is white in these. gray_in_rgb: whether three equal channels were one in the file.
    transparent: the value of the pixels that are transparent, in the decoded samples, or None.
    opaque: whether what Pillow takes for alpha means nothing.
    matches: where the part of each sample that is not decoded is that of the transparent value:
    bool (H, W), or None if all of it is decoded.
    """

    maximum: float = 65535.0
    inverted: bool = False
    gray_in_rgb: bool = False
    transparent: int | tuple[int, ...] | None = None
    opaque: bool = False
    matches: np.ndarray | None = None

    def color_mode(self, mode: str) -> str:
        """Return the mode of the colors that `split` makes of an image in this mode.

        One of L, I;16 (gray of 16 bits), RGB, CMYK and LAB.
        """
        if mode in WIDE_MODES:
            return "I;16"
        if self.gray_in_rgb:
            return "L"
        known = OPAQUE_MODES | {name: kept[:-1] for name, kept in ALPHA_MODES.items()}
        if mode not in known:
            raise UnusableImage(f"its samples (Pillow's mode {mode}) cannot be read")
        return known[mode]

    def split(self, rows: Image.Image, top: int) -> tuple[Image.Image, Image.Image | None]:
        """Return the colors of some rows, and their opacity (mode L), None if all are opaque.

        rows: a part of the decoded image, from the row `top` on. The colors are not multiplied by
        the opacity. UnusableImage for values that mean no color.
        """
        mode, color_mode = rows.mode, self.color_mode(rows.mode)
        if mode in WIDE_MODES:
            values = _values(rows)
            return self._scaled(values), self._opacity(values, top)
        if mode in ALPHA_MODES or (mode == "P" and rows.has_transparency_data):
            layer = rows.convert(ALPHA_MODES.get(mode, "RGBA"))
            alpha = None if self.opaque else layer.getchannel("A")
            return (layer.getchannel(0) if color_mode == "L" else layer.convert(color_mode)), alpha
        color = rows if mode == color_mode else rows.convert(color_mode)
        if self.transparent is None:
            return color, None
        return color, self._opacity(np.asarray(color), top)

    def _scaled(self, values: np.ndarray) -> Image.Image:
        """Bring gray values, (H, W), to 16 bits (mode I;16)."""
        if values.dtype == np.uint16 and self.maximum == 65535:
            return Image.fromarray(65535 - values if self.inverted else values)
        shares = shares_in_range(values / self.maximum)
        shares = 1 - shares if self.inverted else shares
        return Image.fromarray((shares * 65535).round().astype(np.uint16))

    def _opacity(self, values: np.ndarray, top: int) -> Image.Image | None:
        if self.transparent is None:
            return None
        same = values == self.transparent
        same = same.all(axis=2) if same.ndim == 3 else same
        if self.matches is not None:
            same &= self.matches[top : top + len(same)]
        return Image.fromarray(np.where(same, np.uint8(0), np.uint8(255)))


def _values(rows: Image.Image) -> np.ndarray:
    """Return wide gray samples as uint16, uint32 or float, (H, W)."""
    values = np.asarray(rows)
    if values.dtype == np.int32:
        return values.view(np.uint32)  # Pillow has no mode of unsigned 32 bits
    return values.astype(np.uint16) if values.dtype.kind in "iu" else values.astype(np.float64)


def meaning_of(image: Image.Image, stream: IO[bytes]) -> Meaning:
    """Find what the samples of a file mean. The image is opened, but must not be decoded yet."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_tiff(image)
    if isinstance(image, PngImageFile):
        return _of_png(image, stream)
    if image.format == "TGA":
        return Meaning(opaque=not _has_alpha_bits(stream))
    return Meaning(maximum=1.0) if image.mode == "F" else Meaning()


def _has_alpha_bits(stream: IO[bytes]) -> bool:
    """Whether a TGA file says in its descriptor that some bits of a pixel are alpha."""
    place = stream.tell()
    stream.seek(TGA_DESCRIPTOR)
    descriptor = stream.read(1)
    stream.seek(place)
    return bool(descriptor) and bool(descriptor[0] & 15)


def _of_tiff(image: TiffImagePlugin.TiffImageFile) -> Meaning:
    bits = image.tag_v2.get(BITS_PER_SAMPLE, (1,))[0]
    # Pillow inverts up to 8 bits by itself.
    inverted = image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO and image.mode in WIDE_MODES
    return Meaning(maximum=1.0 if image.mode == "F" else 2.0**bits - 1, inverted=inverted)


def _of_png(image: PngImageFile, stream: IO[bytes]) -> Meaning:
    raw = str(image.tile[0].args) if image.tile else ""
    key = image.info.get("transparency")
    if raw == "LA;16B":
        return Meaning(gray_in_rgb=True)
    if key is None or image.mode == "P":
        return Meaning()
    if raw == "RGB;16B":
        # Pillow keeps the upper bytes only, and the lower ones have to be those of the color, too.
        matches = _lower_bytes_are(tuple(value & 255 for value in key), stream)
        return Meaning(transparent=tuple(value >> 8 for value in key), matches=matches)
    if raw in PNG_LEVELS:
        levels = PNG_LEVELS[raw]
        return Meaning(transparent=(key & levels) * (255 // levels))
    if image.mode == "RGB":
        return Meaning(transparent=tuple(value & 255 for value in key))
    return Meaning(transparent=key)


def _lower_bytes_are(color: tuple[int, ...], stream: IO[bytes]) -> np.ndarray:
    """Return where the lower bytes of a 16-bit RGB PNG are these: bool (H, W)."""
    place = stream.tell()
    stream.seek(0)
    with PngImageFile(stream) as image:
        image.tile = [image.tile[0]._replace(args="RGB;16L")]
        image.load()
        matches = np.ones((image.height, image.width), bool)
        for channel, value in enumerate(color):
            matches &= np.asarray(image.getchannel(channel)) == value
    stream.seek(place)
    return matches
