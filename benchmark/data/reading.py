"""Finding image files in a folder and decoding them, whatever is in them."""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kornia_rs.io import decode_image_png_u8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from benchmark.colorizer import SMALLEST_SIDE
from benchmark.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
SRGB = ImageCms.createProfile("sRGB")
MOST_PIXELS = 100_000_000  # 300 MB decoded; more is a mistake or an attack on memory

# The start of a PNG: signature, length and name of the first chunk, its sides, bits and colors.
PNG_HEADER = struct.Struct(">8sI4sIIBB")
PNG_MAGIC = [b"\x89PNG\r\n\x1a\n", 13, b"IHDR"]
RGB_WITHOUT_ALPHA = 2
PNG_CHUNKS_THAT_TURN_OR_TINT = b"tRNS", b"iCCP", b"eXIf", b"exif"


class UnusableImage(Exception):
    """Why a file is not used, in a few words."""


@dataclass(frozen=True)
class Preprocessing:
    """How a file becomes a square of `size` pixels: short side resized, then the center cut out."""

    size: int
    filter: str = "lanczos"

    def describe(self) -> dict[str, str | int]:
        return {"size": self.size, "filter": f"Pillow {self.filter}", "crop": "center square"}


def find_images(folder: Path) -> Iterator[Path]:
    """Every image file below `folder` by its suffix, in order of name; hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def images_by_name(folder: Path) -> dict[str, Path]:
    """The image files below `folder` by their name in it, POSIX, without the suffix.

    UserError if there is no such folder, no image, or two that differ in their suffix alone.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{found[name]} and {path} differ in their suffix alone: which is it?")
        found[name] = path
    if not found:
        raise UserError(f"{folder} holds no image to score.")
    return found


def read_pairs(outputs: Path, truths: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each image of a folder and the one of the same name in another, uint8 (3, H, W) each.

    They come in the order of their names. Raises UserError for a folder without images, an image
    without its counterpart, of another size or unreadable.
    """
    first, second = images_by_name(outputs), images_by_name(truths)
    for name in first.keys() ^ second.keys():
        there, lacking = (first, truths) if name in first else (second, outputs)
        raise UserError(f"{there[name]} has no counterpart in {lacking}.")
    for name in sorted(first):
        output, truth = (torch.from_numpy(read_whole(part[name])) for part in (first, second))
        if output.shape != truth.shape:
            raise UserError(f"{first[name]} and {second[name]} are not of one size.")
        yield output, truth


def open_rgb(path: Path) -> Image.Image:
    """Decode a file to 8-bit sRGB, upright. Raises UnusableImage with the reason.

    Transparency is laid over white, as a page would show it; 16-bit gray is scaled to 8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _require_sides(*image.size)
                return _to_srgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise UnusableImage("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnusableImage(f"more than {MOST_PIXELS:,} pixels") from error
    except UnusableImage:
        raise
    # Pillow raises any kind of error on broken files, struct.error and AttributeError among them.
    except Exception as error:
        raise UnusableImage(f"cannot be decoded ({error})") from error


def open_photo(path: Path) -> Image.Image:
    """One photo that the user named; UserError if it is missing or not usable."""
    if not path.is_file():
        raise UserError(f"There is no image {path}.")
    try:
        return open_rgb(path)
    except UnusableImage as error:
        raise UserError(f"{path} cannot be used: {error}.") from error


def read_whole(path: Path) -> np.ndarray:
    """One image as it is, uint8 (3, H, W); UserError if it is missing or not usable."""
    pixels = _read_plain_png(path)
    if pixels is None:
        pixels = np.asarray(open_photo(path))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _read_plain_png(path: Path) -> np.ndarray | None:
    """A PNG that holds 8-bit sRGB and no more, uint8 (H, W, 3), in a quarter of Pillow's time.

    None for every other file, damaged ones among them: `open_photo` knows them all.
    """
    try:
        data = path.read_bytes()
        header = PNG_HEADER.unpack_from(data)
    except (OSError, struct.error):
        return None
    *magic, width, height, depth, colors = header
    plain = magic == PNG_MAGIC and (depth, colors) == (8, RGB_WITHOUT_ALPHA)
    if not plain or any(chunk in data for chunk in PNG_CHUNKS_THAT_TURN_OR_TINT):
        return None
    try:
        _require_sides(width, height)
        return np.asarray(decode_image_png_u8(data, (height, width), "rgb"))
    except Exception:  # the decoder raises no other kind
        return None


def read_square(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """A file as uint8 (3, S, S). Raises UnusableImage."""
    square = fit_square(open_rgb(path), preprocessing)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def fit_square(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The square of an image, or of a plane such as a mask (mode F), that lies over it."""
    size = (preprocessing.size, preprocessing.size)
    return ImageOps.fit(image, size, method=Image.Resampling[preprocessing.filter.upper()])


def is_grayscale(rgb8: np.ndarray) -> bool:
    """Whether a uint8 (3, H, W) is a grayscale image, up to the rounding of JPEG's colors."""
    spread = rgb8.max(axis=0).astype(int) - rgb8.min(axis=0)
    return bool(np.quantile(spread, 0.99) <= 6)


def _require_sides(width: int, height: int) -> None:
    if min(width, height) < SMALLEST_SIDE:
        raise UnusableImage(f"{width}×{height}, smaller than {SMALLEST_SIDE} pixels")
    if width * height > MOST_PIXELS:
        raise UnusableImage(f"{width}×{height}, more than {MOST_PIXELS:,} pixels")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply the color profile that a file carries: phones write Display P3, cameras Adobe RGB."""
    profile = image.info.get("icc_profile")
    if profile is None or image.mode not in ("RGB", "CMYK"):
        return _to_rgb(image)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a broken profile: take the numbers as they are
        converted = None
    return _to_rgb(image) if converted is None else converted


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 or 32 bits of gray; Pillow's own conversion would clip
        values = np.asarray(image).astype(np.float64)
        scaled = np.clip((values / 257).round(), 0, 255).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
