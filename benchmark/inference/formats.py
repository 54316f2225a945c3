"""The formats that colored photos are written in, chosen by the suffix of the file's name."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, PngImagePlugin, features

from benchmark.errors import UserError
from benchmark.files import replacing
from benchmark.inference.metadata import Metadata

DEFAULT_QUALITY = 95
LONGEST_JPEG_EXIF = 65533 - len(b"Exif\0\0")
"""The most bytes of EXIF data that a segment of a JPEG holds."""
PERCEPTUAL = b"\0"
"""The rendering intent of a PNG's sRGB chunk that is meant for photos."""


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files that Pillow writes.

    name: as Pillow names it. longest_side: the most pixels of a side that the format allows, or
    None. has_quality: whether it is compressed with a loss. options: Pillow's, for `Image.save`.
    library: the optional part of Pillow that it needs, or None.
    """

    name: str
    suffixes: tuple[str, ...]
    longest_side: int | None = None
    has_quality: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    library: str | None = None


FULL_CHROMA = {"subsampling": "4:4:4"}
"""Color is what a colorizer adds: it is stored at the full resolution where a format can."""
ALL_FORMATS = (
    ImageFormat("PNG", (".png",)),
    ImageFormat("JPEG", (".jpg", ".jpeg", ".jfif"), 65500, True, FULL_CHROMA),
    ImageFormat("WEBP", (".webp",), 16383, True, library="webp"),
    ImageFormat("TIFF", (".tif", ".tiff")),
    ImageFormat("BMP", (".bmp",)),
    ImageFormat("AVIF", (".avif",), 65536, True, FULL_CHROMA, library="avif"),
)


@cache
def by_suffix() -> dict[str, ImageFormat]:
    """Return the formats that this Pillow can write, by suffix in lower case."""
    usable = [each for each in ALL_FORMATS if each.library is None or features.check(each.library)]
    return {suffix: each for each in usable for suffix in each.suffixes}


def format_of(path: Path) -> ImageFormat:
    """Return the format that a file's suffix stands for. UserError that lists the known ones."""
    known = by_suffix()
    found = known.get(path.suffix.lower())
    if found is None:
        raise UserError(
            f"--out {path}: name a folder that exists, or a file that ends in {', '.join(known)}."
        )
    return found


def require_quality(path: Path, quality: int | None) -> None:
    """Raise UserError if `--quality` is given for a file of a lossless format."""
    if quality is not None and not format_of(path).has_quality:
        lossy = [suffix for suffix, each in by_suffix().items() if each.has_quality]
        raise UserError(
            f"--quality belongs to files that end in {', '.join(lossy)}, and {path} is lossless: "
            "leave it out, or name another file with --out."
        )


def require_sides(path: Path, size: tuple[int, int]) -> None:
    """Raise UserError if the format of `path` cannot hold an image of size (width, height)."""
    kind = format_of(path)
    if kind.longest_side is not None and max(size) > kind.longest_side:
        raise UserError(
            f"{path}: a {kind.name} file has at most {kind.longest_side:,} pixels a side, and the "
            f"photo has {size[0]}×{size[1]}: name a .png or .tif file with --out."
        )


def save_photo(
    path: Path, image: Image.Image, metadata: Metadata, quality: int | None = None
) -> list[str]:
    """Write an image in 8-bit sRGB with its metadata, in the format of the file's suffix.

    quality: 1–100, for a format that has it. Returns notes about metadata that the format cannot
    hold. UserError if the file cannot be written.
    """
    kind = format_of(path)
    options, notes = _options(kind, image.size, metadata)
    if kind.has_quality:
        options["quality"] = DEFAULT_QUALITY if quality is None else quality
    try:
        with replacing(path) as part:
            image.save(part, format=kind.name, **options)
    except (ValueError, RuntimeError, OverflowError, struct.error) as error:
        raise UserError(f"{path} cannot be encoded as {kind.name}: {error}.") from error
    return notes


def _options(
    kind: ImageFormat, size: tuple[int, int], metadata: Metadata
) -> tuple[dict[str, Any], list[str]]:
    """Return Pillow's options for the color space and the metadata, and notes about the rest."""
    options: dict[str, Any] = dict(kind.options)
    if metadata.resolution is not None:
        options["dpi"] = metadata.resolution
    exif = metadata.exif(size)
    if kind.name == "BMP":
        return options, ["BMP files hold no EXIF data: it is not kept"] if metadata.values else []
    if kind.name == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"sRGB", PERCEPTUAL)
    else:
        options["icc_profile"] = srgb_profile()
    if kind.name == "JPEG" and len(exif) > LONGEST_JPEG_EXIF:
        return options, ["its EXIF data is too long for a JPEG file and is not kept"]
    if exif and kind.name == "TIFF":
        options["tiffinfo"] = metadata.tiff(size)
    elif exif:
        options["exif"] = b"Exif\0\0" + exif
    return options, []


@cache
def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB.

    Its date is fixed, so that the same image gives the same file at any time.
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    header = io.BytesIO(profile)
    header.seek(24)
    header.write(struct.pack(">6H", 2000, 1, 1, 0, 0, 0))
    return header.getvalue()
