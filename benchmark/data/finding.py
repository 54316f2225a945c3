"""Finding the image files of a folder."""

from collections.abc import Iterator
from pathlib import Path

from benchmark.data.formats import suffixes


def find_images(folder: Path) -> Iterator[Path]:
    """Yield every image file below `folder` in order of name, without hidden ones.

    Which files are images is decided by their suffix, one of suffixes().
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in suffixes() and not hidden and path.is_file():
            yield path
