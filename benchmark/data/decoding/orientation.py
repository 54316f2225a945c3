"""What EXIF data say of an image: how it is turned, and whether its colors are Adobe RGB.

Only these entries are read, since the rest of EXIF data is often damaged.
"""

import re
import struct

from PIL import Image, TiffImagePlugin

TAG = 0x0112
EXIF_IFD, INTEROPERABILITY_IFD = 0x8769, 0xA005
COLOR_SPACE, INTEROPERABILITY_INDEX = 0xA001, 1
ADOBE_RGB, UNCALIBRATED = 2, 65535
SHORT, LONG = 3, 4
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transformation that makes an image upright, by its orientation."""

SIDEWAYS = (5, 6, 7, 8)
FROM_BOTTOM = (3, 4, 6, 7)
"""Orientations of which the rows are columns of the upright image, and of which the first row is
the last row or column."""

OLD_PNG_EXIF = "Raw profile type exif"
"""The text of a PNG in which ImageMagick keeps EXIF data."""
SUB_IFDS = EXIF_IFD, 0x8825, INTEROPERABILITY_IFD  # the second is GPS
XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
DAMAGED = "its EXIF data are damaged, so the orientation is unknown"


def load_and_find_orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """Decode an opened image as it is stored; return its orientation, 1 to 8, and notes on it."""
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            orientation = _take_from_tiff(image)
            image.load()
        else:
            image.load()  # a PNG may hold its EXIF data after the pixels
            orientation = _find(image)
    except _DamagedExif:
        image.load()
        return 1, (DAMAGED,)
    if orientation is None or orientation == 0:  # a usual value for: not known
        return 1, ()
    if orientation not in TURNS:
        return 1, (f"its orientation, {orientation}, does not exist and was ignored",)
    return orientation, ()


class _DamagedExif(Exception):
    pass


def _take_from_tiff(image: TiffImagePlugin.TiffImageFile) -> int | None:
    """Return the orientation of a TIFF file, and hide it and the nested EXIF data from Pillow.

    Pillow would turn the image while it decodes it, and would rewrite all EXIF data for that, which
    fails for damaged ones.
    """
    exif = image.getexif()
    try:
        value = exif.get(TAG)
    except Exception as error:  # whatever a damaged entry makes Pillow raise
        raise _DamagedExif from error
    finally:
        exif[TAG] = 1
        for tag in SUB_IFDS:
            exif.pop(tag, None)
    if value is not None and not isinstance(value, int):
        raise _DamagedExif
    return value


def _find(image: Image.Image) -> int | None:
    try:
        exif = exif_of(image)
    except ValueError as error:
        raise _DamagedExif from error
    found = _read_orientation(exif) if exif else None
    if found is None:
        xmp = image.info.get("xmp", image.info.get("XML:com.adobe.xmp", b""))
        match = XMP.search(xmp if isinstance(xmp, bytes) else str(xmp).encode())
        return int(match[1]) if match else None
    return found


def exif_of(image: Image.Image) -> bytes:
    """Return the EXIF data of an opened file, from their TIFF header on; empty if there are none.

    ValueError if their text in a PNG is damaged.
    """
    exif: bytes | None = image.info.get("exif")
    if exif is None and OLD_PNG_EXIF in image.info:  # lines: empty, name, length, then digits
        exif = bytes.fromhex("".join(image.info[OLD_PNG_EXIF].split("\n")[3:]))
    while exif and exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif or b""


def states_adobe_rgb(image: Image.Image) -> bool:
    """Whether the EXIF data of an opened file say that its colors are Adobe RGB (1998).

    Cameras say so by the index R03 of the "DCF optional color space" (Exif 2.3, section 4.6.5) and
    some programs by the color space 2. False if the entries are damaged.
    """
    exif = Image.Exif()
    try:
        data = exif_of(image)
        if data:
            exif.load(b"Exif\0\0" + data)
        elif isinstance(image, TiffImagePlugin.TiffImageFile):
            exif = image.getexif()
        else:
            return False
        space = exif.get_ifd(EXIF_IFD).get(COLOR_SPACE)
        index = str(exif.get_ifd(INTEROPERABILITY_IFD).get(INTEROPERABILITY_INDEX, ""))
    except Exception:  # whatever a damaged entry makes Pillow raise
        return False
    return space == ADOBE_RGB or (space == UNCALIBRATED and index.startswith("R03"))


def _read_orientation(exif: bytes) -> int | None:
    """Return the orientation in EXIF data, whatever their other entries are, or None.

    Raises _DamagedExif if they cannot be read so far.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        if order is None:
            raise _DamagedExif
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(order + "HHI4s", exif, entry)
            if tag == TAG:
                if values != 1 or kind not in (SHORT, LONG):
                    raise _DamagedExif
                form = "H2x" if kind == SHORT else "I"
                return int(struct.unpack(order + form, value)[0])
    except struct.error as error:
        raise _DamagedExif from error
    return None
