"""What the header of an image file says, without decoding it."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.data.decoding.opening import open_image
from benchmark.data.decoding.profiles import profile_name


@dataclass(frozen=True)
class Header:
    """The header of an image file.

    format, mode: as Pillow names them. width, height: in pixels, as stored. profile: the
    description of the embedded color profile, or "".
    """

    format: str
    mode: str
    width: int
    height: int
    profile: str


def read_header(path: Path) -> Header | None:
    """Read the header of a file; None if it cannot be read as an image's."""
    try:
        with open_image(path) as (image, stream, _):
            width, height = image.size
            return Header(
                image.format or "TIFF", image.mode, width, height, profile_name(image, stream)
            )
    except Exception:  # whatever a damaged file makes Pillow raise; decoding it gives the reason
        return None
