"""The metadata of a photo that its colored copy keeps: EXIF data and resolution.

The copy is an upright image in sRGB, so whatever says otherwise is left out or corrected: the
orientation, the color space, the size in pixels, positions in the image, previews. So is what a
program that does not know it cannot move: a camera's MakerNote refers to places in its old file.
"""

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory
from PIL.TiffImagePlugin import TiffImageFile

from benchmark.data.decoding import orientation
from benchmark.data.decoding.formats import formats_for
from benchmark.data.decoding.orientation import OLD_PNG_EXIF, exif_of

MAIN, EXIF, GPS = 0, 0x8769, 0x8825
"""The directories of EXIF data: the main one, and two by the tag that refers to them."""
SHORT, LONG, RATIONAL, ASCII, LAST_TYPE = 3, 4, 5, 2, 12
"""Types of values in TIFF and EXIF; later ones than the last belong to BigTIFF alone."""
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x11A, 0x11B, 0x128
COLOR_SPACE, WIDTH, HEIGHT = 0xA001, 0xA002, 0xA003
MAKER_NOTE, IPTC, IPTC_IN_JPEG = 0x927C, 0x83BB, 0x0404
INCH, CENTIMETER, SRGB = 2, 3, 1
LARGEST_RESOLUTION = 65535
"""The largest number of pixels per inch that a JPEG file can hold."""
BIG_TIFF = b"\x2b"
XMP_IN_PNG = "XML:com.adobe.xmp"
BYTE_ORDER = {b"II": "<", b"MM": ">"}

MAIN_KEPT = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x4746: "Rating",
    0x4749: "RatingPercent",
    0x8298: "Copyright",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}
"""The tags of the main directory that are kept. The others describe how the samples are stored."""
EXIF_DROPPED = {
    MAKER_NOTE: "MakerNote",
    COLOR_SPACE: "ColorSpace",
    WIDTH: "PixelXDimension",
    HEIGHT: "PixelYDimension",
    0x9101: "ComponentsConfiguration",
    0x9102: "CompressedBitsPerPixel",
    0x9214: "SubjectArea",
    0xA004: "RelatedSoundFile",
    0xA005: "InteroperabilityIFD",
    0xA214: "SubjectLocation",
    0xA420: "ImageUniqueID",
    0xA500: "Gamma",
    0xEA1C: "Padding",
    0xEA1D: "OffsetSchema",
}
"""The tags of the EXIF directory that are not true of the copy. The others are kept."""
DAMAGED = "its metadata is damaged: what cannot be read of it is not kept"


@dataclass
class Metadata:
    """What a photo's colored copy keeps of the photo's metadata.

    values: directory → tag → (type, value). resolution: horizontal and vertical, in pixels per
    inch, of the upright image, or None. prefix: the byte order, b"II" or b"MM".
    left_out: names of what is not kept. notes: parts of sentences about what is wrong with it.
    """

    values: dict[int, dict[int, tuple[int, Any]]] = field(default_factory=dict)
    resolution: tuple[float, float] | None = None
    prefix: bytes = b"II"
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def exif(self, size: tuple[int, int]) -> bytes:
        """Return the EXIF data of an image of size (width, height), from the TIFF header on.

        It is empty if there is nothing to say.
        """
        main, others = self._directories(size)
        if not len(main) and not others:
            return b""
        header = self.prefix + struct.pack(BYTE_ORDER[self.prefix] + "HL", 42, 8)
        for tag in others:
            _put(main, tag, LONG, 0)
        offset = len(header) + len(main.tobytes(len(header)))
        blocks = []
        for tag, directory in others.items():
            _put(main, tag, LONG, offset)
            blocks.append(directory.tobytes(offset))
            offset += len(blocks[-1])
        return b"".join([header, main.tobytes(len(header)), *blocks])

    def tiff(self, size: tuple[int, int]) -> Directory:
        """Return the same as `exif` as the directory of a TIFF file, for Pillow to write."""
        main, others = self._directories(size)
        for tag, directory in others.items():
            main.tagtype[tag] = LONG
            main[tag] = {inner: _untyped(directory, inner) for inner in directory}
        return main

    def _directories(self, size: tuple[int, int]) -> tuple[Directory, dict[int, Directory]]:
        """Return the main directory, and the other ones by the tag that refers to them."""
        made = {}
        for group, values in self.values.items():
            made[group] = _new_directory(group, self.prefix)
            for tag, (kind, value) in values.items():
                _put(made[group], tag, kind, value)
        main = made.pop(MAIN, None) or _new_directory(MAIN, self.prefix)
        if self.resolution is not None:
            for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), self.resolution, strict=True):
                _put(main, tag, RATIONAL, value)
            _put(main, RESOLUTION_UNIT, SHORT, INCH)
        if EXIF in made:
            _put(made[EXIF], COLOR_SPACE, SHORT, SRGB)
            for tag, side in zip((WIDTH, HEIGHT), size, strict=True):
                _put(made[EXIF], tag, LONG, side)
        return main, made


def _new_directory(group: int, prefix: bytes) -> Directory:
    return Directory(prefix=prefix, group=group or None)


def _put(directory: Directory, tag: int, kind: int, value: Any) -> None:
    directory.tagtype[tag] = kind
    directory[tag] = value


def _untyped(directory: Directory, tag: int) -> Any:
    """Return a value for Pillow to write where it finds the type by the value: text as a string."""
    value = _single(directory[tag])
    plain = directory.tagtype[tag] == ASCII and value.isascii()
    return value.decode("ascii") if plain else value


def _single(value: Any) -> Any:
    """Return the value of a tuple of one; Pillow makes such tuples of some tags."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def read_metadata(path: Path) -> Metadata:
    """Read what a colored copy keeps of a photo's metadata. Damaged metadata gives a note.

    A file that is no image gives nothing: whoever decodes it says what is wrong with it.
    """
    metadata = Metadata()
    try:
        with _recorded_warnings(), Image.open(path, formats=formats_for(path.suffix)) as image:
            if image.format == "PNG":  # EXIF data and text may follow the pixels
                image.load()
            _read(image, metadata)
    except Exception:  # Pillow raises errors of any kind for broken files
        return metadata
    return metadata


def _read(image: Image.Image, metadata: Metadata) -> None:
    """Read the metadata of an open file, each part on its own: a damaged one spoils no other."""
    damaged = False
    main: Mapping[int, Any] = {}
    with _recorded_warnings() as caught:
        try:
            main = _read_directories(image, metadata)
        except Exception:  # Pillow raises errors of any kind for damaged data
            damaged = True
    try:
        metadata.resolution = _resolution(image, main)
    except Exception:
        damaged = True
    try:
        metadata.left_out += _left_out(image, main)
    except Exception:
        damaged = True
    if damaged or caught:
        metadata.notes.append(DAMAGED)


@contextmanager
def _recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Record warnings instead of showing them; Pillow warns of what it cannot read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _read_directories(image: Image.Image, metadata: Metadata) -> Directory | dict[int, Any]:
    """Read the three directories into `metadata`; returns the main one as it is in the file.

    Raises an error of any kind after what could be read if anything could not.
    """
    stream = _exif_stream(image)
    if stream is None:
        return {}
    stream.seek(0)
    header = stream.read(8)
    if header[2:3] == BIG_TIFF or header[3:4] == BIG_TIFF:
        header += stream.read(8)
    main = Directory(header)
    metadata.prefix = header[:2]
    directories = {MAIN: main}
    stream.seek(main.next)
    main.load(stream)
    if not isinstance(image, TiffImageFile) and main.next:
        metadata.left_out.append("thumbnail")
    for group in (EXIF, GPS):
        if group in main:
            directories[group] = Directory(header, group=group)
            stream.seek(main[group])
            directories[group].load(stream)
    unreadable = []
    for group, directory in directories.items():
        values, broken = _readable(group, directory, metadata.prefix)
        unreadable += broken
        if values:
            metadata.values[group] = values
    if MAKER_NOTE in directories.get(EXIF, ()):
        metadata.left_out.append("MakerNote")
    if unreadable:
        warnings.warn(f"unreadable tags {unreadable}", stacklevel=2)
    return main


def _exif_stream(image: Image.Image) -> IO[bytes] | None:
    """Return the EXIF data of a file as a stream that begins with a TIFF header, or None."""
    if isinstance(image, TiffImageFile):
        return image.fp
    data = exif_of(image)
    return io.BytesIO(data) if data else None


def _readable(
    group: int, directory: Directory, prefix: bytes
) -> tuple[dict[int, tuple[int, Any]], list[int]]:
    """Return the tags of a directory that are kept, tag → (type, value), and the broken ones."""
    values: dict[int, tuple[int, Any]] = {}
    broken = []
    for tag in directory:
        kind = directory.tagtype[tag]
        kept = tag in MAIN_KEPT if group == MAIN else group == GPS or tag not in EXIF_DROPPED
        if not kept or kind > LAST_TYPE:
            continue
        try:
            value = _single(directory[tag])
            if kind == ASCII:  # its bytes, of whatever encoding
                value = value.encode("latin-1")
            alone = _new_directory(group, prefix)
            _put(alone, tag, kind, value)
            alone.tobytes(8)
            values[tag] = kind, value
        except Exception:  # Pillow raises errors of any kind for damaged values
            broken.append(tag)
    return values, broken


def _resolution(image: Image.Image, main: Mapping[int, Any]) -> tuple[float, float] | None:
    """Return the pixels per inch of the upright image, or None if they are not known.

    ValueError if they are no possible ones.
    """
    dpi = image.info.get("dpi")
    unit = main.get(RESOLUTION_UNIT, INCH)
    if dpi is None and X_RESOLUTION in main and unit in (INCH, CENTIMETER):
        scale = 2.54 if unit == CENTIMETER else 1.0
        dpi = [float(main[tag]) * scale for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if dpi is None:
        return None
    x, y = (float(value) for value in dpi)
    if not all(1 <= value <= LARGEST_RESOLUTION for value in (x, y)):  # NaN fails too
        raise ValueError(f"{x}×{y} pixels per inch")
    turned = main.get(orientation.TAG) in orientation.SIDEWAYS
    return (y, x) if turned else (x, y)


def _left_out(image: Image.Image, main: Mapping[int, Any]) -> list[str]:
    """Name the metadata beside EXIF data and resolution, of which nothing is kept."""
    info = image.info
    in_photoshop = info.get("photoshop")
    found = {
        "XMP": "xmp" in info or XMP_IN_PNG in info,
        "IPTC": IPTC in main or (isinstance(in_photoshop, dict) and IPTC_IN_JPEG in in_photoshop),
        "comment": "comment" in info,
        "text of the PNG file": bool(set(getattr(image, "text", {})) - {XMP_IN_PNG, OLD_PNG_EXIF}),
    }
    return [name for name, there in found.items() if there]
