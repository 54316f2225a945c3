"""TIFF files: which of their samples Pillow reads rightly, and color in floating point."""

from pathlib import Path
from typing import IO

import numpy as np
from kornia_rs.io import read_image_tiff_f32
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Tags

from benchmark.data.decoding.unusable import DAMAGED, UnusableImage, require_sides, shares_in_range

MAGIC = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
PLANES, SAMPLE_FORMAT, SUBSAMPLING = 284, 339, 530
TRANSFER_FUNCTION, WHITE_POINT, PRIMARY_CHROMATICITIES = 301, 318, 319
PROFILE, DNG_VERSION = 34675, 50706
WHITE_IS_ZERO, RGB, YCBCR = 0, 2, 6
UNCOMPRESSED, ONE_PLANE, SEPARATE_PLANES = 1, 1, 2
SIGNED, FLOATING_POINT = 2, 3
MOST_FLOAT_PIXELS = 10_000_000  # 120 MB; the decoder of kornia refuses strips of more than 128
KINDS = {1: "unsigned", SIGNED: "signed", FLOATING_POINT: "floating-point", 5: "complex"}


def require_readable(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse files that Pillow opens, but reads as other values than they hold."""
    tags = image.tag_v2
    bits = max(tags.get(BITS_PER_SAMPLE, (1,)))
    if DNG_VERSION in tags:
        raise UnusableImage("a raw camera file; convert it to JPEG or TIFF")
    if SIGNED in tags.get(SAMPLE_FORMAT, (1,)):
        raise UnusableImage(_samples_in_words(tags))
    together = tags.get(PLANES, ONE_PLANE) == ONE_PLANE or len(image.getbands()) == 1
    if not together and (bits != 8 or image.mode not in ("RGB", "RGBA", "CMYK")):
        raise UnusableImage(_samples_in_words(tags))
    raw = tags.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
    if raw and tags.get(PHOTOMETRIC) == YCBCR and tuple(tags.get(SUBSAMPLING, (2, 2))) != (1, 1):
        raise UnusableImage("its subsampled YCbCr colors, stored uncompressed, cannot be read")


def open_other(path: Path, file: IO[bytes]) -> Image.Image:
    """Decode a TIFF file that Pillow does not open, if it is RGB in 32-bit floating point.

    UnusableImage with the reason for all others.
    """
    try:
        file.seek(0)
        start = file.read(8)
        big = start[2:4] in (b"+\0", b"\0+")
        tags = Tags(start + file.read(8) if big else start)
        file.seek(tags.next)
        tags.load(file)
        form = {tag: tags.get(tag) for tag in (BITS_PER_SAMPLE, SAMPLE_FORMAT, PHOTOMETRIC)}
        reason = _samples_in_words(tags)
    except Exception as error:  # whatever a damaged file makes Pillow raise
        raise UnusableImage(DAMAGED) from error
    wanted = {BITS_PER_SAMPLE: (32,) * 3, SAMPLE_FORMAT: (FLOATING_POINT,) * 3, PHOTOMETRIC: RGB}
    if form != wanted or tags.get(PLANES, ONE_PLANE) != ONE_PLANE or tags.next:
        raise UnusableImage(reason)
    require_sides(tags[WIDTH], tags[HEIGHT])
    if tags[WIDTH] * tags[HEIGHT] > MOST_FLOAT_PIXELS:
        raise UnusableImage(f"more than {MOST_FLOAT_PIXELS:,} pixels in floating point")
    try:
        values = np.asarray(read_image_tiff_f32(str(path), "rgb"))
    except Exception as error:  # the decoder raises no more specific class
        raise UnusableImage(reason) from error
    levels = shares_in_range(values)
    levels *= 255
    image = Image.fromarray(np.rint(levels, out=levels).astype(np.uint8))
    if PROFILE in tags:
        image.info["icc_profile"] = tags[PROFILE]
    exif = Image.Exif()
    exif[ORIENTATION] = tags.get(ORIENTATION, 1)
    image.info["exif"] = exif.tobytes()
    return image


def _samples_in_words(tags: Tags) -> str:
    bits = sorted(set(tags.get(BITS_PER_SAMPLE, (1,))))
    if len(bits) > 3 or max(bits) > 64:
        return DAMAGED
    kind = KINDS.get(max(tags.get(SAMPLE_FORMAT, (1,))), "untyped")
    inverted = ", white-is-zero" if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else ""
    planes = " in separate planes" if tags.get(PLANES) == SEPARATE_PLANES else ""
    several = " of several frames" if tags.next else ""
    return (
        f"its {' and '.join(map(str, bits))}-bit {kind}{inverted} samples{planes}{several} "
        "cannot be read"
    )
