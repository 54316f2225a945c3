"""Opening an image file by its content, as one of the formats that are read."""

import ctypes
import io
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image, TiffImagePlugin, UnidentifiedImageError, _imaging

from benchmark.data.decoding import tiff
from benchmark.data.decoding.formats import describe_unread, formats_for, has_heif, is_heif
from benchmark.data.decoding.unusable import DAMAGED, MOST_PIXELS, UnusableImage, require_sides

# A damaged file has a reason in a few words; what Pillow says of it otherwise is not printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module=r"PIL\.")

for handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):  # libtiff writes to stderr itself
    with suppress(OSError, AttributeError):  # where Pillow contains libtiff, it cannot be told
        getattr(ctypes.CDLL(_imaging.__file__), handler)(None)

Image.MAX_IMAGE_PIXELS = MOST_PIXELS

JPEG_MAGIC, END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_COLOR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"tRNS", b"sBIT")
READ_MAGIC = JPEG_MAGIC, b"\x89PNG", b"GIF8", b"BM", b"RIFF"


class Opened(NamedTuple):
    """An image that is not decoded yet, the stream that it is read from, and notes on damage."""

    image: Image.Image
    stream: IO[bytes]
    notes: tuple[str, ...]


@contextmanager
def open_image(path: Path, *, mended: bool = False) -> Iterator[Opened]:
    """Open a file, but do not decode it.

    mended: whether an end is put to a JPEG file, so that one whose own is missing can be decoded;
    libjpeg fills what is missing of it with one gray.

    UnusableImage if its content is none of the formats that are read, whatever its name says, or if
    its sides are too small or too large.
    """
    # Pillow maps a file that it is given by name into memory: a TIFF that is stored turned is then
    # read with its sides exchanged, and a file that is cut meanwhile ends the process.
    with path.open("rb") as file:
        head = file.read(4096)
        formats = formats_for(path.suffix)
        if is_heif(head):
            formats = _heif_formats()
        stream: IO[bytes] = file
        notes: tuple[str, ...] = ()
        if head[4:8] == b"ftyp" and not is_heif(head):
            stream = _without_exif(file)
        elif mended and head.startswith(JPEG_MAGIC):
            stream = io.BytesIO(head + file.read() + END_OF_JPEG)
        elif head.startswith(PNG_MAGIC):
            stream, notes = _without_damaged_chunks(file)
        with _open_as(formats, stream, head, path) as image:
            require_sides(*image.size)
            yield Opened(image, stream, notes)


def _open_as(formats: list[str], stream: IO[bytes], head: bytes, path: Path) -> Image.Image:
    try:
        image = Image.open(stream, formats=formats)
    except UnidentifiedImageError as error:
        if head.startswith(tiff.MAGIC):
            return tiff.open_other(path, stream)
        reason = DAMAGED if head.startswith(READ_MAGIC) else describe_unread(head)
        raise UnusableImage(reason) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableImage(f"more than {MOST_PIXELS:,} pixels") from error
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiff.require_readable(image)
    return image


def _heif_formats() -> list[str]:
    if not has_heif():
        return []
    import_module("pillow_heif").register_heif_opener()  # an optional library, imported on use
    return ["HEIF"]


def _without_exif(file: IO[bytes]) -> IO[bytes]:
    """Return an AVIF file whose EXIF data have a type that no reader knows.

    The file itself says how it is turned, and Pillow does not open it if its EXIF data are damaged.
    """
    file.seek(0)
    # An entry of the list of items: its name, version, flags, number and protection, its type.
    entry = re.compile(rb"(infe.{8})Exif", re.DOTALL)
    return io.BytesIO(entry.sub(rb"\1skip", file.read()))


def _without_damaged_chunks(file: IO[bytes]) -> tuple[IO[bytes], tuple[str, ...]]:
    """Leave out the ancillary chunks of a PNG file whose checksum is wrong.

    No reader needs them. Those that say what the samples mean are noted; the rest, such as texts
    and times, concern nobody.
    """
    damaged = list(_damaged_chunks(file))
    file.seek(0)
    if not damaged:
        return file, ()
    content, kept, place = file.read(), [], 0
    for _, start, end in damaged:
        kept.append(content[place:start])
        place = end
    named = dict.fromkeys(name.decode() for name, *_ in damaged if name in PNG_COLOR_CHUNKS)
    notes = tuple(f"its {name} chunk is damaged and was ignored" for name in named)
    return io.BytesIO(b"".join([*kept, content[place:]])), notes


def _damaged_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each whole ancillary chunk whose checksum is wrong."""
    place = len(PNG_MAGIC)
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        end = place + 12 + length
        if name[:1].islower():  # ancillary
            rest = file.read(length + 4)
            if len(rest) < length + 4:
                return
            if zlib.crc32(name + rest[:-4]) != int.from_bytes(rest[-4:], "big"):
                yield name, place, end
        place = end
