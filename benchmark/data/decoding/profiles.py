"""The colors of an image file as sRGB: by its color profile, or by what else it says of them."""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from benchmark.data.decoding.orientation import states_adobe_rgb
from benchmark.data.decoding.tiff import PRIMARY_CHROMATICITIES, TRANSFER_FUNCTION, WHITE_POINT
from benchmark.data.decoding.unusable import UnusableImage

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
CIELAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
SPACES = {"L": "GRAY", "I;16": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
"""The color spaces of profiles, by the modes of images."""

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue, in the order of a PNG's cHRM chunk."""

# Adobe RGB (1998), sections 4.3.1.1 and 4.3.4.2.
ADOBE_RGB_PRIMARIES = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB_EXPONENT = 563 / 256

# Code points of ITU-T H.273. The curves of television are taken as that of sRGB, as browsers do.
PRIMARIES = {
    1: SRGB_PRIMARIES,
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
EXPONENTS = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
UNSPECIFIED = 2
HDR = {16: "PQ", 18: "HLG"}

STATED_IN_TIFF = {TRANSFER_FUNCTION, PRIMARY_CHROMATICITIES}
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
JP2_SPACES = (0, 12, 15, 16, 17, 18)  # two levels, CMYK, two levels, sRGB, gray, sYCC
HEAD = 65536  # bytes at the beginning of a file in which its boxes are looked for


@dataclass(frozen=True)
class Colors:
    """How the colors of one file become sRGB.

    mode: L, I;16 (gray of 16 bits), RGB, CMYK or LAB. transform: the conversion by littlecms, None
    for colors that are sRGB already. notes: what was taken otherwise than the file says.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform | None
    notes: tuple[str, ...]

    @cached_property
    def _of_gray(self) -> np.ndarray:
        """The color of every value of gray: uint8 (256 or 65536, 3)."""
        count, form = (65536, np.uint16) if self.mode == "I;16" else (256, np.uint8)
        values = Image.fromarray(np.arange(count, dtype=form)[None])
        if self.transform is not None:
            return np.asarray(self.transform.apply(values))[0]
        levels = (np.arange(count) / (count - 1) * 255).round().astype(np.uint8)
        return levels[:, None].repeat(3, axis=1)

    def convert(self, rows: Image.Image) -> Image.Image:
        """Convert a part of the image, in `mode`, to 8-bit sRGB."""
        if self.mode in ("L", "I;16") and (self.transform is not None or self.mode == "I;16"):
            return Image.fromarray(self._of_gray[np.asarray(rows)])
        return rows.convert("RGB") if self.transform is None else self.transform.apply(rows)


def colors_of(image: Image.Image, stream: IO[bytes], mode: str) -> Colors:
    """Find how the colors of an opened file, in `mode` once decoded, become sRGB.

    What the file says of them counts in the order of the specification of PNG: code points (cICP),
    the color profile, the sRGB chunk, gAMA and cHRM; then come the tags of a TIFF and EXIF data.
    What is damaged or is meant for another color space is ignored and noted. UnusableImage for
    colors beyond the range of a display.
    """
    transform, ignored = None, []
    for name, profile in _statements(image, stream, mode):
        if profile is None:  # the file says that it is sRGB
            break
        transform, trouble = _transform_from(profile, mode)
        if transform is not None:
            break
        ignored.append(f"{name} {trouble}")
    as_srgb = transform is None and mode not in ("CMYK", "LAB")
    notes = tuple(f"{text} and was {'taken as sRGB' if as_srgb else 'ignored'}" for text in ignored)
    if transform is None and mode == "LAB":
        transform = _transform(CIELAB, mode)
    return Colors(mode, transform, notes)


def profile_name(image: Image.Image, stream: IO[bytes]) -> str:
    """Return the description of the color profile in an opened file, or "" if there is none."""
    try:
        profile = _embedded(image, stream)
        if profile is None:
            return ""
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.getProfileDescription(found).strip() or "without a name"
    except (ImageCms.PyCMSError, OSError, ValueError, UnusableImage):
        return "damaged"


def _transform_from(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """Return the conversion from a profile to sRGB, or None and what is wrong with the profile."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != SPACES[mode]:
            return None, f"is one of {space} and not of {SPACES[mode]} colors"
        return _transform(source, mode), ""
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None, "is damaged"


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    # Of gray and CIELAB, littlecms makes a coarse table unless it is told not to optimize.
    flags = ImageCms.Flags.NONE if mode in ("RGB", "CMYK") else ImageCms.Flags.NOOPTIMIZE
    return ImageCms.buildTransform(source, SRGB, mode, "RGB", flags=flags)


def _statements(
    image: Image.Image, stream: IO[bytes], mode: str
) -> Iterator[tuple[str, bytes | None]]:
    """Yield what a file says of its colors, with its name, in the order in which it counts.

    It is a profile, b"" if it is damaged, or None for sRGB.
    """
    name = "its color profile"
    points = _code_points(image, stream)
    profile = _embedded(image, stream)
    if points is not None and image.format == "PNG":
        yield "its cICP chunk", _from_code_points(*points, mode)
    if profile is not None:
        yield name, profile
    if points is not None and image.format != "PNG":
        yield "its color space", _from_code_points(*points, mode)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and STATED_IN_TIFF & set(image.tag_v2):
        yield "its TransferFunction or PrimaryChromaticities", _from_tiff(image, mode)
    if image.format == "PNG":
        yield from _chunks_of_png(image, mode)
    if mode == "RGB" and states_adobe_rgb(image):
        yield "its EXIF color space", _profile(ADOBE_RGB_EXPONENT, ADOBE_RGB_PRIMARIES, mode)


def _chunks_of_png(image: Image.Image, mode: str) -> Iterator[tuple[str, bytes | None]]:
    if "srgb" in image.info:
        yield "its sRGB chunk", None
    if "gamma" in image.info:
        yield "its gAMA chunk", _from_gamma(image, mode)
    elif "chromaticity" in image.info and mode == "RGB":
        yield "its cHRM chunk", _profile(None, image.info["chromaticity"], mode)


# ---- what formats say of the colors --------------------------------------------------------------


def _at(stream: IO[bytes], start: int, length: int) -> bytes:
    """Read a part of a file and leave its position as it was."""
    place = stream.tell()
    stream.seek(start)
    data = stream.read(length)
    stream.seek(place)
    return data


def _embedded(image: Image.Image, stream: IO[bytes]) -> bytes | None:
    """Return the color profile in a file, b"" for one that cannot be extracted, None for none."""
    if "icc_profile" in image.info:
        profile = image.info["icc_profile"]
        return profile if isinstance(profile, bytes) else b""
    if image.format == "BMP":  # a header of version 5: type of color space, offset and length
        header = _at(stream, 14, 124)
        if len(header) == 124 and header[0] == 124 and header[56:60] == b"DEBM":
            offset, length = struct.unpack_from("<II", header, 112)
            return _at(stream, 14 + offset, length)
    if image.format == "JPEG2000":
        return _embedded_in_jp2(stream)
    return None


def _embedded_in_jp2(stream: IO[bytes]) -> bytes | None:
    head = _at(stream, 0, HEAD)
    place = head.find(b"colr", head.find(b"jp2h") % HEAD)
    if place < 4 or len(head) < place + 11:
        return None
    length, _, method, _, code = struct.unpack_from(">I4sBHI", head, place - 4)
    if method in (2, 3):
        return _at(stream, place + 7, length - 11)
    if method == 1 and code not in JP2_SPACES:
        raise UnusableImage(f"its color space (code {code} of JPEG 2000) cannot be read")
    return None


def _code_points(image: Image.Image, stream: IO[bytes]) -> tuple[int, int] | None:
    """Return the code points of primaries and transfer that a PNG or AVIF file states."""
    if image.format == "PNG":
        place = 8
        while len(start := _at(stream, place, 12)) == 12 and start[4:8] != b"IDAT":
            if start[4:8] == b"cICP":
                return start[8], start[9]
            place += 12 + int.from_bytes(start[:4], "big")
        return None
    head = _at(stream, 0, HEAD) if image.format in ("AVIF", "HEIF") else b""
    place = head.find(b"colrnclx")
    if place < 0 or len(head) < place + 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", head, place + 8)
    return primaries, transfer


# ---- profiles that are made ----------------------------------------------------------------------


def _from_code_points(primaries: int, transfer: int, mode: str) -> bytes | None:
    if transfer in HDR:
        raise UnusableImage(f"its colors are of high dynamic range ({HDR[transfer]})")
    primaries = 1 if primaries == UNSPECIFIED else primaries
    transfer = 13 if transfer == UNSPECIFIED else transfer
    if primaries not in PRIMARIES or transfer not in EXPONENTS:
        return b""
    if (primaries, EXPONENTS[transfer]) == (1, None):
        return None
    return _profile(EXPONENTS[transfer], PRIMARIES[primaries], mode)


def _from_gamma(image: Image.Image, mode: str) -> bytes | None:
    """Return the profile of gAMA and cHRM, None if they are those of sRGB but for rounding."""
    gamma = image.info["gamma"]
    primaries = image.info.get("chromaticity", SRGB_PRIMARIES)
    usual = mode != "RGB" or np.allclose(primaries, SRGB_PRIMARIES, atol=0.005)
    # Files of sRGB state 1/2.2, for which its curve is meant; some state 0.45.
    if usual and abs(gamma * 2.2 - 1) < 0.02:
        return None
    return _profile(1 / gamma, primaries, mode) if gamma > 0 else b""


def _from_tiff(image: TiffImagePlugin.TiffImageFile, mode: str) -> bytes | None:
    """Return the profile of what the tags of a TIFF file say; None for sRGB.

    A white point alone says nothing that is not adapted away.
    """
    if mode not in ("L", "I;16", "RGB"):
        return None
    table = image.tag_v2.get(TRANSFER_FUNCTION)
    chromaticities = image.tag_v2.get(PRIMARY_CHROMATICITIES) if mode == "RGB" else None
    white = image.tag_v2.get(WHITE_POINT) or D65
    primaries = (*white, *chromaticities) if chromaticities is not None else SRGB_PRIMARIES
    if len(primaries) != len(SRGB_PRIMARIES):
        return b""
    if table is None:
        usual = np.allclose(primaries, SRGB_PRIMARIES, atol=0.005)
        return None if usual else _profile(None, primaries, mode)
    length = 1 << (len(table).bit_length() - 1)
    if len(table) == length:  # one table of 2^bits values, or one for each channel
        curves = [_tabulated(table)] * 3
    elif len(table) == 3 * (length := length // 2):
        curves = [_tabulated(table[i * length : (i + 1) * length]) for i in range(3)]
    else:
        return b""
    return _profile_of(curves, primaries, mode)


def _tabulated(values: Sequence[int]) -> bytes:
    """Write a curve of light in [0, 65535] at equal steps of the samples."""
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *map(int, values))


def _profile(exponent: float | None, primaries: Sequence[float], mode: str) -> bytes:
    """Make the color profile of a curve and of primaries; b"" if they are impossible.

    exponent: of the power by which samples become light, None for the curve of sRGB. primaries: x
    and y of white, red, green and blue.
    """
    try:
        kind, parameters = (0, [exponent]) if exponent is not None else (3, SRGB_CURVE)
        curve = b"para\0\0\0\0" + struct.pack(">H2x", kind) + _fixed(*parameters)
    except (ValueError, OverflowError, struct.error):
        return b""
    return _profile_of([curve] * 3, primaries, mode)


def _profile_of(curves: Sequence[bytes], primaries: Sequence[float], mode: str) -> bytes:
    """Make the color profile of the curve of each channel; b"" for impossible primaries."""
    try:
        tags = [(b"wtpt", _xyz(D50))]
        if SPACES[mode] == "GRAY":
            tags.append((b"kTRC", curves[0]))
        else:
            with np.errstate(all="raise"):
                columns = _adapted_primaries(primaries).T
            for color, curve, column in zip((b"r", b"g", b"b"), curves, columns, strict=True):
                tags += [(color + b"XYZ", _xyz(column)), (color + b"TRC", curve)]
    except (ValueError, ArithmeticError, struct.error, np.linalg.LinAlgError):
        return b""
    return _assemble(SPACES[mode].ljust(4).encode(), tags)


def _adapted_primaries(primaries: Sequence[float]) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ, (3, 3), with white adapted to D50 (Bradford)."""
    x, y = np.array(primaries, float).reshape(4, 2).T
    white, *colors = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    matrix = np.stack(colors, axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    adaptation = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ adaptation @ BRADFORD @ matrix


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values.tolist())


def _assemble(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Write a profile of a display, version 4.2 of the specification of the ICC."""
    place = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    header = struct.pack(">I4x4s", place + len(data), b"\x04\x20\0\0")
    header += b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    return (header + _fixed(*D50)).ljust(128, b"\0") + table + data
