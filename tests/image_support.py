"""Image files written byte by byte, with what Pillow itself does not write."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np

Entry = tuple[int, int, int, int | bytes]
"""Tag, type, count and value of an entry of a TIFF file or of EXIF data."""


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: np.ndarray, depth: int, color: int, *chunks: bytes) -> bytes:
    """Return a PNG of unsigned samples, (H, W) or (H, W, C); the chunks come before the pixels."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    rows = b"".join(b"\0" + packed(row.ravel(), depth) for row in samples)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def packed(values: np.ndarray, depth: int) -> bytes:
    """Return unsigned values in `depth` bits each, the highest first, filled up to whole bytes."""
    bits = (values.astype(np.int64)[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def tiff(rows: bytes, size: tuple[int, int], order: str = "<", **tags: Iterable[int]) -> bytes:
    """Return an uncompressed TIFF with these rows. tags: bits, photometric, kind, extra, more."""
    width, height = size
    bits = list(tags.get("bits", (8,)))
    count = len(bits)
    entries: list[Entry] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, count, struct.pack(f"{order}{count}H", *bits)),
        (259, 3, 1, 1),
        (262, 3, 1, *tags.get("photometric", (1,))),
        (273, 4, 1, rows),
        (277, 3, 1, count),
        (278, 4, 1, height),
        (279, 4, 1, len(rows)),
        (339, 3, count, struct.pack(f"{order}{count}H", *tags.get("kind", (1,)) * count)),
    ]
    if "extra" in tags:
        entries.insert(-1, (338, 3, 1, *tags["extra"]))
    return directory(order, entries)


def directory(order: str, entries: Iterable[Entry]) -> bytes:
    """Return TIFF data, as EXIF data are, too: header, one directory, and the longer values."""
    entries = list(entries)
    place = 8 + 2 + 12 * len(entries) + 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    rest = b""
    for tag, kind, count, value in entries:
        head += struct.pack(order + "HHI", tag, kind, count)
        if isinstance(value, bytes) and len(value) > 4:
            head += struct.pack(order + "I", place + len(rest))
            rest += value + b"\0" * (len(value) % 2)
        elif isinstance(value, bytes):
            head += value.ljust(4, b"\0")
        else:
            head += struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    return head + b"\0\0\0\0" + rest
