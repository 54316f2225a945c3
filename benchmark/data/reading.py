"""Image files: decoding them to 8-bit sRGB."""

import struct
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from kornia_rs.io import decode_image_png_u8
from PIL import Image, JpegImagePlugin

from benchmark.data.decoding.opening import open_image
from benchmark.data.decoding.orientation import (
    FROM_BOTTOM,
    SIDEWAYS,
    TURNS,
    load_and_find_orientation,
)
from benchmark.data.decoding.profiles import Colors, colors_of
from benchmark.data.decoding.samples import Meaning, meaning_of
from benchmark.data.decoding.unusable import CutShort, require_sides
from benchmark.data.decoding.unusable import UnusableImage as UnusableImage
from benchmark.data.preprocessing import Preprocessing, square_of
from benchmark.errors import UserError
from benchmark.settings import Truncated

SOUGHT = ("GIF", "TIFF")  # formats in which Pillow looks for frames, and leaves the first for that
LEAST_SIDES = 2  # sides of a square that the image needs so that resizing it loses nothing visible
# The most rows of a JPEG that are stored together, of which the last may be filled from the middle
# on, and those into which the color of such rows is interpolated.
UNCERTAIN_ROWS = 16 + 2
PIXELS_AT_ONCE = 2**18  # a megabyte, which stays in the cache of a processor

# A PNG begins with: signature, length and name of the first chunk, width, height, bits, color type.
PNG_HEADER = struct.Struct(">8sI4sIIBB")
PNG_MAGIC = [b"\x89PNG\r\n\x1a\n", 13, b"IHDR"]
RGB_WITHOUT_ALPHA = 2
PNG_CHUNK = struct.Struct(">I4s")  # the length of its data, which a checksum follows, and its name
PLAIN_PNG_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"sRGB", b"pHYs", b"sBIT", b"tIME", b"bKGD"}


@dataclass(frozen=True)
class Decoded:
    """An image as its file shows it.

    image: upright, 8-bit sRGB (mode RGB). notes: what was taken otherwise than the file says or was
    left out, each a few words: "the first of 12 frames".
    """

    image: Image.Image
    notes: tuple[str, ...]


def open_rgb(path: Path) -> Image.Image:
    """Decode a file to an upright image in 8-bit sRGB. Raises UnusableImage with the reason."""
    return decode(path).image


def decode(path: Path, *, least: int = 0, truncated: Truncated = "skip") -> Decoded:
    """Decode a file to an upright image in 8-bit sRGB. Raises UnusableImage with the reason.

    Gray of more than 8 bits is rounded to 8 bits, or converted by its profile at 16; of 16-bit
    colors the upper 8 bits are used. Colors become sRGB, and are then composited over white.

    least: the pixels that each side needs. If it is not 0, a larger JPEG is decoded at the smallest
    of 1/2, 1/4 and 1/8 of its size that has them, which libjpeg does faster than the whole.
    truncated: whether a JPEG that is cut short is refused, as all other formats are, or is `keep`t
    up to where it ends.
    """
    try:
        return _attempt(path, least, mended=False)
    except CutShort:
        if truncated == "skip":
            raise
        return _attempt(path, least, mended=True)


def _attempt(path: Path, least: int, *, mended: bool) -> Decoded:
    try:
        pixels, notes = _decode(path, least, mended=mended)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.info = {}  # what the file says of its samples no longer holds of these
        return Decoded(image, notes)
    except UnusableImage:
        raise
    except MemoryError as error:
        raise UnusableImage("too large for the memory") from error
    except OSError as error:
        if "truncated" in str(error).lower():  # as Pillow says it of every format
            raise CutShort from error
        what = f"read ({error.strerror})" if error.strerror else f"decoded ({_in_one_line(error)})"
        raise UnusableImage(f"cannot be {what}") from error
    # Pillow raises errors of any kind for broken files, among them struct.error and AttributeError.
    except Exception as error:
        raise UnusableImage(f"cannot be decoded ({_in_one_line(error)})") from error


def _decode(
    path: Path, least: int, *, mended: bool
) -> tuple[Image.Image | np.ndarray, tuple[str, ...]]:
    """Return the pixels, as an image or uint8 (H, W, 3), and the notes.

    The steps of every file, in their order: samples wider than 8 bits to 16, white-is-zero, palette
    and opacity (`Meaning.split`); profile, code points or gAMA to sRGB (`Colors.convert`); white
    behind what is transparent; the orientation.
    """
    with open_image(path, mended=mended) as (image, stream, damage):
        meaning = meaning_of(image, stream)
        colors = colors_of(image, stream, meaning.color_mode(image.mode))
        notes = damage + _note_frames(image, stream) + colors.notes
        width, height = image.size
        if least and isinstance(image, JpegImagePlugin.JpegImageFile):
            image.draft(image.mode, (least, least))
        orientation, trouble = load_and_find_orientation(image)
        notes += trouble
        if image.width < width:  # the last row and column may hold a part of a pixel
            scale = -(-width // image.width)
            image = image.crop((0, 0, width // scale, height // scale))
        if mended:
            height = image.height
            image = _without_filling(image)
            notes += (f"cut short: the first {image.height} of {height} rows are used",)
        plain = image.mode == "RGB" and colors.transform is None and meaning.transparent is None
        if plain and orientation == 1:
            return image, notes
        return _convert(image, meaning, colors, orientation), notes


def _without_filling(image: Image.Image) -> Image.Image:
    """Return the rows of a mended JPEG, as stored, that lie above the end of its data.

    UnusableImage if they are too few.
    """
    pixels = np.asarray(image).reshape(image.height, -1)
    filled = (pixels == np.resize(np.asarray(image)[-1, -1], pixels.shape[1])).all(axis=1)
    rows = int(np.flatnonzero(~filled).max(initial=-1)) + 1
    rows -= UNCERTAIN_ROWS
    require_sides(image.width, max(rows, 0))
    return image.crop((0, 0, image.width, rows))


def _convert(
    image: Image.Image, meaning: Meaning, colors: Colors, orientation: int
) -> Image.Image | np.ndarray:
    """Convert a decoded image to upright sRGB, an image or uint8 (H, W, 3)."""

    def converted(top: int, bottom: int) -> Image.Image:
        color, opacity = meaning.split(image.crop((0, top, width, bottom)), top)
        rgb = colors.convert(color)
        if opacity is not None:
            rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), opacity)
        return rgb if turn is None else rgb.transpose(turn)

    width, height = image.im.size  # `image.size` is that of the upright image in some TIFF files
    sideways, turn = orientation in SIDEWAYS, TURNS[orientation]
    step = max(1, PIXELS_AT_ONCE // width)
    if step >= height:
        return converted(0, height)
    upright = np.empty((width, height, 3) if sideways else (height, width, 3), np.uint8)
    for top in range(0, height, step):  # some rows at a time, to save memory
        bottom = min(height, top + step)
        start = height - bottom if orientation in FROM_BOTTOM else top
        part = slice(start, start + bottom - top)
        upright[(slice(None), part) if sideways else part] = np.asarray(converted(top, bottom))
    return upright


def _note_frames(image: Image.Image, stream: IO[bytes]) -> tuple[str, ...]:
    if image.format == "MPO":  # its further images are previews or gain maps of the same photo
        return ()
    place = stream.tell()
    try:
        if image.format not in SOUGHT:
            frames = getattr(image, "n_frames", 1)
        else:
            with Image.open(stream, formats=[image.format]) as again:
                frames = getattr(again, "n_frames", 1)
    except Exception:  # whatever damage in the others makes Pillow raise
        return ("the first of several frames, of which others are damaged",)
    finally:
        stream.seek(place)
    return (f"the first of {frames} frames",) if frames > 1 else ()


def _in_one_line(error: Exception) -> str:
    return textwrap.shorten(str(error), 100, placeholder=" …") or type(error).__name__


def open_photo(path: Path) -> Image.Image:
    """Decode one photo that the user named. UserError if it does not exist or cannot be used."""
    if not path.is_file():
        raise UserError(f"There is no image {path}: check the path.")
    try:
        return open_rgb(path)
    except UnusableImage as error:
        raise UserError(f"{path} cannot be used: {error}.") from error


def read_whole(path: Path) -> np.ndarray:
    """Decode one image at its own size: uint8 (3, H, W).

    UserError if it does not exist or cannot be used.
    """
    pixels = _read_plain_png(path)
    if pixels is None:
        pixels = np.asarray(open_photo(path))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _read_plain_png(path: Path) -> np.ndarray | None:
    """Decode a PNG that holds nothing but 8-bit RGB: uint8 (H, W, 3).

    None for every other file, also for a damaged one; `open_photo` reads these or gives the reason.
    """
    # A fast path for the scoring of a folder: 3.9 times as fast as `open_photo` for 64×64 pixels,
    # 2.6 times for 256×256 (ratios of the medians of 15 rounds over 300 files, one thread).
    try:
        data = path.read_bytes()
        header = PNG_HEADER.unpack_from(data)
    except (OSError, struct.error):
        return None
    *magic, width, height, depth, color_type = header
    plain = magic == PNG_MAGIC and (depth, color_type) == (8, RGB_WITHOUT_ALPHA)
    if not plain or not PLAIN_PNG_CHUNKS.issuperset(_png_chunks(data)):
        return None
    try:
        require_sides(width, height)
        return np.asarray(decode_image_png_u8(data, (height, width), "rgb"))
    except Exception:  # the decoder raises no more specific class
        return None


def _png_chunks(data: bytes) -> Iterator[bytes]:
    place = 8
    while place + PNG_CHUNK.size <= len(data):
        length, name = PNG_CHUNK.unpack_from(data, place)
        yield name
        place += 12 + length


def read_square(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """Decode a file to a square: uint8 (3, S, S). Raises UnusableImage with the reason."""
    return square_of(decode_for(path, preprocessing).image, preprocessing)


def decode_for(path: Path, preprocessing: Preprocessing) -> Decoded:
    """Decode a file as its preprocessing asks. Raises UnusableImage with the reason."""
    least = LEAST_SIDES * preprocessing.size if preprocessing.scaled else 0
    return decode(path, least=least, truncated=preprocessing.truncated)


def is_grayscale(rgb8: np.ndarray) -> bool:
    """Whether an image, uint8 (3, H, W), is gray but for the rounding of JPEG's colors.

    In 99 % of its pixels the channels must then differ by at most 6 of 255.
    """
    spread = rgb8.max(axis=0).astype(int) - rgb8.min(axis=0)
    return bool(np.quantile(spread, 0.99) <= 6)
