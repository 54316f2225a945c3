"""Opening an image file by its content, as one of the formats that are read."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from benchmark.data.formats import describe_unread, formats_for, has_heif, is_heif

# A damaged file has a reason in a few words; what Pillow says of it otherwise is not printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module=r"PIL\.")

TIFF_MAGIC = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
READ_MAGIC = b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF"
SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, PLANES = 258, 259, 262, 284
EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, DNG_VERSION = 338, 339, 530, 50706
WHITE_IS_ZERO, YCBCR = 0, 6
UNCOMPRESSED, SEPARATE_PLANES = 1, 2


class UnusableImage(Exception):
    """A file that cannot be used as an image; the text is the reason, in a few words."""


@contextmanager
def open_image(path: Path) -> Iterator[tuple[ImageFile.ImageFile, IO[bytes]]]:
    """Open a file, but do not decode it: the image and the stream that it is read from.

    UnusableImage if its content is none of the formats that are read, whatever its name says.
    """
    # Pillow maps a file that it is given by name into memory: a TIFF that is stored turned is then
    # read with its sides exchanged, and a file that is cut meanwhile ends the process.
    with path.open("rb") as file:
        head = file.read(4096)
        formats = formats_for(path.suffix)
        if is_heif(head):
            formats = _heif_formats()
        stream = _without_exif(file) if head[4:8] == b"ftyp" and not is_heif(head) else file
        try:
            image = Image.open(stream, formats=formats)
        except UnidentifiedImageError as error:
            raise UnusableImage(_why_unidentified(head, file)) from error
        with image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                _require_readable(image)
            yield image, stream


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


def _why_unidentified(head: bytes, file: IO[bytes]) -> str:
    if head.startswith(TIFF_MAGIC):
        return _why_no_tiff(file)
    if head.startswith(READ_MAGIC):
        return "cannot be decoded (its header is damaged)"
    return describe_unread(head)


def _why_no_tiff(file: IO[bytes]) -> str:
    try:
        file.seek(0)
        start = file.read(8)
        if start[2:4] in (b"+\0", b"\0+"):
            start += file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(start)
        file.seek(tags.next)
        tags.load(file)
        return _samples_in_words(tags)
    except Exception:  # whatever a damaged file makes Pillow raise
        return "cannot be decoded (its header is damaged)"


def _samples_in_words(tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    bits = sorted(set(tags.get(BITS_PER_SAMPLE, (1,))))
    kind = SAMPLE_FORMATS.get(max(tags.get(SAMPLE_FORMAT, (1,))), "untyped")
    inverted = ", white-is-zero" if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else ""
    return f"its {' and '.join(map(str, bits))}-bit {kind}{inverted} samples cannot be read"


def _require_readable(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse TIFF files that Pillow opens, but reads as other values than they hold."""
    tags = image.tag_v2
    bits = max(tags.get(BITS_PER_SAMPLE, (1,)))
    raw = tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
    if DNG_VERSION in tags:
        raise UnusableImage("a raw camera file; convert it to JPEG or TIFF")
    if 2 in tags.get(SAMPLE_FORMAT, (1,)):
        raise UnusableImage(_samples_in_words(tags))
    if tags.get(PLANES) == SEPARATE_PLANES and bits != 8 and image.mode not in ("1", "L", "I", "F"):
        raise UnusableImage(f"its {bits}-bit samples in separate planes cannot be read")
    if raw and tags.get(PHOTOMETRIC) == YCBCR and tuple(tags.get(SUBSAMPLING, (2, 2))) != (1, 1):
        raise UnusableImage("its subsampled YCbCr colors, stored uncompressed, cannot be read")
