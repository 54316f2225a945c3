"""The formats of image files that are read."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def remedy_for(suffix: str) -> str:
    """Say what helps with files of a suffix that is not read."""
    return "no image format that is read"
