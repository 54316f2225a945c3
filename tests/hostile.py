"""Hostile image files: damaged, misnamed, enormous and odd ones, made from drawn images."""

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from tests.image_support import chunk, directory

KINDS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif",
    "JPEG2000": "jp2", "PPM": "ppm", "TGA": "tga", "PCX": "pcx", "SGI": "sgi", "ICO": "ico",
    "MPO": "mpo", "AVIF": "avif", "DIB": "dib",
}  # fmt: skip
"""Formats that Pillow writes, and a suffix of each."""


def hostile_files(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Yield more than 300 files, (name, content), the same in every run; from an RGB image."""
    for kind, suffix in KINDS.items():
        try:
            whole = encoded(image, kind)
        except (KeyError, OSError):  # Pillow was built without this format
            continue
        for what, content in damages(whole):
            yield f"{what}.{kind}.{suffix}", content
        yield f"{kind} named.txt.png", whole
    yield from bombs()
    yield from odd_samples(image)
    yield from odd_metadata(image)
    yield from turned(image)
    yield from no_images()
    yield from odd_names(encoded(image, "PNG"))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image in one of Pillow's formats."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def damages(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut a file, flip its bits, and put garbage or zeros into it."""
    rng = random.Random(zlib.crc32(whole))
    for share in (0.02, 0.2, 0.5, 0.8, 0.98):
        yield f"cut at {share}", whole[: int(len(whole) * share)]
    for place in ("head", "body"):
        broken = bytearray(whole)
        span = range(4, 60) if place == "head" else range(60, len(whole))
        for index in rng.sample([*span], min(12, len(span))):
            broken[index] ^= 1 << rng.randrange(8)
        yield f"flipped bits in the {place}", bytes(broken)
    middle = len(whole) // 2
    yield "zeros from the middle", whole[:middle] + bytes(len(whole) - middle)
    yield "garbage from the middle", whole[:middle] + rng.randbytes(len(whole) - middle)


# ---- files that are more than they seem ----------------------------------------------------------


def png(width: int, height: int, depth: int, color: int, data: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with any header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + end


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that say or hold that they are enormous."""
    for side in (9_999, 60_000, 2**31 - 1):
        yield f"black {side}.png", png(side, side, 1, 0, zlib.compress(bytes(10**6)))
    rows = zlib.compress(bytes((1 + 9_999 * 3) * 2_000))
    yield "cut short 9999.png", png(9_999, 9_999, 8, 2, rows)
    yield "long.png", png(16, 300_000, 8, 0, zlib.compress(bytes(17 * 300_000)))
    yield "wide.png", png(300_000, 16, 8, 0, zlib.compress(bytes(300_001 * 16)))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8)))
    yield "text bomb.png", png(20, 20, 8, 0, zlib.compress(bytes(21 * 20)), text)
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8)))
    yield "profile bomb.png", png(20, 20, 8, 2, zlib.compress(bytes(61 * 20)), profile)
    yield "zero.png", png(0, 0, 8, 2, zlib.compress(b""))
    for side in (65_535, 40_000):
        jpeg = bytearray(encoded(Image.new("RGB", (32, 32)), "JPEG"))
        start = jpeg.index(b"\xff\xc0") + 5
        jpeg[start : start + 4] = struct.pack(">HH", side, side)
        yield f"says {side}.jpg", bytes(jpeg)
    frames = [Image.new("L", (40, 40), shade) for shade in range(0, 250, 5)]
    yield "animation.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "animation.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "animation.png", encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "pages.tif", encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    loop = b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8)
    yield "loop of directories.tif", loop
    yield "directory beyond the end.tif", b"II*\0\xff\xff\xff\x7f"


# ---- samples and metadata ------------------------------------------------------------------------


def tiff(samples: np.ndarray, photometric: int = 1, kind: int = 1, **tags: int) -> bytes:
    """Return an uncompressed TIFF of gray samples (H, W); kind: 1 unsigned, 2 signed, 3 float."""
    height, width = samples.shape
    entries: dict[int, int | bytes] = {
        256: width, 257: height, 258: samples.itemsize * 8, 259: 1, 262: photometric,
        273: samples.tobytes(), 277: 1, 278: height, 279: samples.nbytes, 284: 1, 339: kind,
        **{int(key.removeprefix("tag")): value for key, value in tags.items()},
    }  # fmt: skip
    return directory("<", [(tag, 4, 1, value) for tag, value in sorted(entries.items())])


def odd_samples(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Sample formats of every depth and kind, and values that are not numbers."""
    gray = np.asarray(image.convert("L"))
    for dtype in ("<u2", "<u4", "<u8", "<i1", "<i2", "<i4", "<f2", "<f4", "<f8"):
        kind = {"u": 1, "i": 2, "f": 3}[dtype[1]]
        for photometric in (0, 1):
            values = (gray / 255 if kind == 3 else gray).astype(dtype)
            yield f"{dtype[1:]} photometric {photometric}.tif", tiff(values, photometric, kind)
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("large", 1e30), ("-1", -1.0)):
        values = (gray / 255).astype("<f4")
        values[3, 5] = value
        yield f"float with {name}.tif", tiff(values, 1, 3)
    for name, tags in {
        "unknown compression": {"tag259": 12345}, "unknown photometric": {"tag262": 4711},
        "absurd width": {"tag256": 2**31 - 1}, "no width": {"tag256": 0},
        "absurd strips": {"tag279": 2**31 - 1}, "absurd offset": {"tag273": 2**31 - 1},
        "99 samples": {"tag277": 99}, "3 bits": {"tag258": 3}, "planar": {"tag284": 2},
    }.items():  # fmt: skip
        yield f"{name}.tif", tiff(gray, **tags)
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"):
        source = image.convert("L") if mode in ("I;16", "F") else image
        yield f"mode {mode.replace(';', ' ')}.tif", encoded(source.convert(mode), "TIFF")
    yield "mode LAB.tif", encoded(Image.new("LAB", image.size, (50, 10, 10)), "TIFF")
    depths = (1, 3), (2, 0), (16, 0), (16, 2), (16, 4), (16, 6), (8, 3), (3, 0), (8, 7)
    for depth, color in depths:
        data = zlib.compress(bytes(20 * (1 + 20 * 8)))
        yield f"depth {depth} color {color}.png", png(20, 20, depth, color, data)


def odd_metadata(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Broken EXIF data, profiles and comments in files whose pixels are right."""
    rng = random.Random(0)
    exifs = {
        "rubbish": b"Exif\0\0" + rng.randbytes(200),
        "empty": b"Exif\0\0",
        "cut": b"Exif\0\0II*\0\x08\0\0\0\x05",
        "loop": b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "huge count": b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x112, 3, 2**31, 8),
        "orientation 99": b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x112, 3, 1, 99),
        "orientation as text": b"Exif\0\0II*\0\x08\0\0\0\1\0"
        + struct.pack("<HHI4s", 0x112, 2, 4, b"abc\0"),
    }
    for name, exif in exifs.items():
        for kind in ("JPEG", "PNG", "WEBP"):
            yield f"exif {name}.{KINDS[kind]}", encoded(image, kind, exif=exif)
    for name, profile in {
        "rubbish": rng.randbytes(300), "cut": b"\0\0\2\0lcms" + bytes(40), "one byte": b"x",
    }.items():  # fmt: skip
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            yield f"profile {name}.{KINDS[kind]}", encoded(image, kind, icc_profile=profile)
    yield "comment.jpg", encoded(image, "JPEG", comment=b"\xff" * 60_000)
    gamma = chunk(b"gAMA", struct.pack(">I", 0))
    yield "gamma 0.png", png(20, 20, 8, 2, zlib.compress(bytes(61 * 20)), gamma)


def turned(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """The same upright image, stored in each of the eight orientations of EXIF."""
    # What undoes the turning that a reader does for each orientation.
    stored = (None, 0, 3, 1, 5, 2, 6, 4)
    for orientation, method in enumerate(stored, 1):
        exif = Image.Exif()
        exif[0x112] = orientation
        pixels = image if method is None else image.transpose(Image.Transpose(method))
        for kind in ("PNG", "TIFF", "WEBP"):
            more = {"lossless": True} if kind == "WEBP" else {}
            content = encoded(pixels, kind, exif=exif.tobytes(), **more)
            yield f"turned {orientation}.{KINDS[kind]}", content


# ---- what is no image, and names -----------------------------------------------------------------


def no_images() -> Iterator[tuple[str, bytes]]:
    """Files of other kinds under the names of images."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n%%EOF\n"
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)
    contents: dict[str, bytes] = {
        "empty": b"", "text": b"not an image", "eps": eps, "pdf": b"%PDF-1.7\n%%EOF\n",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='50' height='50'/>",
        "zip": b"PK\3\4" + bytes(60), "pickle": b"\x80\4c" + b"os\nsystem\n(S'exit 3'\ntR.",
        "html": b"<html><script>alert(1)</script></html>", "elf": b"\x7fELF" + bytes(200),
        "heic": heic, "psd": b"8BPS\0\1" + bytes(100), "wmf": b"\xd7\xcd\xc6\x9a" + bytes(100),
        "zeros": bytes(5000), "ff": b"\xff" * 5000, "xpm": b"/* XPM */\nstatic char *x[] = {",
    }  # fmt: skip
    for name, content in contents.items():
        for suffix in ("jpg", "tif"):
            yield f"{name} named.{suffix}", content


def odd_names(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Good images with names that a shell, a table, a page or a file system may trip over."""
    names = ["-n", "--help", "=1+1", "a\nb", "a\tb", "' \" `", "<b>&amp;", "%s {0} $HOME", "a|b",
             "[x](http://x.y)", "x" * 240, "é" * 100, "e\u0301", "\u202egnp", "😀", " ", "con",
             "~", "a..b", "best", "run.json", "\x1b[31mred", "NaN", "null", "0", "Ä/ä",
             "/".join("nested" for _ in range(30)), "y" * 251]  # fmt: skip
    for number, name in enumerate(names):
        folder, _, last = name.rpartition("/")
        # Another byte at the end each time, so that no two files are equal.
        yield f"{folder}/{last}.png" if folder else f"{name}.png", content + bytes([number])


def odd_entries(folder: Path, content: bytes) -> dict[str, str]:
    """Put entries into a folder that are no ordinary files of an ordinary name.

    content: of a good image. Returns a part of the reason why each is not read, by its name as it
    is printed. An entry that this system cannot have is left out.
    """
    expected: dict[str, str] = {}
    with suppress(OSError):  # a file system whose names are UTF-8
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png")).write_bytes(content)
        expected["\\xff\\xfe.png"] = "not UTF-8"
    (folder / "nowhere.png").symlink_to(folder / "missing")
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "up").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe.png")
    with (folder / "huge.png").open("wb") as file:  # it takes no room on the disk
        file.truncate(3 * 10**9)
    (folder / "a folder.png").mkdir()
    expected |= {
        "nowhere.png": "leads nowhere",
        "self.png": "",
        "up": "read already",
        "pipe.png": "not an ordinary file",
        "huge.png": "larger than 2 GB",
    }
    if os.geteuid():  # the superuser reads everything
        (folder / "secret.png").write_bytes(content)
        (folder / "secret.png").chmod(0)
        expected["secret.png"] = "ermission"
    return expected
