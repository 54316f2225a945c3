"""Pixels that have no file: they become one without loss."""

import io
from typing import Any


def png_of(pixels: Any) -> bytes:
    """Return a PNG file of an image of Pillow, or of uint8 (H, W, 3)."""
    from PIL import Image

    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=3)
    return stream.getvalue()
